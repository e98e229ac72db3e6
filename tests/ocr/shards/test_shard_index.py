from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocr.errors import DataError
from ocr.shards.manifest import write_shard
from ocr.shards.shard_index import Index, index_path, read_index, scan_tar, write_index
from ocr.shards.tar_writer import Sample, ustar_header


def patch(width: int, height: int, image_type: str = "jpg") -> bytes:
    image = np.random.default_rng(width).integers(0, 256, (height, width), dtype=np.uint8)
    encoded: np.ndarray = cv2.imencode(f".{image_type}", image)[1]
    return encoded.tobytes()


SAMPLES: list[Sample] = [
    ("page_0000", {"jpg": patch(155, 57), "txt": "하며,".encode()}),
    ("page_0001", {"png": patch(16, 16, "png"), "txt": '"김해를'.encode()}),
    ("page_0002", {"jpg": patch(600, 64), "txt": b"2001"}),
]


def make_shard(folder: Path) -> tuple[Path, Index]:
    shard = folder / "000000.tar"
    write_shard(shard, SAMPLES)
    index = read_index(shard)
    assert index
    return shard, index


def as_lists(index: Index) -> dict[str, object]:
    return {
        name: value.tolist() if isinstance(value := getattr(index, name), np.ndarray) else value
        for name in index.__struct_fields__
    }


def test_an_index_says_where_each_patch_lies_how_large_it_is_and_what_it_says(tmp_path: Path) -> None:
    shard, index = make_shard(tmp_path)
    tar = shard.read_bytes()
    patches = [next(iter(members.values())) for _, members in SAMPLES]
    assert [tar[start:][:size] for start, size in zip(index.patch_offset, index.patch_bytes, strict=True)] == patches
    assert index.patch_crc.tolist() == [zlib.crc32(patch) for patch in patches]
    assert list(zip(index.width.tolist(), index.height.tolist(), strict=True)) == [(155, 57), (16, 16), (600, 64)]
    assert index.texts() == ["하며,", '"김해를', "2001"]
    assert index.tar_bytes == len(tar)


def test_samples_lie_one_behind_the_other(tmp_path: Path) -> None:
    _, index = make_shard(tmp_path)
    assert index.sample_offset.tolist() == [0, *np.cumsum(index.sample_bytes)[:-1].tolist()]


def test_the_same_samples_give_the_same_index_bytes(tmp_path: Path) -> None:
    shards = [make_shard(tmp_path / name)[0] for name in ("a", "b")]
    first, second = (index_path(shard).read_bytes() for shard in shards)
    assert first == second


def test_scanning_a_tar_gives_the_index_that_was_written_with_it(tmp_path: Path) -> None:
    shard, index = make_shard(tmp_path)
    assert as_lists(scan_tar(shard)) == as_lists(index)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_others_are_scanned_whatever_their_format(tmp_path: Path, form: int) -> None:
    shard = tmp_path / "others.tar"
    with tarfile.open(shard, "w", format=form) as tar:
        for key, members in SAMPLES:
            for extension, payload in members.items():
                member = tarfile.TarInfo(f"한글/{'long' * 30}/{key}.{extension}" if form else f"한글/{key}.{extension}")
                member.size, member.mtime = len(payload), 1.5  # type: ignore[assignment]  # PAX keeps fractions
                tar.addfile(member, io.BytesIO(payload))
    index = scan_tar(shard)
    content = shard.read_bytes()
    assert index.texts() == ["하며,", '"김해를', "2001"]
    extents = zip(index.patch_offset, index.patch_bytes, strict=True)
    assert [zlib.crc32(content[start:][:size]) for start, size in extents] == index.patch_crc.tolist()
    assert index.sample_offset.tolist() == [0, *np.cumsum(index.sample_bytes)[:-1].tolist()]


def test_a_sample_without_an_image_or_text_has_a_row(tmp_path: Path) -> None:
    shard = tmp_path / "000000.tar"
    write_shard(shard, [("a", {"txt": b"1"}), ("b", {"jpg": b"no image"}), ("c", {"jpg": patch(20, 10), "txt": b"2"})])
    index = read_index(shard)
    assert index
    assert index.patch_bytes.tolist()[:2] == [0, 8]
    assert index.width.tolist() == [0, 0, 20]
    assert index.texts() == ["1", "", "2"]


Damage = Callable[[bytes, Index], bytes]
DAMAGES: dict[str, Damage] = {
    "cut at the border of a sample": lambda tar, index: tar[: int(index.sample_offset[1])],
    "cut inside a header": lambda tar, index: tar[: int(index.sample_offset[1]) + 100],
    "cut inside a patch": lambda tar, index: tar[: int(index.patch_offset[1]) + 100],
    "end mark missing": lambda tar, index: tar[: int(index.sample_offset[2] + index.sample_bytes[2])],
    "flipped byte in a header": lambda tar, index: flipped(tar, int(index.sample_offset[1]) + 3),
    "empty file": lambda tar, index: b"",
}


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tar_is_never_scanned_in_silence(tmp_path: Path, damage: str) -> None:
    shard, index = make_shard(tmp_path)
    shard.write_bytes(DAMAGES[damage](shard.read_bytes(), index))
    with pytest.raises(DataError, match=r"000000\.tar: .*(damaged|cut off)"):
        scan_tar(shard)


@pytest.mark.parametrize("content", [b"", b"PK", b"no index at all", None])
def test_a_damaged_index_is_named_with_the_remedy(tmp_path: Path, content: bytes | None) -> None:
    shard, _ = make_shard(tmp_path)
    path = index_path(shard)
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(DataError, match=r"000000\.index\.npz: not the index of a shard .* shard_builder\.index"):
        read_index(shard)


def test_an_index_of_another_format_is_refused(tmp_path: Path) -> None:
    shard, _ = make_shard(tmp_path)
    np.savez(index_path(shard), format=np.array("shard-index/9"))
    with pytest.raises(DataError, match="its format is 'shard-index/9'"):
        read_index(shard)


def test_no_index_is_none(tmp_path: Path) -> None:
    shard, index = make_shard(tmp_path)
    index_path(shard).unlink()
    assert read_index(shard) is None
    write_index(shard, index)
    assert read_index(shard) is not None


@pytest.mark.parametrize("num_bytes", [0, 1, 511, 512, 3_700, 2**33 - 1])
@pytest.mark.parametrize("name", ["a.txt", f"{'k' * 96}.jpg"])
def test_a_header_is_the_one_that_tarfile_writes(name: str, num_bytes: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = num_bytes, 0o644
    header = ustar_header(name, num_bytes)
    assert tarfile.TarInfo.frombuf(header, "ascii", "strict").size == num_bytes  # checks the sum as well
    # Python writes the device numbers of a plain file as zeros or, from 3.12 on, not at all.
    without_devices = [
        (block[:148], block[156:329], block[345:]) for block in (header, member.tobuf(tarfile.USTAR_FORMAT))
    ]
    assert without_devices[0] == without_devices[1]


@pytest.mark.parametrize(("name", "num_bytes"), [("k" * 101, 1), ("a.txt", 2**33)])
def test_what_does_not_fit_a_header_is_refused(name: str, num_bytes: int) -> None:
    with pytest.raises(ValueError, match="does not fit a ustar header"):
        ustar_header(name, num_bytes)
