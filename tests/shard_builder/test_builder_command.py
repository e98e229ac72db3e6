"""`python -m shard_builder` as a user runs it: bad input ends in one line, and a killed run goes on."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from shard_builder.commits import claimed
from tests.shard_builder.made_zips import (
    MadePage,
    Member,
    jpeg,
    label,
    made_pages,
    sha256_of_files,
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
        pytest.param(good, ("--num-jobs", 2), 2, "--num-jobs and --job-index go together", id="half of a part"),
        pytest.param(good, ("--num-jobs", 2, "--job-index", 2), 2, "--job-index 2: not in 0 to 1", id="no such part"),
        pytest.param(good, ("--dry-run", "--finalize"), 2, "one at a time", id="two things at once"),
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


IN_A_FORK = """
import os, sys
from shard_builder.__main__ import main
child = os.fork()
if child == 0:
    main()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_one_worker_is_the_build_itself_and_outlives_its_parent(tmp_path: Path) -> None:
    """Only the worker of a build that was killed ends by itself: a build goes on behind a login that has ended."""
    write_dataset(tmp_path / "dataset", 4, 4)
    arguments = ("--dataset", tmp_path / "dataset", "--out", tmp_path / "out", "--workers", 1, *SMALL)
    command = [sys.executable, "-c", IN_A_FORK, *map(str, arguments)]
    assert subprocess.run(command, cwd=ROOT, timeout=60).returncode == 0
    assert (tmp_path / "out/training/select_data/manifest.json").exists()


SMALL_GROUPS = """
import shard_builder.plan as plan
plan.PAGES_A_GROUP, plan.WORDS_A_SHARD, plan.PAGES_A_SHARD = 20, 60, 4
from shard_builder.__main__ import main
main()
"""


def small_groups(*arguments: object) -> list[str]:
    """The command with groups of 20 pages, so that a small data set has many."""
    return [sys.executable, "-c", SMALL_GROUPS, *map(str, arguments)]


def test_a_build_that_is_killed_again_and_again_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """`NUM_KILLS=20` for the long version."""
    write_half(tmp_path / "dataset", "Training", [MadePage(str(n), jpeg(n, 600, 800)) for n in range(200)])
    write_half(tmp_path / "dataset", "Validation", [MadePage(f"v{n}", jpeg(n, 600, 800)) for n in range(20)])
    arguments = ("--dataset", tmp_path / "dataset", "val_images=10", "eval_images=10")
    start = monotonic()
    subprocess.run(small_groups(*arguments, "--out", tmp_path / "whole", "--workers", 1), cwd=ROOT, check=True)
    seconds = monotonic() - start
    order, num_kills = random.Random(7), int(os.environ.get("NUM_KILLS", "3"))
    for _ in range(num_kills):
        again = small_groups(*arguments, "--out", tmp_path / "out", "--workers", 2)
        with subprocess.Popen(again, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as build:
            with contextlib.suppress(subprocess.TimeoutExpired):
                build.wait(timeout=order.uniform(0.3, 1.0) * seconds)
            build.kill()
    kept = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*.tar")}
    commits = [path for path in kept if (path.parent / ".build" / f"{path.stem}.json").exists()]
    subprocess.run(small_groups(*arguments, "--out", tmp_path / "out", "--workers", 2), cwd=ROOT, check=True)
    assert {path: path.stat().st_ino for path in commits} == {path: kept[path] for path in commits}
    assert sha256_of_files(tmp_path / "out") == sha256_of_files(tmp_path / "whole")
    assert not list((tmp_path / "out").rglob("*.tmp-*"))


def test_a_build_can_be_shared_by_many_machines(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", 90, 10)
    arguments = ("--dataset", tmp_path / "dataset", "val_images=5", "eval_images=5", "--workers", 1)
    subprocess.run(small_groups(*arguments, "--out", tmp_path / "whole"), cwd=ROOT, check=True)
    shared = (*arguments, "--out", tmp_path / "out")
    parts = [
        subprocess.Popen(small_groups(*shared, "--num-jobs", 3, "--job-index", index), cwd=ROOT) for index in (2, 0)
    ]
    assert [part.wait(timeout=60) for part in parts] == [0, 0]
    early = subprocess.run(small_groups(*shared, "--finalize"), cwd=ROOT, capture_output=True, text=True)
    assert early.returncode == 1
    assert "training/select_data: 1 of 4 groups of shards are missing, the first: 000002.tar; run every" in early.stderr
    subprocess.run(small_groups(*shared, "--num-jobs", 3, "--job-index", 1), cwd=ROOT, check=True)
    subprocess.run(small_groups(*shared, "--finalize"), cwd=ROOT, check=True)
    assert sha256_of_files(tmp_path / "out") == sha256_of_files(tmp_path / "whole")


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_cluster_writes_the_same_bytes(tmp_path: Path, name: str) -> None:
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[name])
    write_dataset(tmp_path / "dataset", 90, 10)
    arguments = ("--dataset", tmp_path / "dataset", "val_images=5", "eval_images=5", "--workers", 2)
    for engine in ("loky", name):
        again = small_groups(*arguments, "--out", tmp_path / engine, f"engine={engine}")
        subprocess.run(again, cwd=ROOT, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert sha256_of_files(tmp_path / name) == sha256_of_files(tmp_path / "loky")


def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path: Path) -> None:
    write_half(tmp_path / "dataset", "Training", [*made_pages("Training", 4), MadePage("5", label=None)])
    write_half(tmp_path / "dataset", "Validation", made_pages("Validation", 4))
    ended = run("--dataset", tmp_path / "dataset", "--out", tmp_path / "out", "--workers", 1, "--dry-run", *SMALL)
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "out").exists()
    assert "training/select_data: planned\n" in ended.stdout
    assert "  pages            4 to write  1 no label\n  words           12 to write\n" in ended.stdout


def test_a_second_build_into_the_same_folder_waits_its_turn(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", 4, 4)
    with claimed(tmp_path / "out/training/select_data", "0", shared=False):
        (tmp_path / "out/training/select_data/.build/fingerprint").unlink()
        ended = run("--dataset", tmp_path / "dataset", "--out", tmp_path / "out", "--workers", 1, *SMALL)
    assert ended.returncode == 2
    assert "training/select_data: another build is writing here; wait for it" in ended.stderr
