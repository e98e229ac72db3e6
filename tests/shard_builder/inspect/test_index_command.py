"""`python -m shard_builder.index`: sidecars for tars that others wrote."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ocr.errors import DataError, UsageError
from ocr.shards.shard_index import index_path, read_index
from shard_builder.index import BAD_PATCH, BAD_TEXT, NO_PATCH, NO_TEXT, find_tars, index_tars
from tests.ocr.shards.test_manifest import make_folder
from tests.shard_builder.made_zips import jpeg

ROOT = Path(__file__).parents[3]

Members = list[tuple[str, bytes]]
SAMPLES: Members = [("d/a.jpg", jpeg(1)), ("d/a.txt", "하며,".encode()), ("d/b.JPG", jpeg(2)), ("d/b.txt", b"2")]


def write_tar(path: Path, members: Members = SAMPLES, mode: str = "w") -> Path:
    """A tar as `tar` and Python's own module write it: with folders, times and PAX headers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("d")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1.5  # type: ignore[assignment]  # PAX keeps fractions
            tar.addfile(member, io.BytesIO(content))
    return path


def index(*names: object, workers: int = 1) -> None:
    index_tars(find_tars(map(str, names)), workers)


def test_every_tar_below_a_folder_gets_its_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tars = [write_tar(tmp_path / name) for name in ("0.tar", "more/1.tar", "more/[원천] 2.tar")]
    index(tmp_path, workers=2)
    assert capsys.readouterr().out == "3 shards, 6 samples: 3 indexed now, 0 up to date\n"
    for tar in tars:
        found = read_index(tar)
        assert found and found.texts() == ["하며,", "2"]
        assert found.width.tolist() == [200, 200]


@pytest.mark.parametrize("spec", ["{0}", "{0}/0.tar {0}/1.tar", "{0}/*.tar", "{0}/{{0,1}}.tar"])
def test_tars_are_named_in_many_ways(tmp_path: Path, spec: str) -> None:
    for name in ("0.tar", "1.tar"):
        write_tar(tmp_path / name)
    index(*spec.format(tmp_path).split())
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["0.index.npz", "1.index.npz"]


@pytest.mark.parametrize("spec", ["nowhere", "*.tar", "{a", "empty"])
def test_a_name_that_stands_for_no_tar_is_one_line(tmp_path: Path, spec: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r": no (tar|shard) there"):
        index(tmp_path / spec)


def no_change(tar: Path) -> None:
    pass


def touch(tar: Path) -> None:
    os.utime(tar, ns=(0, index_path(tar).stat().st_mtime_ns + 1))


def one_more_sample(tar: Path) -> None:
    write_tar(tar, [*SAMPLES, ("d/c.jpg", jpeg(3)), ("d/c.txt", b"3")])
    touch(tar)


def scribble_index(tar: Path) -> None:
    index_path(tar).write_bytes(b"PK")


def lose_index(tar: Path) -> None:
    index_path(tar).unlink()


@pytest.mark.parametrize(
    ("change", "made", "num_samples"),
    [(no_change, 0, 2), (touch, 1, 2), (one_more_sample, 1, 3), (scribble_index, 1, 2), (lose_index, 1, 2)],
)
def test_only_what_is_out_of_date_is_read(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    made: int,
    num_samples: int,
) -> None:
    tars = [write_tar(tmp_path / name) for name in ("0.tar", "1.tar")]
    index(tmp_path)
    change(tars[0])
    capsys.readouterr()
    index(tmp_path)
    summary = f"2 shards, {num_samples + 2} samples: {made} indexed now, {2 - made} up to date\n"
    assert capsys.readouterr().out == summary
    found = read_index(tars[0])
    assert found and found.num_samples == num_samples


def test_samples_that_lack_something_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = [
        *SAMPLES,
        ("no_patch.txt", b"1"),
        ("neither.cls", b"1"),
        ("no_text.jpg", jpeg(3)),
        ("bad_patch.jpg", b"<html>502</html>"),
        ("bad_patch.txt", b"1"),
        ("bad_text.jpg", jpeg(4)),
        ("bad_text.txt", "하".encode("cp949")),
        ("empty_text.jpg", jpeg(5)),
        ("empty_text.txt", b""),
    ]
    write_tar(tmp_path / "0.tar", members)
    expected = [
        "1 shard, 8 samples: {} indexed now, {} up to date",
        f"  3 samples {NO_TEXT}",
        f"  2 samples {NO_PATCH}",
        f"  1 sample {BAD_PATCH}",
        f"  1 sample {BAD_TEXT}",
    ]
    for made in (1, 0):
        index(tmp_path)
        assert capsys.readouterr().out.splitlines() == [line.format(made, 1 - made) for line in expected]


def test_what_webdataset_passes_over_is_passed_over(tmp_path: Path) -> None:
    members = [("._a.jpg", b"of a Mac"), ("a.jpg", jpeg()), ("._a.txt", b"of a Mac"), ("a.txt", b"1"), ("README", b"?")]
    index(write_tar(tmp_path / "0.tar", members))
    found = read_index(tmp_path / "0.tar")
    assert found and found.texts() == ["1"]


def cut(path: Path) -> None:
    write_tar(path)
    path.write_bytes(path.read_bytes()[:3_000])


def flip(path: Path) -> None:
    content = bytearray(write_tar(path).read_bytes())
    content[content.index(b"d/b.JPG")] ^= 1
    path.write_bytes(content)


def gz(path: Path) -> None:
    write_tar(path.with_suffix(".tar.gz"), mode="w:gz")


def tgz(path: Path) -> None:
    write_tar(path.with_suffix(".tgz"), mode="w:gz")


def hidden_gz(path: Path) -> None:
    path.write_bytes(gzip.compress(write_tar(path).read_bytes()))


def xz(path: Path) -> None:
    write_tar(path.with_suffix(".tar.xz"), mode="w:xz")


def error_page(path: Path) -> None:
    path.write_text("<html>502 Bad Gateway</html>")


def no_samples(path: Path) -> None:
    write_tar(path, [("README", b"nothing")])


def twice(path: Path) -> None:
    write_tar(path, [*SAMPLES, ("d/b.txt", b"again")])


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (cut, r"bad\.tar: byte 3,000: cut off inside d/a\.jpg; build or fetch the tar again"),
        (flip, r"bad\.tar: byte [\d,]+: a damaged header behind d/a\.txt; build or"),
        (error_page, r"bad\.tar: byte 0: cut off inside a header; build or fetch"),
        (gz, r"bad\.tar\.gz: compressed with gzip, so no sample can be read alone; unpack it and run again"),
        (tgz, r"bad\.tgz: compressed with gzip"),
        (hidden_gz, r"bad\.tar: compressed with gzip"),
        (xz, r"bad\.tar\.xz: compressed with xz"),
        (no_samples, r"bad\.tar: no sample in it; WebDataset's members are called KEY\.jpg, KEY\.txt"),
        (twice, r"bad\.tar: d/b\.txt: twice in one sample; write the tar again with other keys"),
    ],
)
def test_a_tar_that_cannot_be_indexed_has_a_line_and_the_others_get_theirs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None], line: str
) -> None:
    write_tar(tmp_path / "a.tar")
    make(tmp_path / "bad.tar")
    write_tar(tmp_path / "z.tar")
    with pytest.raises(DataError, match="1 tar of 3 not indexed"):
        index(tmp_path)
    summary, found = capsys.readouterr().out.splitlines()
    assert summary == "2 shards, 4 samples: 2 indexed now, 0 up to date"
    assert re.match(re.escape(f"{tmp_path}/") + line, found), found
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["a.index.npz", "z.index.npz"]


def test_the_index_of_a_built_shard_is_made_again_byte_for_byte(tmp_path: Path) -> None:
    path = make_folder(tmp_path, num_shards=1) / "000000.tar"
    before = index_path(path).read_bytes()
    index_path(path).unlink()
    index(tmp_path)
    assert index_path(path).read_bytes() == before


def test_no_index_makes_a_damaged_shard_look_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_folder(tmp_path, num_shards=1) / "000000.tar"
    index_path(path).unlink()
    content = bytearray(path.read_bytes())
    content[1_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="1 tar of 1 not indexed"):
        index(tmp_path)
    assert "000000.tar: not the shard that manifest.json names; run `python -m shard_bu" in capsys.readouterr().out
    assert not index_path(path).exists()


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tar(tmp_path / "0.tar")
    index_path(tmp_path / "0.tar").mkdir()
    with pytest.raises(DataError):
        index(tmp_path)
    assert "0.tar: cannot be read, or the index not written ([Errno 21]" in capsys.readouterr().out


def test_the_command(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar")
    cut(tmp_path / "1.tar")
    command = [sys.executable, "-m", "shard_builder.index", str(tmp_path), "--workers", "2"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stdout.startswith("1 shard, 2 samples: 1 indexed now, 0 up to date\n")
    assert ended.stderr.endswith("error: 1 tar of 2 not indexed\n")
    assert "Traceback" not in ended.stderr
