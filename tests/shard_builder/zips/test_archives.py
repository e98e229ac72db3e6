"""Zips as a download leaves them, whole, in pieces or in a tar: which are found, and which bytes they are."""

from __future__ import annotations

import gc
import os
import pickle
import random
import tarfile
from collections.abc import Callable, Mapping
from itertools import accumulate, permutations
from pathlib import Path

import pytest

from ocr.config import Config
from ocr.errors import DataError, UsageError
from shard_builder.build import build
from shard_builder.zips.archives import Archive, find_archives, read_at
from shard_builder.zips.byte_runs import MAX_OPEN_FILES, Piece
from shard_builder.zips.zip_entries import Entry, list_entries, read_entry
from tests.shard_builder.made_zips import (
    Member,
    archive_of,
    copy_sparse,
    cut,
    numbered_zip,
    sha256_of_files,
    write_dataset,
    write_files,
    write_sparse_zip,
    write_tar,
    write_zip,
)

WHOLE = numbered_zip()
PIECES = cut(WHOLE, 4)
STARTS = [0, *accumulate(map(len, PIECES[:-1]))]
BY_INDEX = {f"a.zip.part{number}": piece for number, piece in enumerate(PIECES)}
BY_OFFSET = {f"a.zip.part{start}": piece for start, piece in zip(STARTS, PIECES, strict=True)}
LONG = "032.공공행정문서 OCR/01.데이터/01.Training/원천데이터를 담은 아주 긴 이름의 폴더/[원천]train_partly_labeling_01"


def content_of(archive: Archive) -> bytes:
    return read_at(archive, 0, archive.num_bytes)


def test_zips_are_found_anywhere_below_in_order_of_path(tmp_path: Path) -> None:
    for name in ("b.zip", "x/y/[원천]a.ZIP", "x/._a.zip", "__MACOSX/a.zip", "a/c.zip", "a.b/c.zip", "c.txt"):
        write_zip(tmp_path / name, [])
    (tmp_path / "folder.zip").mkdir()
    write_files(tmp_path / "x", {"._b.zip.part0": b"", "._download.tar": b""})
    found = [tmp_path / name for name in ("a/c.zip", "a.b/c.zip", "b.zip", "x/y/[원천]a.ZIP")]
    assert [archive.path for archive in find_archives(tmp_path)] == list(map(str, found))
    assert [archive.name for archive in find_archives(tmp_path)] == list(map(str, found))


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(BY_INDEX, id="numbered from 0"),
        pytest.param({f"a.zip.part{number}": piece for number, piece in enumerate(PIECES, 1)}, id="numbered from 1"),
        pytest.param(BY_OFFSET, id="named by their offsets"),
        pytest.param({f"a.zip.part{number:03d}": piece for number, piece in enumerate(PIECES)}, id="leading zeros"),
        pytest.param({f"a.ZIP.PART{number}": piece for number, piece in enumerate(PIECES)}, id="capitals"),
        pytest.param({f"a.zip.part{n}": piece for n, piece in enumerate(cut(WHOLE, 12))}, id="10 behind 9"),
        pytest.param({"a.zip.part0": WHOLE}, id="one piece from 0"),
        pytest.param({"a.zip.part1": WHOLE}, id="one piece from 1"),
    ],
)
def test_pieces_are_read_as_one_zip(tmp_path: Path, pieces: Mapping[str, bytes]) -> None:
    from_folder = archive_of(write_files(tmp_path / "x", pieces))
    from_tar = archive_of(write_tar(tmp_path / "download.tar", [(f"x/{name}", pieces[name]) for name in pieces]))
    name = next(iter(pieces)).rpartition(".")[0]
    assert (from_folder.path, from_tar.path) == (f"{tmp_path}/x/{name}", f"{tmp_path}/download.tar/x/{name}")
    number = "1 piece" if len(pieces) == 1 else f"{len(pieces)} pieces"
    assert from_folder.name == f"{from_folder.path} ({number})"
    assert from_tar.name == f"{tmp_path}/download.tar: x/{name} ({number})"
    assert content_of(from_folder) == content_of(from_tar) == WHOLE


@pytest.mark.parametrize("names", [list(BY_INDEX), list(BY_OFFSET)], ids=["indices", "offsets"])
def test_the_order_in_which_pieces_lie_does_not_matter(tmp_path: Path, names: list[str]) -> None:
    for number, order in enumerate(permutations(zip(names, PIECES, strict=True))):
        from_folder = archive_of(write_files(tmp_path / str(number), dict(order)))
        from_tar = archive_of(write_tar(tmp_path / str(number) / "tars/download.tar", order).parent)
        assert content_of(from_folder) == content_of(from_tar) == WHOLE


def without(pieces: Mapping[str, bytes], *numbers: int) -> dict[str, bytes]:
    return {name: piece for number, (name, piece) in enumerate(pieces.items()) if number not in numbers}


SIZE = len(PIECES[0])
OFFSETS = list(BY_OFFSET)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        pytest.param(without(BY_INDEX, 1), "a.zip.part1: is missing", id="a piece in the middle"),
        pytest.param(without(BY_INDEX, 0, 1), "a.zip.part1: is missing", id="the first two pieces"),
        pytest.param(without(BY_OFFSET, 0), "a.zip.part0: is missing", id="the first offset"),
        pytest.param(
            without(BY_OFFSET, 1), f"a.zip.part0: ends {SIZE:,} bytes before {OFFSETS[2]} begins", id="a middle offset"
        ),
        pytest.param(
            {**BY_OFFSET, OFFSETS[1]: PIECES[1][:-100]},
            f"{OFFSETS[1]}: ends 100 bytes before {OFFSETS[2]} begins; it is cut off",
            id="a piece cut off",
        ),
        pytest.param(
            {**BY_OFFSET, OFFSETS[1]: PIECES[1] + b"more"},
            f"{OFFSETS[1]}: runs 4 bytes into {OFFSETS[2]}, so one of the two is of another download",
            id="a piece too long",
        ),
        pytest.param(
            {**BY_OFFSET, "a.zip.part20000": b""}, "a.zip.part20000: is empty (0 bytes)", id="an empty piece between"
        ),
        pytest.param({**BY_INDEX, "a.zip.part1": b""}, "a.zip.part1: is empty (0 bytes)", id="an empty piece"),
        pytest.param(
            {**BY_INDEX, "a.zip.part00": PIECES[0]}, "a.zip.part00: is the same piece as a.zip.part0", id="0 and 00"
        ),
    ],
)
def test_pieces_that_do_not_follow_one_another_are_named(
    tmp_path: Path, pieces: Mapping[str, bytes], words: str
) -> None:
    write_files(tmp_path / "x", pieces)
    write_tar(tmp_path / "y/download.tar", [(f"x/{name}", pieces[name]) for name in pieces])
    for folder, place in ((tmp_path / "x", f"{tmp_path}/x/"), (tmp_path / "y", f"{tmp_path}/y/download.tar: x/")):
        with pytest.raises(DataError) as caught:
            find_archives(folder)
        assert f"{caught.value}".startswith(f"{place}{words}")
        assert "download it again" in str(caught.value) or "remove one" in str(caught.value)


def test_a_zip_beside_its_own_pieces_is_one_too_many(tmp_path: Path) -> None:
    write_files(tmp_path, {**BY_INDEX, "a.zip": WHOLE})
    with pytest.raises(
        UsageError, match=r"/a\.zip: lies beside its own pieces, a\.zip\.part0 …; remove one of the two"
    ):
        find_archives(tmp_path)
    write_tar(tmp_path / "x/download.tar", [("y/a.zip", WHOLE), *((f"y/{name}", BY_INDEX[name]) for name in BY_INDEX)])
    with pytest.raises(UsageError, match=r"download\.tar: y/a\.zip: lies beside its own pieces"):
        find_archives(tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("download.tar.crdownload", "is a download that has not ended; let it end, or remove it"),
        ("미확인 12345.crdownload", "is a download that has not ended"),
        ("a.zip.part", "is a download that has not ended"),
        (
            "a.z01",
            "is a volume of a multi-volume zip; make one zip of its volumes (zip -s 0 'a.zip' --out 'a-whole.zip')",
        ),
    ],
)
def test_what_is_no_whole_zip_yet_is_named(tmp_path: Path, name: str, words: str) -> None:
    write_files(tmp_path, {name: WHOLE[:1000]})
    with pytest.raises(DataError) as caught:
        find_archives(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/{name}: {words}")


def test_folders_on_other_disks_may_be_linked(tmp_path: Path) -> None:
    write_zip(tmp_path / "disk/Training/a.zip", [])
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/Training").symlink_to(tmp_path / "disk/Training")
    (tmp_path / "disk/Training/loop").symlink_to(tmp_path / "disk/Training")
    (tmp_path / "disk/Training/up").symlink_to(tmp_path / "dataset")
    assert [archive.path for archive in find_archives(tmp_path / "dataset")] == [f"{tmp_path}/dataset/Training/a.zip"]


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"/a\.zip: cannot be read: No such file or directory"):
        find_archives(tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_one_file_may_be_the_data_set(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {"a.zip": WHOLE})
    write_tar(tmp_path / "a.tar", [("a.zip", WHOLE)])
    assert content_of(archive_of(tmp_path / name)) == WHOLE


@pytest.mark.parametrize(("name", "remedy"), [("a.zip.part0", "the folder of all its pieces"), ("a.txt", "name one")])
def test_another_file_is_none(tmp_path: Path, name: str, remedy: str) -> None:
    write_files(tmp_path, {name: WHOLE})
    with pytest.raises(UsageError, match=f"is neither a .zip nor a .tar; .*{remedy}"):
        find_archives(tmp_path / name)


def test_a_tar_is_read_by_its_headers(tmp_path: Path) -> None:
    """Names of more than 100 bytes, folders, other files and macOS's leftovers, in the order of the tar."""
    members = [("032.공공행정문서 OCR/안내.pdf", b"%PDF"), (f"./{LONG}.zip", WHOLE), ("._a.zip", b""), ("b.zip", b"PK")]
    path = write_tar(tmp_path / "download.tar", members)
    with tarfile.open(path, "a", format=tarfile.GNU_FORMAT) as tar:
        folder = tarfile.TarInfo("folder.zip")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    long, short = find_archives(tmp_path)
    assert (long.path, short.path) == (f"{path}/{LONG}.zip", f"{path}/b.zip")
    assert long.name == f"{path}: {LONG}.zip"
    assert content_of(long) == WHOLE


def test_a_set_that_the_server_sent_twice_is_read_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {name: bytes(len(piece)) for name, piece in BY_INDEX.items()}
    path = write_tar(tmp_path / "download.tar", [*broken.items(), *BY_INDEX.items()])
    assert content_of(archive_of(tmp_path)) == WHOLE
    assert capsys.readouterr().err == f"{path}: holds 4 members twice; the later is read, as untar would\n"


def cut_in_a_member(content: bytes) -> bytes:
    return content[: 512 + 5000]


def cut_behind_a_member(content: bytes) -> bytes:
    return content[: 512 + -(-len(PIECES[0]) // 512) * 512]


def cut_in_a_header(content: bytes) -> bytes:
    return cut_behind_a_member(content) + b"a.zip.part1"


def broken_header(content: bytes) -> bytes:
    begin = len(cut_behind_a_member(content))
    return content[: begin + 20] + b"?" + content[begin + 21 :]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(cut_in_a_member, "is cut off or damaged in or behind a.zip.part0", id="cut in a member"),
        pytest.param(cut_in_a_header, "is cut off or damaged in or behind a.zip.part0", id="cut in a header"),
        pytest.param(broken_header, "is cut off or damaged in or behind a.zip.part0", id="a broken header"),
        pytest.param(lambda _: b"", "is no tar, it is empty", id="an empty file"),
        pytest.param(
            lambda _: b"HTTP 502 Bad Gateway\n", 'is no tar, it begins with "HTTP 502 Bad Gateway"', id="an error page"
        ),
        pytest.param(lambda _: WHOLE, 'is no tar, it begins with "PK', id="a zip"),
    ],
)
def test_a_damaged_tar_is_named(tmp_path: Path, damage: Callable[[bytes], bytes], words: str) -> None:
    path = write_tar(tmp_path / "download.tar", BY_INDEX.items())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        find_archives(tmp_path)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert str(caught.value).endswith("; download it again")


def test_a_tar_without_the_mark_of_its_end_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As some tools leave it; where it was cut between two members, its pieces tell."""
    path = write_tar(tmp_path / "download.tar", BY_INDEX.items())
    whole = path.read_bytes()
    path.write_bytes(cut_behind_a_member(whole))
    archive = archive_of(path)
    assert content_of(archive) == PIECES[0]
    assert capsys.readouterr().err == f"{path}: has no mark of its end; if a zip is missing, download it again\n"
    with pytest.raises(DataError, match="is cut off"):
        list_entries(archive)


def test_a_member_twice_in_two_sizes_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "download.tar", [("a.zip", WHOLE[:-1000]), ("a.zip", WHOLE)])
    with pytest.raises(DataError, match=r"download\.tar: a\.zip: is there twice, with .* bytes; download"):
        find_archives(tmp_path)


def test_a_link_in_a_tar_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "download.tar", [("a.zip", WHOLE)])
    with tarfile.open(path, "a", format=tarfile.GNU_FORMAT) as tar:
        link = tarfile.TarInfo("b.zip")
        link.type, link.linkname = tarfile.LNKTYPE, "a.zip"
        tar.addfile(link)
    with pytest.raises(DataError, match=r"download\.tar: b\.zip: is a link or a sparse file; untar .*download\.tar"):
        find_archives(tmp_path)


def test_a_tar_member_of_more_than_8_gib(tmp_path: Path) -> None:
    """Its size stands in base 256, and what follows it lies beyond 8 GiB; on disk all of it is one hole."""
    entries = {0: Member("first.jpg", b"1"), 9 << 30: Member("last.jpg", b"2")}
    big = write_sparse_zip(tmp_path / "big.zip", entries)
    with (tmp_path / "download.tar").open("wb") as tar:
        for name, source in (("x/big.zip", big), ("x/small.zip", write_zip(tmp_path / "small.zip", [Member("3.jpg")]))):
            info = tarfile.TarInfo(name)
            info.size = source.stat().st_size
            tar.write(info.tobuf(tarfile.GNU_FORMAT))
            copy_sparse(source, 0, info.size, tar)
            tar.write(bytes(-info.size % 512))
        tar.write(bytes(1024))
    archives = find_archives(tmp_path / "download.tar")
    assert [archive.name.rpartition(": ")[2] for archive in archives] == ["x/big.zip", "x/small.zip"]
    assert [read_entry(entry) for entry in list_entries(archives[0])[0]] == [b"1", b"2"]


def test_a_range_is_read_across_pieces(tmp_path: Path) -> None:
    archive = archive_of(write_files(tmp_path, {f"a.zip.part{n}": piece for n, piece in enumerate(cut(WHOLE, 50))}))
    generator = random.Random(0)
    ranges = [(generator.randrange(len(WHOLE)), generator.randrange(2000)) for _ in range(300)]
    for offset, num_bytes in [*ranges, (0, 0), (0, len(WHOLE)), (len(WHOLE), 1), (len(WHOLE) - 1, 99)]:
        assert read_at(archive, offset, num_bytes) == WHOLE[offset : offset + num_bytes], (offset, num_bytes)


def num_open_files() -> int:
    gc.collect()
    return len(os.listdir("/dev/fd"))


def test_few_files_stay_open(tmp_path: Path) -> None:
    pieces = cut(WHOLE, 2 * MAX_OPEN_FILES)
    archive = archive_of(write_files(tmp_path, {f"a.zip.part{n}": piece for n, piece in enumerate(pieces)}))
    before = num_open_files()
    assert content_of(archive) == content_of(archive) == WHOLE
    assert num_open_files() <= before + MAX_OPEN_FILES


def test_a_file_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    archive = archive_of(write_files(tmp_path, {"a.zip": WHOLE}))
    assert content_of(archive) == WHOLE
    write_files(tmp_path, {"b.zip": WHOLE[::-1]})
    os.replace(tmp_path / "b.zip", tmp_path / "a.zip")
    assert content_of(archive) == WHOLE[::-1]


def test_a_piece_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    archive = archive_of(write_files(tmp_path, BY_INDEX))
    (tmp_path / "a.zip.part2").unlink()
    with pytest.raises(DataError, match=r"/a\.zip\.part2: cannot be read: No such file or directory"):
        content_of(archive)


def test_a_piece_that_was_cut_since_ends_the_bytes(tmp_path: Path) -> None:
    archive = archive_of(write_files(tmp_path, BY_INDEX))
    write_files(tmp_path, {"a.zip.part1": PIECES[1][:-1]})
    assert content_of(archive) == WHOLE[: 2 * SIZE - 1]


def test_entries_travel_with_one_archive() -> None:
    """500 entries of a zip of 100 pieces: the pieces are pickled once."""
    pieces = tuple(Piece(f"/data/공공행정문서 OCR/[원천]train1.zip.part{number}", 0, 1 << 30) for number in range(100))
    archive = Archive("[원천]train1.zip (100 pieces)", "/data/[원천]train1.zip", pieces)
    entries = [Entry(archive, f"{number}.jpg", number << 20, 700_000, 700_000, number, 0, 0) for number in range(500)]
    pickled = pickle.dumps(entries)
    assert len(pickled) < len(pickle.dumps(archive)) + 100 * len(entries)
    arrived = pickle.loads(pickled)
    assert arrived == entries
    assert len({id(entry.archive) for entry in arrived}) == 1


def in_pieces(dataset: Path, target: Path) -> Path:
    for path in dataset.rglob("*.zip"):
        pieces = cut(path.read_bytes(), 3)
        write_files(target / path.parent.name, {f"{path.name}.part{n}": piece for n, piece in enumerate(pieces)})
    return target


def in_a_tar(dataset: Path, target: Path) -> Path:
    pieces = in_pieces(dataset, target.with_suffix(".pieces"))
    files = sorted(path for path in pieces.rglob("*") if path.is_file())
    members = [(f"032.공공행정문서 OCR/01.데이터/{path.relative_to(pieces)}", path.read_bytes()) for path in files]
    return write_tar(target.with_suffix(".tar"), members)


@pytest.mark.parametrize("packed", [in_pieces, in_a_tar])
def test_the_same_shards_however_the_zips_lie(tmp_path: Path, packed: Callable[[Path, Path], Path]) -> None:
    dataset, config = write_dataset(tmp_path / "plain", 6, 5), Config(train_images=6, val_images=3, eval_images=2)
    splits = ("training", "validation", "evaluation")
    build(config, dataset, tmp_path / "out", splits, workers=1)
    build(config, packed(dataset, tmp_path / "packed"), tmp_path / "out-packed", splits, workers=2)
    assert sha256_of_files(tmp_path / "out-packed") == sha256_of_files(tmp_path / "out")
