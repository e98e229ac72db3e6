"""`python -m shard_builder.verify`: a folder that is not what was built is named, and its remedy heals it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ocr.shards.manifest import CategoryCounts, Manifest, read_manifest, write_manifest, write_shard
from ocr.shards.shard_index import index_path, read_index, write_index
from shard_builder.index import find_tars, index_tars
from shard_builder.verify import verify
from tests.shard_builder.conftest import SHARD, TRAINING, WHOLE, build_small, flipped, problems


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
    build_small(built / "dataset", out)
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


def test_linked_folders_are_followed_once(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/linked").symlink_to(out)
    (out / "loop").symlink_to(out)
    verify(tmp_path / "here", workers=2)
    assert capsys.readouterr().out == WHOLE
