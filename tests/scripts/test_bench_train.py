"""Both trainers train, the validation reads, and the tables say what was measured; in one process and a second each."""

from __future__ import annotations

import sys
from pathlib import Path

import bench_train
import cv2
import pytest
from bench.loaders import patches_of
from bench.training import WAYS

from ocr.shards.manifest import write_shard
from tests.trainer.conftest import drawn

TEXTS = [str(number) for number in range(100, 112)]


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    samples = [
        (f"word-{text}", {"jpg": cv2.imencode(".jpg", drawn(text))[1].tobytes(), "txt": text.encode()})
        for text in TEXTS
    ]
    write_shard(tmp_path / "shards/000000.tar", samples)
    few = ["--batch-size", "4", "--workers", "0", "--seconds", "0", "--iterations", "1"]
    return ["bench_train.py", "--shards", str(tmp_path / "shards"), "--work", str(tmp_path / "work"), *few]


def test_every_way_is_measured_on_the_same_patches(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(what: str) -> object:
        monkeypatch.setattr(sys, "argv", [*command, "--one", what])
        return bench_train.measured(bench_train.parse_arguments())

    monkeypatch.setattr(sys, "argv", command)
    arguments = bench_train.parse_arguments()
    patches = patches_of(arguments.shards)
    assert sorted(text for _, text in patches) == TEXTS
    for way in WAYS:
        bench_train.prepare(way, patches, arguments.work)
    runs = [bench_train.Run(way.name, *measured(way.name)) for way in WAYS]  # type: ignore[misc]
    assert all(run.patches_per_second > 0 and run.processor_milliseconds > 0 for run in runs)
    lines = bench_train.table(runs).splitlines()
    assert [line.startswith(way.name) for line, way in zip(lines[1:], WAYS, strict=False)] == [True] * 3
    stages = measured("stages")
    assert list(stages) == ["data wait", "copy", "forward", "loss", "backward", "optimizer"]  # type: ignore[call-overload]
    assert bench_train.stage_table(stages).endswith(" ms")  # type: ignore[arg-type]
    assert "64" in bench_train.growth_table([(4, 64, measured("4x64 eager"))])  # type: ignore[list-item]
