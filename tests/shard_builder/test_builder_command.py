"""`python -m shard_builder` as a user runs it: bad input ends in one line, and a killed run goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from ocr.config import Config
from ocr.shards import find_shards
from shard_builder.build import build
from tests.shard_builder.made_zips import (
    MadePage,
    Member,
    jpeg,
    label,
    made_pages,
    sha256_of_tars,
    write_dataset,
    write_half,
    write_zip,
)

ROOT = Path(__file__).parents[2]
SMALL = ("train_images=4", "val_images=2", "eval_images=2")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "shard_builder", *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=120)


def no_folder(dataset: Path) -> None:
    pass


def empty_folder(dataset: Path) -> None:
    dataset.mkdir()


def no_label_zip(dataset: Path) -> None:
    write_dataset(dataset, 4, 4)
    (dataset / "Validation/[라벨]validation.zip").unlink()


def no_source_zip(dataset: Path) -> None:
    write_dataset(dataset, 4, 4)
    (dataset / "Training/[원천]train.zip").unlink()


def truncated_zip(dataset: Path) -> None:
    write_dataset(dataset, 4, 4)
    path = dataset / "Training/[원천]train.zip"
    path.write_bytes(path.read_bytes()[:-100])


def one_image(member: Member) -> Callable[[Path], None]:
    def write(dataset: Path) -> None:
        write_half(dataset, "Validation", made_pages("Validation", 4))
        write_zip(dataset / "Training/[원천]train.zip", [member])
        write_zip(dataset / "Training/[라벨]train.zip", [Member("L/a/1.json", label())])

    return write


DEFLATE64 = one_image(Member("T/a/1.jpg", jpeg(), listed_method=9))
ENCRYPTED = one_image(Member("T/a/1.jpg", jpeg(), listed_flags=1))


def good(dataset: Path) -> None:
    write_dataset(dataset, 4, 4)


def not_a_picture(dataset: Path) -> None:
    write_half(dataset, "Training", [MadePage("1", b"<html>502 Bad Gateway</html>"), *made_pages("Training", 3)])
    write_half(dataset, "Validation", made_pages("Validation", 4))


@pytest.mark.parametrize(
    ("make", "options", "exit_code", "line"),
    [
        pytest.param(no_folder, (), 2, "dataset: no such folder; --dataset is", id="no folder"),
        pytest.param(empty_folder, (), 2, "dataset: no zip below this folder; put", id="an empty folder"),
        pytest.param(no_label_zip, (), 2, "no label zip for Validation; put the [라벨]….zip", id="no label zip"),
        pytest.param(no_source_zip, (), 2, "no source zip for Training; put the [원천]….zip", id="no source zip"),
        pytest.param(truncated_zip, (), 1, "[원천]train.zip: is cut off, or damaged at its end", id="a truncated zip"),
        pytest.param(
            DEFLATE64, (), 1, "[원천]train.zip: 1 of 1 images and labels are packed with Deflate64", id="Deflate64"
        ),
        pytest.param(ENCRYPTED, (), 1, "[원천]train.zip: 1 of 1 images and labels are encrypted", id="encrypted"),
        pytest.param(good, ("trian_images=4",), 2, "unknown key 'trian_images'; did you mean", id="a config typo"),
        pytest.param(good, ("--config", "x.yaml"), 2, "x.yaml: no such config file", id="no config file"),
        pytest.param(good, ("--workers", 0), 2, "--workers 0: at least one", id="no workers"),
        pytest.param(not_a_picture, (), 1, "/1.jpg: image not decodable", id="too many broken pages"),
    ],
)
def test_bad_input_ends_in_one_line(
    tmp_path: Path, make: Callable[[Path], None], options: tuple[object, ...], exit_code: int, line: str
) -> None:
    make(tmp_path / "dataset")
    ended = run("--dataset", tmp_path / "dataset", "--out", tmp_path / "out", "--workers", 1, *SMALL, *options)
    assert ended.returncode == exit_code, ended.stderr
    errors = [row for row in ended.stderr.splitlines() if row.startswith("error: ")]
    assert len(errors) == 1 and line in errors[0], ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "out").rglob("manifest.json"))
    assert not list((tmp_path / "out").rglob("*.tmp-*"))


def test_the_splits_that_are_named_are_built(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", 4, 4)
    ended = run("--dataset", tmp_path / "dataset", "val_images=2", "--out", tmp_path / "out", "--validation", *SMALL)
    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["validation"]
    assert "  pages            2 written  2 not drawn\n" in ended.stdout


def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    write_half(tmp_path / "dataset", "Training", [MadePage(str(n), jpeg(n, 300, 400)) for n in range(640)])
    arguments = ("--dataset", tmp_path / "dataset", "--out", tmp_path / "out", "--training", "--workers", 2)
    with subprocess.Popen(command(*arguments), cwd=ROOT, stderr=subprocess.DEVNULL) as killed:
        folder = tmp_path / "out/training/select_data"
        end = monotonic() + 60
        while not any(folder.glob("*.tar")) and killed.poll() is None and monotonic() < end:
            sleep(0.002)
        killed.kill()
    assert not (folder / "manifest.json").exists()
    kept = {path: path.stat().st_ino for path in folder.glob("*.tar") if path.with_name(f".{path.stem}.json").exists()}
    resumed = build(Config(), tmp_path / "dataset", tmp_path / "out", ["training"], workers=2)
    assert {path: path.stat().st_ino for path in kept} == kept
    assert not list(folder.glob("*.tmp-*"))
    assert len(find_shards(str(folder))) == 10
    assert resumed == build(Config(), tmp_path / "dataset", tmp_path / "whole", ["training"], workers=1)
    assert sha256_of_tars(tmp_path / "out") == sha256_of_tars(tmp_path / "whole")
