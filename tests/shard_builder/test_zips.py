"""Entries of real zips: which are listed, under which names, and what is said of damaged ones."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from ocr.errors import DataError
from shard_builder.zips import check_readable, find_zips, list_entries, read_entry
from tests.shard_builder.made_zips import Member, write_zip

NAME = "02.원천데이터(jpg)/인.허가/1.jpg"
NFD_NAME = unicodedata.normalize("NFD", NAME)
CONTENT = b"page " * 200


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(Member(NAME, encoding="cp949"), id="CP949 without the flag"),
        pytest.param(Member(NAME, encoding="utf-8", utf8_flag=True), id="UTF-8 with the flag"),
        pytest.param(Member(NAME, encoding="utf-8"), id="UTF-8 without the flag"),
        pytest.param(Member(NFD_NAME, encoding="utf-8", utf8_flag=True), id="decomposed, with the flag"),
        pytest.param(Member(NFD_NAME, encoding="utf-8"), id="decomposed, without the flag"),
    ],
)
def test_a_name_is_read_as(tmp_path: Path, member: Member) -> None:
    entries, _ = list_entries(write_zip(tmp_path / "a.zip", [member]))
    assert [entry.name for entry in entries] == [NAME]


def test_a_name_in_no_known_encoding_is_kept(tmp_path: Path) -> None:
    entries, _ = list_entries(write_zip(tmp_path / "a.zip", [Member("ÿ\x80/1.jpg", encoding="latin-1")]))
    assert entries[0].name.endswith("/1.jpg")


def test_what_is_no_file_of_the_data_set_is_counted(tmp_path: Path) -> None:
    names = ["인.허가/", "인.허가/1.jpg", "__MACOSX/인.허가/._1.jpg", "인.허가/._1.jpg", "인.허가/.DS_Store"]
    entries, skipped = list_entries(write_zip(tmp_path / "a.zip", map(Member, names)))
    assert [entry.name for entry in entries] == ["인.허가/1.jpg"]
    assert skipped == Counter({"folders": 1, "macOS leftovers": 3})


def test_zips_are_found_anywhere_below(tmp_path: Path) -> None:
    for name in ("b.zip", "x/y/[원천]a.ZIP", "x/._a.zip", "x/a.zip.part0", "c.txt"):
        write_zip(tmp_path / name, [])
    (tmp_path / "folder.zip").mkdir()
    assert find_zips(tmp_path) == [tmp_path / "b.zip", tmp_path / "x/y/[원천]a.ZIP"]


@pytest.mark.parametrize("deflate", [False, True], ids=["stored", "deflated"])
@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_an_entry_is_read(tmp_path: Path, deflate: bool, content: bytes) -> None:
    path = write_zip(tmp_path / "a.zip", [Member("0.jpg", b"before"), Member(NAME, content, deflate), Member("2.jpg")])
    entries, _ = list_entries(path)
    check_readable(entries[1])
    assert read_entry(entries[1]) == content


def test_bytes_before_the_zip_do_not_matter(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [Member(NAME, CONTENT)])
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert read_entry(list_entries(path)[0][0]) == CONTENT


@pytest.mark.parametrize(
    ("member", "words"),
    [
        pytest.param(Member(NAME, CONTENT, listed_crc_change=1), "CRC-32", id="another CRC"),
        pytest.param(Member(NAME, CONTENT, True, listed_num_bytes=10), "is damaged", id="inflates past its size"),
        pytest.param(Member(NAME, CONTENT, True, listed_num_bytes=9_999), "is damaged", id="inflates to less"),
        pytest.param(Member(NAME, CONTENT, listed_method=8), "is damaged", id="is no deflated data"),
    ],
)
def test_a_damaged_entry_is_named(tmp_path: Path, member: Member, words: str) -> None:
    path = write_zip(tmp_path / "a.zip", [member])
    with pytest.raises(DataError, match=words) as caught:
        read_entry(list_entries(path)[0][0])
    assert f"{path}: {NAME}" in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda data: data.replace(CONTENT, b"P" + CONTENT[1:]), "CRC-32", id="a flipped byte"),
        pytest.param(lambda data: bytes(len(CONTENT)) + data[len(CONTENT) :], "no entry begins", id="a hole"),
        pytest.param(lambda data: data[:40], "is damaged", id="cut in an entry after it was listed"),
        pytest.param(lambda data: b"", "no entry begins", id="emptied after it was listed"),
        pytest.param(None, "cannot be read", id="removed after it was listed"),
    ],
)
def test_a_damaged_zip_is_named(tmp_path: Path, damage: object, words: str) -> None:
    path = write_zip(tmp_path / "a.zip", [Member(NAME, CONTENT)])
    entry = list_entries(path)[0][0]
    if callable(damage):
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(DataError, match=words) as caught:
        read_entry(entry)
    assert f"{path}: {NAME}" in str(caught.value)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        pytest.param(Member(NAME, listed_method=9), "Deflate64", id="Deflate64"),
        pytest.param(Member(NAME, listed_method=97), "method 97", id="a method without a name"),
        pytest.param(Member(NAME, listed_flags=1), "encrypted", id="encrypted"),
        pytest.param(Member(NAME, listed_num_bytes=1 << 30), "1,073,741,824 bytes", id="1 GiB in one entry"),
    ],
)
def test_an_entry_that_cannot_be_read_here_is_named_before_it_is(tmp_path: Path, member: Member, words: str) -> None:
    path = write_zip(tmp_path / "a.zip", [member])
    with pytest.raises(DataError, match=words) as caught:
        check_readable(list_entries(path)[0][0])
    assert f"{path}: {NAME}" in str(caught.value)


@pytest.mark.parametrize("size", [0, 10, -1, -30], ids=["empty", "10 bytes", "a byte short", "30 bytes short"])
def test_a_truncated_zip_is_named(tmp_path: Path, size: int) -> None:
    path = write_zip(tmp_path / "a.zip", [Member(NAME, CONTENT)])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"a\.zip: truncated, or not a zip"):
        list_entries(path)
