"""Shards written to a bucket are those written to disk, and a build there is resumed and owned as one on disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bench.file_server import serving

import shard_builder.plan
from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.plumbing.files import write_whole
from ocr.remote.connections import TRAFFIC_METER
from ocr.remote.locations import Url, path_or_url
from ocr.shards.manifest import shards_behind
from shard_builder.build import Part, build, build_part, finalize
from shard_builder.stats import stats
from shard_builder.verify import verify
from tests.shard_builder.made_zips import fetched, sha256_of_files, write_dataset

ROOT = Path(__file__).parents[2]
CONFIG = Config(train_images=7, val_images=3, eval_images=2)


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_builder.plan, "PAGES_A_GROUP", 2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset"), 7, 6)


def test_a_bucket_holds_what_a_folder_would(
    dataset: Path, tmp_path: Path, new_bucket: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = path_or_url(f"{new_bucket()}/shards")
    manifests = build(CONFIG, dataset, out, ["training"], workers=1)
    build(CONFIG, dataset, tmp_path / "disk", ["training"], workers=1)
    assert sha256_of_files(fetched(str(out), tmp_path / "bucket")) == sha256_of_files(tmp_path / "disk")
    names = [shard.name for shard in manifests["training"].shards]
    assert [shard.name for shard in shards_behind(f"{out}/training/select_data")] == names
    capsys.readouterr()
    before = TRAFFIC_METER.traffic.num_bytes
    assert build(CONFIG, dataset, out, ["training"], workers=1) == manifests
    assert "already built" in capsys.readouterr().out
    assert TRAFFIC_METER.traffic.num_bytes - before < 10_000  # commits and the manifest
    for name in ("000001.tar", "manifest.json"):
        (out / f"training/select_data/{name}").unlink()
    build(CONFIG, dataset, out, ["training"], workers=1)
    assert "2 of 3 groups of shards are there already" in capsys.readouterr().err
    assert sha256_of_files(fetched(str(out), tmp_path / "again")) == sha256_of_files(tmp_path / "disk")


KILLED_AT_PUT = """
import os, signal, sys
import ocr.plumbing.files
import shard_builder.plan
from shard_builder.__main__ import main

shard_builder.plan.PAGES_A_GROUP, left, put = 2, int(sys.argv.pop()), ocr.plumbing.files.upload

def put_or_die(url, local):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    put(url, local)

ocr.plumbing.files.upload = put_or_die
main()
"""


def test_a_build_that_is_killed_between_its_files_goes_on_in_the_bucket(
    dataset: Path, tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    """A group of shards is three PUTs here: a tar, its index, its commit. The manifest is the last."""
    out, temp = path_or_url(new_bucket()), tmp_path / "temp"
    temp.mkdir()
    options = ("--dataset", dataset, "--out", out, "--training", "--workers", 1, "train_images=7")
    command = [sys.executable, "-c", KILLED_AT_PUT, *map(str, options)]

    def run(num_puts: int) -> int:
        environment = os.environ | {"TMPDIR": str(temp)}
        return subprocess.run([*command, str(num_puts)], cwd=ROOT, env=environment, timeout=60).returncode

    folder = out / "training/select_data"
    num_tars = []
    for num_puts in (1, 2, 4, 6):  # no index; no commit; the second group's index; the manifest
        assert run(num_puts) == -signal.SIGKILL
        assert not [path for path in temp.iterdir() if not path.name.endswith(".tmp-pages")]
        num_tars.append(len([*folder.glob("*.tar")]))
    assert num_tars == [1, 1, 2, 3]
    assert run(99) == 0
    assert not [*temp.iterdir()]
    build(CONFIG, dataset, tmp_path / "disk", ["training"], workers=1)
    assert sha256_of_files(fetched(str(out), tmp_path / "bucket")) == sha256_of_files(tmp_path / "disk")


def test_a_bucket_is_verified(dataset: Path, new_bucket: Callable[[], str], capsys: pytest.CaptureFixture[str]) -> None:
    out = path_or_url(new_bucket())
    build(CONFIG, dataset, out, ["training"], workers=1)
    capsys.readouterr()
    verify(out, workers=2)
    assert capsys.readouterr().out.startswith("1 folder, 3 shards, 21 samples, ")
    assert len(stats(out, seed=0)) == 1
    shard = out / "training/select_data/000001.tar"
    content = bytearray(shard.read_bytes())
    content[600] ^= 1
    assert isinstance(shard, Url)
    with write_whole(shard) as file:
        file.write(content)
    with pytest.raises(DataError, match="1 problem in 1 folder"):
        verify(out, workers=2)
    assert f"{shard}: other bytes than were written; copy it again" in capsys.readouterr().out


def test_shards_behind_a_web_server_are_verified(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copied without what the builder goes on from, as tars of others are."""
    build(CONFIG, dataset, tmp_path / "shards", ["training"], workers=1)
    shutil.rmtree(tmp_path / "shards/training/select_data/.build")
    capsys.readouterr()
    with serving(tmp_path) as server:
        verify(path_or_url(f"{server.url}/shards"), workers=1)
        assert len(stats(path_or_url(f"{server.url}/shards"), seed=0)) == 1
    assert capsys.readouterr().out.startswith("1 folder, 3 shards, 21 samples, ")


def test_a_bucket_of_another_build_is_refused(dataset: Path, new_bucket: Callable[[], str]) -> None:
    out = path_or_url(new_bucket())
    build(CONFIG, dataset, out, ["validation"], workers=1)
    other = Config(train_images=7, val_images=3, eval_images=2, jpeg_quality=90)
    with pytest.raises(UsageError, match="validation/select_data: holds shards of another build"):
        build(other, dataset, out, ["validation"], workers=1)


def test_parts_meet_in_a_bucket(dataset: Path, tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    out = path_or_url(new_bucket())
    build_part(CONFIG, dataset, out, ["training"], 1, Part(0, 2))
    with pytest.raises(DataError, match="1 of 3 groups of shards are missing, the first: 000001.tar"):
        finalize(CONFIG, dataset, out, ["training"], 1)
    build_part(CONFIG, dataset, out, ["training"], 1, Part(1, 2))
    finalize(CONFIG, dataset, out, ["training"], 1)
    build(CONFIG, dataset, tmp_path / "disk", ["training"], workers=1)
    assert sha256_of_files(fetched(str(out), tmp_path / "bucket")) == sha256_of_files(tmp_path / "disk")


def test_a_web_server_takes_no_shards(dataset: Path) -> None:
    with pytest.raises(UsageError, match="a web server takes no files; write to s3://, gs:// or a folder"):
        build(CONFIG, dataset, path_or_url("http://127.0.0.1:9/shards"), ["training"], workers=1)
