"""A zip's directory held against the zip: damage is named, with the place, before a page is planned from it."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from itertools import combinations, permutations
from pathlib import Path

import pytest

from ocr.errors import DataError
from shard_builder.zips.zip_entries import list_entries, read_entry
from tests.shard_builder.made_zips import (
    Member,
    archive_of,
    cut,
    cut_sparse,
    numbered_zip,
    write_files,
    write_sparse_zip,
    write_tar,
    write_zip,
)

WHOLE = numbered_zip(81, 32_000)
ENTRY_BYTES = 32_040
DIRECTORY = 81 * ENTRY_BYTES  # where it begins
PIECES = cut(WHOLE, 5)  # between two headers, so that it is clear in which piece a header is broken
SIZE = len(PIECES[0])
END = struct.Struct("<4s4H2LH")


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        list_entries(archive_of(path))
    return str(caught.value)


def refusal_of(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def pieces_by_index(pieces: Mapping[int, bytes]) -> dict[str, bytes]:
    return {f"a.zip.part{number}": piece for number, piece in pieces.items()}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda _: b"", "is no zip, it is empty; download it again", id="an empty file"),
        pytest.param(
            lambda _: b"<html>\n502", 'is no zip, it begins with "<html> 502"; download it', id="an error page"
        ),
        pytest.param(lambda whole: whole[:10], "is cut off, or damaged at its end", id="10 bytes"),
        pytest.param(lambda whole: whole[:-1], "is cut off, or damaged at its end", id="a byte short"),
        pytest.param(lambda whole: whole[:-30], "is cut off, or damaged at its end", id="30 bytes short"),
        pytest.param(lambda whole: whole[: len(whole) // 2], "is cut off, or damaged at its end", id="half of it"),
        pytest.param(lambda whole: whole + bytes(70_000), "is cut off, or damaged at its end", id="zeros behind it"),
        pytest.param(
            lambda whole: whole[:50] + whole[90:], "40 bytes are missing behind byte 0", id="40 bytes missing"
        ),
        pytest.param(lambda whole: whole[40:], "40 bytes are missing at its beginning", id="40 bytes missing in front"),
        pytest.param(
            lambda whole: whole[:900_000] + b"more" + whole[900_000:],
            "there are 4 bytes too many behind byte 897,120",
            id="4 bytes too many",
        ),
        pytest.param(lambda whole: bytes(DIRECTORY) + whole[DIRECTORY:], "from byte 0 on, 64 of 64", id="only a hole"),
        pytest.param(
            lambda whole: whole[:1_000_000] + bytes(900_000) + whole[1_900_000:],
            "from byte 1,025,280 on, 22 of 64",
            id="a hole",
        ),
    ],
)
def test_a_damaged_zip_is_named(tmp_path: Path, damage: Callable[[bytes], bytes], words: str) -> None:
    assert refusal_of(tmp_path, damage(WHOLE)).startswith(words)


def test_bytes_before_a_zip_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"#!/bin/sh\n" + WHOLE)
    entries, _ = list_entries(archive_of(path))
    assert [len(read_entry(entry)) for entry in entries] == [32_000] * 81


@pytest.mark.parametrize("num_entries", [2, 3, 1000])
def test_one_broken_header_is_left_to_its_page(tmp_path: Path, num_entries: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"?" + numbered_zip(num_entries)[1:])
    entries, _ = list_entries(archive_of(path))
    assert len(entries) == num_entries
    with pytest.raises(DataError, match="no entry begins"):
        read_entry(entries[0])
    assert read_entry(entries[1])


@pytest.mark.parametrize("field", [0, 8, 30], ids=["magic", "method", "name"])
def test_two_broken_headers_are_too_many(tmp_path: Path, field: int) -> None:
    damaged = bytearray(numbered_zip(60))
    for begin in (360 * 40, 360 * 50):
        damaged[begin + field] ^= 1
    message = refusal_of(tmp_path, bytes(damaged))
    assert message.startswith(
        "from byte 14,400 on, 2 of 60 sampled entries are not where its directory says, the first"
    )
    assert ": T/0040.jpg; download it again or, where it was merged from pieces" in message


def test_the_only_header_may_not_be_broken(tmp_path: Path) -> None:
    assert refusal_of(tmp_path, b"?" + numbered_zip(1)[1:]).startswith("from byte 0 on, 1 of 1 sampled entries")


@pytest.mark.parametrize("order", [order for order in permutations(range(4)) if order != (0, 1, 2, 3)])
def test_pieces_whose_contents_changed_places_are_named(tmp_path: Path, order: tuple[int, ...]) -> None:
    pieces = {number: PIECES[content] for number, content in enumerate(order)} | {4: PIECES[4]}
    first = next(number for number, content in enumerate(order) if number != content)
    message = refusal(write_files(tmp_path, pieces_by_index(pieces)))
    assert message.startswith(f"{tmp_path}/a.zip (5 pieces): from byte ")
    assert f" of piece {first + 1} of 5, in a.zip.part{first} on, " in message
    assert message.endswith("; download its pieces again")


@pytest.mark.parametrize("order", [order for order in permutations(range(4)) if order != (0, 1, 2, 3)])
def test_a_zip_merged_in_a_wrong_order_is_named(tmp_path: Path, order: tuple[int, ...]) -> None:
    """With the last piece last it opens and lists everything."""
    path = tmp_path / "a.zip"
    path.write_bytes(b"".join(PIECES[number] for number in (*order, 4)))
    with zipfile.ZipFile(path) as opened:
        assert len(opened.infolist()) == 81
    assert "where it was merged from pieces, merge them in the order of their numbers" in refusal(path)


def test_a_zip_merged_with_another_piece_last_is_named(tmp_path: Path) -> None:
    merged = b"".join(PIECES[number] for number in (0, 1, 2, 4, 3))
    message = refusal_of(tmp_path, merged)
    assert message.startswith("is cut off, or damaged at its end")
    assert "where it was merged from pieces, merge them in the order of their numbers" in message


@pytest.mark.parametrize(("one", "other"), [pair for pair in combinations(range(5), 2) if 4 in pair])
def test_a_last_piece_that_is_not_the_last_is_named(tmp_path: Path, one: int, other: int) -> None:
    pieces = dict(enumerate(PIECES))
    pieces[one], pieces[other] = pieces[other], pieces[one]
    message = refusal(write_files(tmp_path, pieces_by_index(pieces)))
    assert "its last piece is missing, cut off or not the last (" in message or "is no zip, it begins" in message


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        pytest.param(
            dict(enumerate(PIECES[:-1])), "(4 pieces): its last piece is missing, cut off or", id="the last is missing"
        ),
        pytest.param(
            dict(enumerate([*PIECES[:-1], PIECES[4][:-9]])),
            "its last piece is missing, cut off",
            id="the last is cut off",
        ),
        pytest.param(
            dict(enumerate(PIECES[1:], 1)), f"{SIZE:,} bytes are missing at its beginning", id="the first is missing"
        ),
        pytest.param(
            dict(enumerate([*PIECES[:2], PIECES[2][:-100], *PIECES[3:]])),
            "100 bytes are missing behind byte 498,000 of piece 3 of 5, in a.zip.part2",
            id="one is cut off",
        ),
        pytest.param(
            dict(enumerate([*PIECES[:2], PIECES[2] + PIECES[2][-100:], *PIECES[3:]])),
            "there are 100 bytes too many behind byte 498,000 of piece 3 of 5, in a.zip.part2",
            id="one has its end twice",
        ),
        pytest.param(
            dict(enumerate([*PIECES[:2], bytes(SIZE), *PIECES[3:]])),
            "of piece 3 of 5, in a.zip.part2 on, ",
            id="one is a hole",
        ),
    ],
)
def test_a_damaged_piece_is_named(tmp_path: Path, pieces: dict[int, bytes], words: str) -> None:
    message = refusal(write_files(tmp_path, pieces_by_index(pieces)))
    assert message.startswith(f"{tmp_path}/a.zip (") and words in message
    assert "download" in message and "\n" not in message


def test_a_damaged_piece_in_a_tar_is_named(tmp_path: Path) -> None:
    pieces = pieces_by_index(dict(enumerate([*PIECES[:3], bytes(SIZE), *PIECES[4:]])))
    message = refusal(write_tar(tmp_path / "download.tar", pieces.items()))
    assert message.startswith(f"{tmp_path}/download.tar: a.zip (5 pieces): from byte ")
    assert " of piece 4 of 5, in download.tar on, " in message


def test_a_broken_piece_among_hundreds_is_found(tmp_path: Path) -> None:
    """64 samples would not see it: the first entry of each piece is looked at too."""
    pieces = dict(enumerate(cut(numbered_zip(3000), 300)))
    pieces[150], pieces[151] = pieces[151], pieces[150]
    assert " of piece 151 of 300, in a.zip.part150 on, 2 of " in refusal(write_files(tmp_path, pieces_by_index(pieces)))


def multi_volume(whole: bytes) -> bytes:
    magic, _, _, *rest = END.unpack(whole[-END.size :])
    return whole[: -END.size] + END.pack(magic, 2, 2, *rest)


def test_the_last_volume_of_several_is_named(tmp_path: Path) -> None:
    message = refusal_of(tmp_path, multi_volume(WHOLE)[5000:])
    assert message == (
        "is the last volume of a multi-volume zip; make one zip of its volumes "
        "(zip -s 0 'a.zip' --out 'a-whole.zip') and remove them"
    )


def test_chance_bytes_do_not_make_a_volume(tmp_path: Path) -> None:
    assert refusal_of(tmp_path, WHOLE[:5000] + multi_volume(WHOLE)[-END.size :] + b"image").startswith("is cut off")


def test_a_name_that_is_not_in_the_encoding_it_says_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [Member("인.허가/1.jpg", encoding="cp949", utf8_flag=True)])
    assert refusal(path).endswith(
        "is flagged as UTF-8 and is not; unpack that zip with the tool that made it, and pack it again"
    )


def test_entries_over_one_another_are_named(tmp_path: Path) -> None:
    """As the rows of a zip bomb: many entries of the same bytes."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("1.jpg", "2.jpg", "3.jpg"):
            archive.writestr(name, bytes(100))
        archive.infolist()[2].header_offset = archive.infolist()[1].header_offset
    assert "a.zip: 2.jpg and 3.jpg lie over one another: damage or a zip bomb" in refusal(path)


@pytest.mark.parametrize("num_bytes", [101, 1 << 40, 1 << 63], ids=["a byte too much", "1 TiB", "8 EiB"])
def test_an_entry_that_ends_behind_the_last_is_named(tmp_path: Path, num_bytes: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.jpg", bytes(100))
        archive.infolist()[0].compress_size = num_bytes
    assert "a.zip: 1.jpg runs into its directory" in refusal(path)


def test_a_directory_too_large_to_be_one_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(END.pack(b"PK\x05\x06", 0, 0, 9, 9, 1 << 30, 0, 0))
    assert "says its directory has 1,073,741,824 bytes" in refusal(path)


SPARSE = {
    0: Member("0.jpg", b"first"),
    (4 << 30) - 100: Member("1.jpg", bytes(range(256))),
    (4 << 30) + 500: Member("2.jpg", b"beyond 4 GiB"),
    6_000_000_000: Member("3.jpg", b"the last"),
}


@pytest.mark.parametrize("boundaries", [None, [4 << 30], [1 << 30, 6_000_000_000]], ids=str)
def test_a_zip64_of_6_gb_is_read(tmp_path: Path, boundaries: list[int] | None) -> None:
    """Whole, in two pieces cut in the middle of an entry, and in three, one cut before an entry; the rest is a hole."""
    path = write_sparse_zip(tmp_path / "a.zip", SPARSE)
    assert path.stat().st_size > 6_000_000_000 > 1000 * path.stat().st_blocks * 512
    if boundaries is not None:
        path = cut_sparse(path, tmp_path / "pieces", boundaries)
    entries, _ = list_entries(archive_of(path))
    assert [entry.offset for entry in entries] == list(SPARSE)
    assert [read_entry(entry) for entry in entries] == [member.content for member in SPARSE.values()]
