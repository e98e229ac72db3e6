"""`python -m shard_builder.verify`: whatever happens to shards on a disk is found, and named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import shard_builder.plan
from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.index import BLOCK, Index, index_path, read_index, scan_tar, write_index
from ocr.shards import CategoryCounts, Manifest, read_manifest, write_manifest, write_shard
from shard_builder.build import build
from shard_builder.index import find_tars, index_tars
from shard_builder.splits import SPLITS
from shard_builder.verify import verify
from tests.shard_builder.made_zips import write_dataset

ROOT = Path(__file__).parents[2]
CONFIG = Config(train_images=12, val_images=3, eval_images=2)
TRAINING = Path("training/select_data")
SHARD = TRAINING / "000001.tar"
WHOLE = "3 folders, 6 shards, 47 samples, 0.2 MB: whole\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder `out`: training in four shards, validation and evaluation in one each; and the zips beside it."""
    folder = tmp_path_factory.mktemp("built")
    write_dataset(folder / "dataset", 12, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_builder.plan, "PAGES_A_GROUP", 3)
        build(CONFIG, folder / "dataset", folder / "out", SPLITS, workers=1)
        yield folder


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built / "out", tmp_path / "out"))


def problems(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that verify prints for shards that are not whole."""
    capsys.readouterr()
    with pytest.raises(DataError, match=r"problems? in \d folders?, \d shards?, "):
        verify(root, workers=2)
    return capsys.readouterr().out.splitlines()


def test_shards_as_they_were_built_are_whole(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify(out, workers=2)
    assert capsys.readouterr().out == WHOLE


def end_of(index: Index, row: int) -> int:
    return int(index.sample_offset[row] + index.sample_bytes[row])


def text_header(index: Index, row: int) -> int:
    """Where the header of a sample's text lies: behind its patch and that one's padding."""
    size = int(index.patch_bytes[row])
    return int(index.patch_offset[row]) + size + -size % BLOCK


def flipped(tar: bytes, at: int) -> bytes:
    return tar[:at] + bytes([tar[at] ^ 0x20]) + tar[at + 1 :]


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
        lambda tar, index: tar[: text_header(index, 2) + BLOCK + 1],
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
        lambda tar, index: tar[: end_of(index, 1)] + bytes(4 * BLOCK) + tar[end_of(index, 1) + 4 * BLOCK :],
        rf"zeros in place of a header behind {KEY}\.txt, at byte [\d,]+: 2 of 9 samples left;",
    ),
    (
        "a byte of a patch flipped",
        lambda tar, index: flipped(tar, int(index.patch_offset[3]) + 200),
        rf"changed inside the patch of {KEY}; copy it again, or remove it and run the same build again",
    ),
    (
        "a byte of a text flipped",
        lambda tar, index: flipped(tar, text_header(index, 3) + BLOCK),
        rf"changed inside the text of {KEY};",
    ),
    (
        "bytes of two patches and a text flipped",
        lambda tar, index: flipped(
            flipped(flipped(tar, int(index.patch_offset[1]) + 9), int(index.patch_offset[2]) + 9),
            text_header(index, 3) + BLOCK,
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
        lambda tar, index: tar[: end_of(index, 8)] + tar[: end_of(index, 0)] + bytes(2 * BLOCK),
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


def lose(path: Path) -> None:
    path.unlink()


def lose_index(path: Path) -> None:
    index_path(path).unlink()


def lose_index_and_flip_patch(path: Path) -> None:
    index = read_index(path)
    assert index
    path.write_bytes(flipped(path.read_bytes(), int(index.patch_offset[0])))
    index_path(path).unlink()


def lose_index_and_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:700])
    index_path(path).unlink()


def scribble_index(path: Path) -> None:
    index_path(path).write_bytes(b"PK")


def flip_index(path: Path) -> None:
    content = index_path(path).read_bytes()
    index_path(path).write_bytes(flipped(content, len(content) // 2))


def index_of_another(path: Path) -> None:
    shutil.copy(index_path(path.with_name("000002.tar")), index_path(path))


def other_texts_in_index(path: Path) -> None:
    index = read_index(path)
    assert index
    write_index(path, msgspec.structs.replace(index, text=index.text[::-1].copy()))


def other_shard(path: Path) -> None:
    shutil.copy(path.with_name("000003.tar"), path)


def other_build(path: Path) -> None:
    write_shard(path, [("another", {"jpg": b"another", "txt": b"another"})])


def other_build_without_its_index(path: Path) -> None:
    index = index_path(path).read_bytes()
    other_build(path)
    index_path(path).write_bytes(index)


def one_more(path: Path) -> None:
    write_shard(path.with_name("000009.tar"), [("another", {"jpg": b"another", "txt": b"another"})])


def one_more_index(path: Path) -> None:
    shutil.copy(index_path(path), index_path(path.with_name("000009.tar")))


def scribble_manifest(path: Path) -> None:
    path.with_name("manifest.json").write_text('{"split": 1}', encoding="utf-8")


def change_manifest(path: Path, **changes: object) -> Manifest:
    manifest = read_manifest(path.parent)
    assert manifest
    changed = msgspec.structs.replace(manifest, **changes)
    write_manifest(path.parent, changed)
    return manifest


def lose_a_shard_in_the_manifest(path: Path) -> None:
    manifest = change_manifest(path)
    change_manifest(path, shards=manifest.shards[:-1])
    path.with_name("000003.tar").unlink()
    index_path(path.with_name("000003.tar")).unlink()


def lose_a_category(path: Path) -> None:
    change_manifest(path, categories={"인.허가": CategoryCounts(11, 36)})


def wrong_number(path: Path) -> None:
    manifest = change_manifest(path)
    shards = [msgspec.structs.replace(shard, num_samples=shard.num_samples + 1) for shard in manifest.shards]
    change_manifest(path, shards=(*manifest.shards[:1], shards[1], *manifest.shards[2:]), words={"written": 37})


def never_finished(path: Path) -> None:
    path.with_name("manifest.json").unlink()
    (path.parent / ".build/000003.json").unlink()


def no_trace_of_the_build(path: Path) -> None:
    path.with_name("manifest.json").unlink()
    shutil.rmtree(path.parent / ".build")
    index_path(path).unlink()
    lose(path.with_name("000003.tar"))


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lose, [r"000001\.tar: not there; copy it again, or remove it and run the same build again"]),
        (lose_index, [r"select_data: 1 shard without an index, the first: 000001\.tar; run `.*shard_builder\.index "]),
        (
            lose_index_and_flip_patch,
            [r"1 shard without an index", r"000001\.tar: other bytes than were written; which ones cannot be told"],
        ),
        (
            lose_index_and_cut,
            [r"1 shard without an index", r"000001\.tar: 700 bytes where .* written: cut off inside .*\.jpg, at byte"],
        ),
        (
            scribble_index,
            [r"000001\.index\.npz: not the index of a shard \(.*\); run `python -m shard_builder\.index`"],
        ),
        (flip_index, [r"000001\.index\.npz: not the index of "]),
        (index_of_another, [r"000001\.index\.npz: not the index of the tar beside it; remove it and run `.*index "]),
        (other_texts_in_index, [r"000001\.index\.npz: not the index of the tar beside it; remove it and run"]),
        (other_shard, [r"000001\.tar: holds what 000003\.tar should; copy it again"]),
        (other_build, [r"000001\.tar: the shard of another build, with its index; copy it again"]),
        (other_build_without_its_index, [r"000001\.tar: .*: a whole tar of 1 sample, but not of the 9 that were"]),
        (
            one_more,
            [
                r"000009\.tar: manifest\.json does not name it; two builds may be mixed here: move or remove it",
                r"000009\.index\.npz: manifest\.json does not name it",
            ],
        ),
        (one_more_index, [r"000009\.index\.npz: manifest\.json does not name it"]),
        (scribble_manifest, [r"manifest\.json: not a manifest of shards: .*; remove it and build again"]),
        (lose_a_shard_in_the_manifest, [r"manifest\.json: 27 samples where 36 were written; remove the manifest and"]),
        (lose_a_category, [r"manifest\.json: 11 pages by category where 12 were written"]),
        (wrong_number, [r"manifest.json: 36 words by cat", r"manifest\.json: 000001\.tar holds 9 samples, not 10"]),
        (never_finished, [r"select_data: a build has not finished here, 3 shards so far: .* run the same `python -m "]),
        (
            no_trace_of_the_build,
            [
                r"000003\.index\.npz: the tar it was made of is not there; fetch that again, or remove the index",
                r"select_data: 1 shard without an index, the first: 000001\.tar; run `.*shard_builder\.index ",
            ],
        ),
    ],
)
def test_a_folder_is_not_what_was_built(
    out: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None], lines: list[str]
) -> None:
    change(out / SHARD)
    found = problems(out, capsys)
    assert len(found) == len(lines), found
    for line, expected in zip(found, lines, strict=True):
        assert re.search(expected, line), line


def test_an_index_packed_otherwise_is_the_same_index(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = index_path(out / SHARD)
    with np.load(path) as arrays:
        np.savez_compressed(path, **arrays)
    verify(out, workers=2)
    assert capsys.readouterr().out == WHOLE


def test_what_killed_runs_left_behind_is_harmless(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / TRAINING / ".000001.tar.tmp-0123456789ab").write_bytes(b"half")
    (out / TRAINING / ".build/.000000.json.tmp-0123456789ab").write_bytes(b"half")
    verify(out, workers=2)
    printed = capsys.readouterr().out
    assert "select_data: 2 files half-written by a run that was killed, the first: .000001.tar.tmp-012" in printed
    assert printed.endswith(WHOLE)


@pytest.mark.parametrize("change", [lose, other_build, other_shard])
def test_the_remedy_for_a_shard_heals_it(
    built: Path, out: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    change(out / SHARD)
    assert "remove it and run the same build again" in problems(out, capsys)[0]
    (out / SHARD).unlink(missing_ok=True)
    build(CONFIG, built / "dataset", out, SPLITS, workers=1)
    capsys.readouterr()
    verify(out, workers=2)
    assert capsys.readouterr().out == WHOLE


@pytest.mark.parametrize("change", [lose_index, scribble_index, index_of_another, other_texts_in_index])
def test_the_remedy_for_an_index_heals_it(
    out: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    change(out / SHARD)
    if "remove it" in problems(out, capsys)[0]:
        lose_index(out / SHARD)
    index_tars(find_tars([str(out)]), workers=1)
    capsys.readouterr()
    verify(out, workers=2)
    assert capsys.readouterr().out == WHOLE


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


def test_linked_folders_are_followed_once(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/linked").symlink_to(out)
    (out / "loop").symlink_to(out)
    verify(tmp_path / "here", workers=2)
    assert capsys.readouterr().out == WHOLE


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
