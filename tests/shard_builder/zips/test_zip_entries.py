"""Entries of real zips: which are listed, how they are packed, and what is said of damaged ones."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ocr.errors import DataError
from shard_builder.zips.zip_entries import HEADER_BYTES, MAX_ENTRY_BYTES, Entry, check_entries, list_entries, read_entry
from tests.shard_builder.made_zips import Member, archive_of, write_zip

NAME = "02.원천데이터(jpg)/인.허가/1.jpg"
CONTENT = b"page " * 200


def entries_of(path: Path) -> list[Entry]:
    return list_entries(archive_of(path))[0]


def test_what_is_no_file_of_the_data_set_is_counted(tmp_path: Path) -> None:
    names = ["인.허가/", "인.허가/1.jpg", "__MACOSX/인.허가/._1.jpg", "인.허가/._1.jpg", "인.허가/.DS_Store"]
    entries, skipped = list_entries(archive_of(write_zip(tmp_path / "a.zip", map(Member, names))))
    assert [entry.name for entry in entries] == ["인.허가/1.jpg"]
    assert skipped == Counter({"folders": 1, "macOS leftovers": 3})


def test_an_empty_zip_lists_nothing(tmp_path: Path) -> None:
    assert list_entries(archive_of(write_zip(tmp_path / "a.zip", []))) == ([], Counter())


@pytest.mark.parametrize("deflate", [False, True], ids=["stored", "deflated"])
@pytest.mark.parametrize(
    "extra_bytes", [0, 40, 3 * HEADER_BYTES], ids="no extra field,a short one,a long one".split(",")
)
@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_an_entry_is_read(tmp_path: Path, deflate: bool, extra_bytes: int, content: bytes) -> None:
    """With its header in one read, or in a second where the local extra field is long; also as the last of the zip."""
    extra = b"\x55\x54" + (extra_bytes - 4).to_bytes(2, "little") + bytes(extra_bytes - 4) if extra_bytes else b""
    members = [Member("0.jpg", b"before"), Member(NAME, content, deflate, extra=extra), Member("2.jpg", b"behind")]
    entries = entries_of(write_zip(tmp_path / "a.zip", members))
    check_entries(entries[0].archive, entries)
    assert [read_entry(entry) for entry in entries] == [b"before", content, b"behind"]


@pytest.mark.parametrize(
    ("member", "words"),
    [
        pytest.param(Member(NAME, CONTENT, listed_crc_change=1), "CRC-32", id="another CRC"),
        pytest.param(Member(NAME, CONTENT, True, listed_num_bytes=10), "is damaged", id="inflates past its size"),
        pytest.param(Member(NAME, CONTENT, True, listed_num_bytes=9_999), "is damaged", id="inflates to less"),
        pytest.param(Member(NAME, CONTENT, listed_num_bytes=9_999), "is damaged", id="stored with less"),
        pytest.param(Member(NAME, CONTENT, listed_method=8), "is damaged", id="is no deflated data"),
    ],
)
def test_a_damaged_entry_is_named(tmp_path: Path, member: Member, words: str) -> None:
    path = write_zip(tmp_path / "a.zip", [member])
    with pytest.raises(DataError, match=words) as caught:
        read_entry(entries_of(path)[0])
    assert str(caught.value).startswith(f"{path}: {NAME}: ")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda data: data.replace(CONTENT, b"P" + CONTENT[1:]), "CRC-32", id="a flipped byte"),
        pytest.param(lambda data: bytes(len(CONTENT)) + data[len(CONTENT) :], "no entry begins", id="a hole"),
        pytest.param(lambda data: data[:40], "is damaged", id="cut in an entry after it was listed"),
        pytest.param(lambda data: b"", "no entry begins", id="emptied after it was listed"),
        pytest.param(None, "cannot be read: No such file", id="removed after it was listed"),
    ],
)
def test_a_damaged_zip_is_named(tmp_path: Path, damage: Callable[[bytes], bytes] | None, words: str) -> None:
    path = write_zip(tmp_path / "a.zip", [Member(NAME, CONTENT)])
    entry = entries_of(path)[0]
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(DataError, match=words) as caught:
        read_entry(entry)
    assert str(caught.value).startswith(f"{path}: {NAME}: ")


REPACK = "; unpack that zip with the tool that made it, and pack it again stored or deflated"
TOO_LARGE = "say that they hold more than 256 MiB, as no page does"


@pytest.mark.parametrize(
    ("member", "words"),
    [
        pytest.param(
            Member(NAME, listed_method=9), f"are packed with Deflate64, the first: {NAME}{REPACK}", id="Deflate64"
        ),
        pytest.param(Member(NAME, listed_method=12), f"are packed with bzip2, the first: {NAME}{REPACK}", id="bzip2"),
        pytest.param(Member(NAME, listed_method=97), f"are packed with method 97, the first: {NAME}{REPACK}", id="97"),
        pytest.param(Member(NAME, listed_flags=1), f"are encrypted, the first: {NAME}{REPACK}", id="encrypted"),
        pytest.param(
            Member(NAME, listed_num_bytes=MAX_ENTRY_BYTES + 1),
            f"{TOO_LARGE}, the first: {NAME}; download it again",
            id="too large",
        ),
    ],
)
def test_entries_that_cannot_be_read_here_are_named_before_they_are(tmp_path: Path, member: Member, words: str) -> None:
    """Where there are several reasons, the most frequent."""
    unread = Member("다른.jpg", listed_method=14)
    packed_so = [member, replace(member, name="a.jpg"), replace(member, name="b.jpg")]
    path = write_zip(tmp_path / "a.zip", [Member("1.jpg"), unread, *packed_so, *map(Member, "2345678")])
    archive = archive_of(path)
    entries, _ = list_entries(archive)
    with pytest.raises(DataError) as caught:
        check_entries(archive, entries)
    assert str(caught.value) == f"{path}: 3 of 12 images and labels {words}"
    check_entries(archive, [entry for entry in entries if entry.name in "1.jpg2345678"])


@pytest.mark.parametrize("listed_num_bytes", [1000, 100 << 20], ids=["says 1,000 bytes", "says 100 MiB"])
def test_an_entry_cannot_fill_the_memory(tmp_path: Path, listed_num_bytes: int) -> None:
    """300 MiB of zeros in 300 KB: no more is inflated than the directory says, and a byte to know that it lies."""
    path = write_zip(tmp_path / "a.zip", [Member(NAME, bytes(300 << 20), True, listed_num_bytes=listed_num_bytes)])
    entry = entries_of(path)[0]
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="is damaged"):
            read_entry(entry)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.1 * listed_num_bytes + (1 << 20)
