from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import webdataset as wds

from ocr.errors import DataError, UsageError
from ocr.shards.manifest import MANIFEST_NAME, Manifest, find_shards, verify_shard, write_manifest, write_shard
from ocr.shards.shard_index import index_path

SAMPLES = [(f"page_{index}", {"jpg": bytes([index]) * 700, "txt": f"하며, {index}".encode()}) for index in range(5)]


def make_folder(folder: Path, num_shards: int = 3) -> Path:
    records = tuple(write_shard(folder / f"{index:06d}.tar", SAMPLES) for index in range(num_shards))
    manifest = Manifest(
        split="training",
        shards=records,
        pages={},
        words={},
        characters={},
        missing={},
        categories={},
        worker_seconds=0.0,
        settings={},
        inputs=(),
        fingerprint="0",
        versions={},
    )
    write_manifest(folder, manifest)
    return folder


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_shard(tmp_path / name, SAMPLES) for name in ("a.tar", "b.tar"))
    assert (first.sha256, first.num_samples) == (second.sha256, 5)
    assert (tmp_path / "a.tar").stat().st_size == first.num_bytes


def test_a_shard_is_plain_ustar(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", SAMPLES)
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()
    assert [member.name for member in members[:2]] == ["page_0.jpg", "page_0.txt"]
    assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {(0, 0, "", 0o644)}
    assert not any(member.pax_headers for member in members)


def test_plain_webdataset_reads_a_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", SAMPLES)
    read = [
        (s["__key__"], {"jpg": s["jpg"], "txt": s["txt"]})
        for s in wds.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False)
    ]
    assert read == SAMPLES


@pytest.mark.parametrize("spec", ["{folder}", "{folder}/*.tar", "{folder}/{{000000..000002}}.tar"])
def test_a_folder_a_glob_and_a_brace_pattern_name_the_same_shards(tmp_path: Path, spec: str) -> None:
    folder = make_folder(tmp_path / "[원천] shards")
    if "*" in spec or "{{" in spec:  # brackets are part of a glob
        folder = make_folder(tmp_path / "plain")
    assert [path.name for path in find_shards(spec.format(folder=folder))] == [f"{index:06d}.tar" for index in range(3)]


def test_one_file_is_a_shard(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    assert find_shards(str(folder / "000001.tar")) == [folder / "000001.tar"]


@pytest.mark.parametrize("spec", ["nowhere", "nowhere/*.tar", "{a", "empty"])
def test_nothing_found_is_one_clear_line(tmp_path: Path, spec: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no shard"):
        find_shards(str(tmp_path / spec))


def cut(folder: Path) -> None:
    with (folder / "000001.tar").open("r+b") as file:
        file.truncate(2048)


def remove(folder: Path) -> None:
    (folder / "000002.tar").unlink()


def add(folder: Path) -> None:
    write_shard(folder / "000009.tar", SAMPLES)


def scribble(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_text("{}", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"000001.tar: 2,048 bytes where"),
        (remove, r"000002.tar: named in manifest.json but not there"),
        (add, r"000009.tar: not in manifest.json beside it"),
        (scribble, r"manifest.json: not a manifest"),
    ],
)
def test_damage_that_tar_would_not_notice_is_named(tmp_path: Path, damage: object, message: str) -> None:
    folder = make_folder(tmp_path)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        find_shards(str(folder))


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(600)
        file.write(b"\xff")


@pytest.mark.parametrize("beside", ["manifest and index", "manifest", "index"])
def test_a_flipped_byte_is_seen_with_whatever_lies_beside_a_shard(tmp_path: Path, beside: str) -> None:
    shard = make_folder(tmp_path) / "000001.tar"
    if "manifest" not in beside:
        (tmp_path / MANIFEST_NAME).unlink()
    if "index" not in beside:
        index_path(shard).unlink()
    verify_shard(shard)
    flip(shard)
    with pytest.raises(DataError, match=f"{shard}: changed since it was written; `python -m shard_builder.verify"):
        verify_shard(shard)


def test_a_tar_with_nothing_beside_it_is_left_to_its_reader(tmp_path: Path) -> None:
    shard = make_folder(tmp_path) / "000001.tar"
    (tmp_path / MANIFEST_NAME).unlink()
    index_path(shard).unlink()
    flip(shard)
    verify_shard(shard)
