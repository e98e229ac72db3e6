"""`python -m shard_builder.verify`: whatever happens to the bytes of a shard is found, and named."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ocr.errors import UsageError
from ocr.shards.manifest import write_shard
from ocr.shards.shard_index import TAR_BLOCK, Index, index_path, read_index, scan_tar
from shard_builder.verify import verify
from tests.shard_builder.conftest import SHARD, WHOLE, flipped, problems

ROOT = Path(__file__).parents[3]


def test_shards_as_they_were_built_are_whole(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify(out, workers=2)
    assert capsys.readouterr().out == WHOLE


def end_of(index: Index, row: int) -> int:
    return int(index.sample_offset[row] + index.sample_bytes[row])


def text_header(index: Index, row: int) -> int:
    """Where the header of a sample's text lies: behind its patch and that one's padding."""
    size = int(index.patch_bytes[row])
    return int(index.patch_offset[row]) + size + -size % TAR_BLOCK


Damage = Callable[[bytes, Index], bytes]
SIZES = r"[\d,]+ bytes where [\d,]+ were written: "
KEY = r"5350109-2001-0001-\d{4}_[\d-]+"
DAMAGES: list[tuple[str, Damage, str]] = [
    (
        "cut at the border of a sample",
        lambda tar, index: tar[: end_of(index, 1)],
        SIZES + r"cut off at the border of a sample, at byte [\d,]+: 2 of 9 samples left; copy it again, or remove",
    ),
    (
        "cut inside a header",
        lambda tar, index: tar[: end_of(index, 1) + 100],
        SIZES + rf"cut off inside a header behind {KEY}\.txt, at byte [\d,]+: 2 of 9 samples left;",
    ),
    (
        "cut behind a patch",
        lambda tar, index: tar[: text_header(index, 2)],
        SIZES + rf"cut off behind {KEY}\.jpg, at byte [\d,]+: 2 of 9 samples left;",
    ),
    (
        "cut inside a patch",
        lambda tar, index: tar[: int(index.patch_offset[2]) + 100],
        SIZES + rf"cut off inside {KEY}\.jpg, at byte [\d,]+: 2 of 9 samples left;",
    ),
    (
        "cut inside a text",
        lambda tar, index: tar[: text_header(index, 2) + TAR_BLOCK + 1],
        SIZES + rf"cut off inside {KEY}\.txt, at byte [\d,]+: 2 of 9 samples left;",
    ),
    ("emptied", lambda tar, index: b"", SIZES + "cut off at the border of a sample, at byte 0: 0 of 9 samples left"),
    (
        "its end mark missing",
        lambda tar, index: tar[: end_of(index, 8)],
        SIZES + "its end mark is missing or damaged; all 9 samples are there;",
    ),
    ("its end mark damaged", lambda tar, index: flipped(tar, end_of(index, 8) + 9), "its end mark is missing or damag"),
    (
        "a byte of the first header flipped",
        lambda tar, index: flipped(tar, 5),
        r"a damaged header, at byte 0: 0 of 9 samples left;",
    ),
    (
        "a byte of a header flipped",
        lambda tar, index: flipped(tar, end_of(index, 4) + 130),
        rf"a damaged header behind {KEY}\.txt, at byte [\d,]+: 5 of 9 samples left;",
    ),
    (
        "a byte of a text's header flipped",
        lambda tar, index: flipped(tar, text_header(index, 2) + 3),
        rf"a damaged header behind {KEY}\.jpg, at byte [\d,]+: 2 of 9 samples left;",
    ),
    (
        "zeros instead of some blocks",
        lambda tar, index: tar[: end_of(index, 1)] + bytes(4 * TAR_BLOCK) + tar[end_of(index, 1) + 4 * TAR_BLOCK :],
        rf"zeros in place of a header behind {KEY}\.txt, at byte [\d,]+: 2 of 9 samples left;",
    ),
    (
        "a byte of a patch flipped",
        lambda tar, index: flipped(tar, int(index.patch_offset[3]) + 200),
        rf"changed inside the patch of {KEY}; copy it again, or remove it and run the same build again",
    ),
    (
        "a byte of a text flipped",
        lambda tar, index: flipped(tar, text_header(index, 3) + TAR_BLOCK),
        rf"changed inside the text of {KEY};",
    ),
    (
        "bytes of two patches and a text flipped",
        lambda tar, index: flipped(
            flipped(flipped(tar, int(index.patch_offset[1]) + 9), int(index.patch_offset[2]) + 9),
            text_header(index, 3) + TAR_BLOCK,
        ),
        rf"changed inside 2 patches, the first of {KEY} and the text of {KEY};",
    ),
    (
        "a byte of the padding flipped",
        lambda tar, index: flipped(tar, end_of(index, 3) - 1),
        "changed between its samples' patches and texts, which are whole;",
    ),
    (
        "a sample of its own put behind",
        lambda tar, index: tar[: end_of(index, 8)] + tar[: end_of(index, 0)] + bytes(2 * TAR_BLOCK),
        SIZES + "a whole tar of 10 samples, but not of the 9 that were written: the shard of another build, or changed",
    ),
]


@pytest.mark.parametrize(("damage", "line"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_a_shard_is_damaged(out: Path, capsys: pytest.CaptureFixture[str], damage: Damage, line: str) -> None:
    shard = out / SHARD
    index = read_index(shard)
    assert index and index.num_samples == 9
    shard.write_bytes(damage(shard.read_bytes(), index))
    [found] = problems(out, capsys)
    assert re.match(re.escape(f"{shard}: ") + line, found), found


def test_the_damaged_sample_is_named_by_its_key(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = out / SHARD
    index = read_index(shard)
    assert index
    key = shard.read_bytes()[int(index.sample_offset[7]) :].partition(b".jpg")[0].decode()
    shard.write_bytes(flipped(shard.read_bytes(), int(index.patch_offset[7])))
    assert f"changed inside the patch of {key};" in problems(out, capsys)[0]


def test_tars_of_others_are_held_against_their_indexes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = tmp_path / "others-0.tar"
    write_shard(shard, [(f"sample{row}", {"jpg": bytes(600), "txt": b"text"}) for row in range(4)])
    verify(tmp_path, workers=1)
    assert capsys.readouterr().out == "1 folder, 1 shard, 4 samples, 0.0 MB: whole\n"
    content, index = shard.read_bytes(), scan_tar(shard)
    shard.write_bytes(flipped(content, int(index.patch_offset[2]) + 5))
    [line] = problems(tmp_path, capsys)
    assert "others-0.tar: changed inside the patch of sample2; fetch it again, or, if it was meant to change" in line
    index_path(shard).write_bytes(b"")
    assert "others-0.index.npz: not the index of a shard" in problems(tmp_path, capsys)[0]
    index_path(shard).unlink()
    assert "1 shard without an index, the first: others-0.tar; run" in problems(tmp_path, capsys)[0]


def test_a_shard_that_cannot_be_read_is_named(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / SHARD).unlink()
    (out / SHARD).mkdir()
    assert "000001.tar: cannot be read ([Errno 21]" in problems(out, capsys)[0]


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_nothing_to_verify_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=f"{name}: no "):
        verify(tmp_path / name, workers=1)


def test_the_command_ends_with_1_and_a_summary(out: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "shard_builder.verify", str(out)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    ended = run()
    assert (ended.returncode, ended.stdout) == (0, WHOLE)
    (out / SHARD).write_bytes(b"")
    ended = run()
    assert ended.returncode == 1
    assert ended.stdout.count("\n") == 1
    summary = f"error: {out}: 1 problem in {WHOLE.removesuffix(': whole' + chr(10))}\n"
    assert ended.stderr.endswith(summary)
