"""The loaders that are compared all give all patches; those that are not installed are left out."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
from bench.loaders import LOADERS, Loader, Setup, bytes_on_disk, patches_of

from ocr.shards.manifest import write_shard
from tests.trainer.conftest import drawn

NUM_PATCHES = 24


def read_samples(batches: Iterator[int], number: int) -> int:
    found = 0
    for size in batches:
        found += size
        if found >= number:
            break
    return found


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "loader", [loader for loader in LOADERS if find_spec(loader.package)], ids=lambda one: one.name
)
def test_a_loader_reads_all_that_was_written(tmp_path: Path, loader: Loader, workers: int) -> None:
    shards = tmp_path / "shards"
    for number in range(2):
        samples = [
            (f"word-{number}-{index}", {"jpg": cv2.imencode(".jpg", drawn(str(index)))[1].tobytes(), "txt": b"1"})
            for index in range(NUM_PATCHES // 2)
        ]
        write_shard(shards / f"{number}.tar", samples)
    folder = shards
    if loader.write:
        folder = tmp_path / "own"
        folder.mkdir()
        loader.write(patches_of(shards), folder)
    assert bytes_on_disk(folder) > 0
    assert read_samples(loader.read(Setup(shards, folder, 4, workers)), NUM_PATCHES) == NUM_PATCHES
