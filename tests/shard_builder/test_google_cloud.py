"""Zips on, and shards to, Google Cloud Storage: what a folder on disk would give and hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import shard_builder.plan
from ocr.config import Config
from ocr.errors import UsageError
from ocr.remote.locations import Url, path_or_url
from ocr.remote.remote_files import read_range, remove, upload, upload_new
from shard_builder.build import build
from shard_builder.splits import SPLITS
from shard_builder.verify import verify
from shard_builder.zips.dataset_files import dataset_of
from tests.shard_builder.made_zips import fetched, sha256_of_files, write_dataset

CONFIG = Config(train_images=7, val_images=3, eval_images=2)


def test_shards_made_from_a_bucket_into_a_bucket_are_those_of_the_disk(
    tmp_path: Path,
    new_google_bucket: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shard_builder.plan, "PAGES_A_GROUP", 2)
    dataset = write_dataset(tmp_path / "공공 행정", 7, 6)
    build(CONFIG, dataset, tmp_path / "disk", SPLITS, workers=1)
    zips, out = f"{new_google_bucket()}/공공 행정", path_or_url(f"{new_google_bucket()}/shards")
    for path in dataset.rglob("*.zip"):
        upload(f"{zips}/{path.relative_to(dataset)}", path)
    build(CONFIG, dataset_of(zips), out, SPLITS, workers=1)
    assert sha256_of_files(fetched(str(out), tmp_path / "bucket")) == sha256_of_files(tmp_path / "disk")
    capsys.readouterr()
    verify(out, workers=1)
    (out / "training/select_data/manifest.json").unlink()
    (out / "training/select_data/000001.tar").unlink()
    build(CONFIG, dataset_of(zips), out, SPLITS, workers=1)
    assert "2 of 3 groups of shards are there already" in capsys.readouterr().err
    assert sha256_of_files(fetched(str(out), tmp_path / "again")) == sha256_of_files(tmp_path / "disk")
    other = Config(train_images=7, val_images=3, eval_images=2, jpeg_quality=90)
    with pytest.raises(UsageError, match="training/select_data: holds shards of another build"):
        build(other, dataset_of(zips), out, SPLITS, workers=1)


def test_a_file_is_written_read_in_parts_and_removed(new_google_bucket: Callable[[], str]) -> None:
    """That of two who write a new file one is refused is Google's part (ifGenerationMatch): the emulator takes both."""
    url = f"{new_google_bucket()}/공공 행정/소유자"
    assert upload_new(url, b"first")
    assert Url(url).read_bytes() == b"first"
    assert read_range(url, 1, 3) == b"irs"
    remove(url)
    remove(url)
    with pytest.raises(FileNotFoundError):
        Url(url).read_bytes()
