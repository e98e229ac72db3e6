"""Names as other tools wrote them."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from pathlib import Path

import pytest

from shard_builder.zips.stored_names import decode_name, readable, shown
from shard_builder.zips.zip_entries import list_entries
from tests.shard_builder.made_zips import Member, archive_of, write_zip

NAME = "02.원천데이터(jpg)/인.허가/1.jpg"
NFD_NAME = unicodedata.normalize("NFD", NAME)


def unicode_path(name: str, crc: int, version: int = 1) -> bytes:
    field = struct.pack("<BL", version, crc) + name.encode()
    return struct.pack("<HH", 0x7075, len(field)) + field


OTHER_FIELD = struct.pack("<HHL", 0x5455, 4, 0)
RAW_CRC = zlib.crc32(b"stored.jpg")


@pytest.mark.parametrize(
    ("member", "name"),
    [
        pytest.param(Member(NAME, encoding="cp949"), NAME, id="CP949 without the flag"),
        pytest.param(Member(NAME, encoding="utf-8", utf8_flag=True), NAME, id="UTF-8 with the flag"),
        pytest.param(Member(NAME, encoding="utf-8"), NAME, id="UTF-8 without the flag"),
        pytest.param(Member(NFD_NAME, encoding="utf-8", utf8_flag=True), NAME, id="decomposed, with the flag"),
        pytest.param(Member(NFD_NAME, encoding="utf-8"), NAME, id="decomposed, without the flag"),
        pytest.param(Member(NAME.replace("/", "\\")), NAME, id="backslashes between the folders"),
        pytest.param(Member("stored.jpg", extra=unicode_path(NAME, RAW_CRC)), NAME, id="a unicode-path field"),
        pytest.param(Member("stored.jpg", extra=unicode_path(NFD_NAME, RAW_CRC)), NAME, id="decomposed in the field"),
        pytest.param(
            Member("stored.jpg", extra=OTHER_FIELD + unicode_path(NAME, RAW_CRC)), NAME, id="the field behind another"
        ),
        pytest.param(
            Member("stored.jpg", extra=unicode_path(NAME, RAW_CRC ^ 1)), "stored.jpg", id="the field of another name"
        ),
        pytest.param(
            Member("stored.jpg", extra=unicode_path(NAME, RAW_CRC, version=2)), "stored.jpg", id="a later version of it"
        ),
        pytest.param(
            Member("stored.jpg", utf8_flag=True, extra=unicode_path(NAME, RAW_CRC)), "stored.jpg", id="flag and field"
        ),
        pytest.param(Member("../../1.jpg"), "../../1.jpg", id="a name that leaves its folder is but a name"),
        pytest.param(Member("/etc/1.jpg"), "/etc/1.jpg", id="an absolute one too"),
        pytest.param(Member("a\nb.jpg"), "a�b.jpg", id="a name of two lines"),
    ],
)
def test_a_name_is_read_as(tmp_path: Path, member: Member, name: str) -> None:
    entries, _ = list_entries(archive_of(write_zip(tmp_path / "a.zip", [member])))
    assert [entry.name for entry in entries] == [name]


def test_a_name_in_no_known_encoding_is_kept(tmp_path: Path) -> None:
    entries, _ = list_entries(archive_of(write_zip(tmp_path / "a.zip", [Member("ÿ\x80/1.jpg", encoding="latin-1")])))
    assert entries[0].name.endswith("/1.jpg")


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_a_name_on_disk_can_be_said(encoding: str) -> None:
    on_disk = "원천.zip".encode(encoding).decode("utf-8", "surrogateescape")
    assert readable(on_disk) == "원천.zip"


def test_cp949_is_not_taken_for_utf8() -> None:
    names = ["농림.축산지원", "도시개발", "산업진흥", "상.하수도관리", "인.허가", "일반행정", "회계.예산"]
    assert [decode_name(name.encode("cp949")) for name in names] == names


@pytest.mark.parametrize(
    ("beginning", "words"),
    [
        (b"", "it is empty"),
        (b"<html>\r\n<title>502 Bad Gateway</title>", 'it begins with "<html> <title>502 Bad Gateway</title>"'),
        ("신청하신 데이터가 없습니다".encode(), 'it begins with "신청하신 데이터가 없습니다"'),
    ],
)
def test_what_a_file_begins_with_is_shown(beginning: bytes, words: str) -> None:
    assert shown(beginning) == words
