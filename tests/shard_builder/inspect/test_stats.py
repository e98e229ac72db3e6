"""`python -m shard_builder.stats`: what people are told of shards is what is in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.patch import fit
from ocr.shards.manifest import MANIFEST_NAME, find_shards, write_shard
from ocr.shards.shard_index import index_path
from shard_builder.build import build
from shard_builder.inspect.shard_folders import read_folder
from shard_builder.inspect.text_tables import LINE_COLUMNS, histogram, num_columns, table, wrapped
from shard_builder.inspect.word_table import random_cells, words_of
from shard_builder.splits import SPLITS
from shard_builder.stats import stats, width_when_read, write_sheet
from shard_builder.verify import verify
from tests.shard_builder.made_zips import jpeg, write_dataset

ROOT = Path(__file__).parents[3]
TRAINING = Path("training/select_data")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    write_dataset(folder / "dataset", 12, 8)
    build(Config(train_images=12, val_images=3, eval_images=2), folder / "dataset", folder / "out", SPLITS, workers=1)
    return folder / "out"


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "out"))


def printed(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    stats(root, seed=0)
    return capsys.readouterr().out.splitlines()


def test_each_split_has_its_tables(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(out, capsys)
    titles = [line.partition(":")[0] for line, below in pairwise(lines) if set(below) == {"="}]
    assert titles == ["evaluation", "training", "validation"]
    text = "\n".join(printed(out / TRAINING, capsys))
    for expected in (
        r"1 shard, 36 samples, 0\.\d MB, ",
        r"^pages +12\n  written +12 +100\.0%\nwords +36\n  written +36 +100\.0%$",
        r"^categories +pages +words +words a page\n  인\.허가 +12 +100\.0% +36 +100\.0% +3\.0$",
        r"^  \[라벨\]train\.zip +0\.0 +12$",
        r"jpeg_quality 95",
        r"opencv \d",
        r"^patch height, pixels: median 20, 99% up to 22, largest 22$",
        r"^ +22–23  █+ +12   33\.3%$",
        r"^text length, characters: median 3, 99% up to 4, largest 4$",
        r"^ +3  █+ +24   66\.7%$",
        r"^characters: 120, of 9 kinds; 0 fewer than 10 times, 0 once$",
        r"^most frequent\n  0 24",
        r"^outside the alphabet: 0 kinds, 0\.00% of all characters$",
    ):
        assert re.search(expected, text, re.MULTILINE), f"{expected}\n{text}"


def test_lines_fit_a_terminal(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert max(num_columns(line) for line in printed(out, capsys) if str(out) not in line) <= LINE_COLUMNS


def test_the_words_of_a_page_count_like_those_of_a_shard(out: Path) -> None:
    pages, words = words_of(read_folder(out / "evaluation")), words_of(read_folder(out / TRAINING))
    assert len(pages) == 2 * 3
    for name in ("width", "height", "length"):
        of_pages, of_words = (Counter(getattr(each, name).tolist()) for each in (pages, words))
        assert {value: 6 * number for value, number in of_pages.items()} == of_words


def test_tars_of_others_have_histograms_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = [(f"a{row}", {"jpg": jpeg(row, 60, 30), "txt": "하며,".encode()}) for row in range(5)]
    write_shard(tmp_path / "others.tar", [*samples, ("b", {"txt": "\u200b ".encode()})])
    text = "\n".join(printed(tmp_path, capsys))
    assert "no manifest, tars of others: 1 shard, 6 samples\n1 sample without a patch whose size can be read\n" in text
    assert "pixels at height 64: median 128, 99% up to 128, largest 128" in text
    assert "  , 5  며 5  하 5  space 1  U+200B 1" in text


def test_a_build_that_has_not_finished_is_said_to(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / TRAINING / MANIFEST_NAME).unlink()
    assert "no manifest, its build has not finished: 1 shard, 36 samples" in printed(out / TRAINING, capsys)


def test_a_lost_index_is_named(out: Path) -> None:
    index_path(out / TRAINING / "000000.tar").unlink()
    with pytest.raises(DataError, match=r"000000\.tar: no index beside it; run `python -m shard_builder\.index "):
        stats(out, seed=0)


def test_the_same_seed_draws_the_same_patches(out: Path) -> None:
    folder = read_folder(out / TRAINING)
    words = words_of(folder)
    first, again, other = (random_cells(folder, words, 10, seed) for seed in (0, 0, 1))
    assert len(first) == 10
    assert [cell.text for cell in first] == [cell.text for cell in again]
    assert all(
        np.array_equal(left.patch, right.patch)
        for left, right in zip(first, again, strict=True)
        if left.patch is not None and right.patch is not None
    )
    assert any(left.text != right.text for left, right in zip(first, other, strict=True))


@pytest.mark.parametrize("folder", ["evaluation", TRAINING])
def test_a_cell_shows_its_own_word(out: Path, folder: Path | str) -> None:
    sizes = {"김해시": (20, 60), "하며,": (20, 40), "2001": (22, 50)}
    cells = random_cells(read_folder(out / folder), words_of(read_folder(out / folder)), 99, seed=0)
    assert {cell.text for cell in cells} == set(sizes)
    assert all(cell.patch is not None and cell.patch.shape == sizes[cell.text] for cell in cells)


def test_a_patch_that_is_damaged_is_shown_as_such(out: Path) -> None:
    shard = out / TRAINING / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:2_000])
    folder = read_folder(out / TRAINING)
    cells = random_cells(folder, words_of(folder), 99, seed=0)
    assert sum(cell.patch is None for cell in cells) >= 35


def test_the_sheet_disturbs_nobody(out: Path) -> None:
    write_sheet(out / TRAINING / "contact_sheet.png", stats(out / TRAINING, seed=0))
    assert len(find_shards(str(out / TRAINING))) == 1
    verify(out, workers=1)


def test_a_sheet_that_cannot_be_written_is_one_line(out: Path) -> None:
    with pytest.raises(UsageError, match=r"name another place with --sheet FILE\.png"):
        write_sheet(out / "training/select_data/000000.tar/sheet.png", [])


@pytest.mark.parametrize("options", [(), ("--sheet", "elsewhere/sheet.png")])
def test_the_command(out: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "shard_builder.stats", str(out), *options]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    path = tmp_path / options[1] if options else out / "contact_sheet.png"
    assert ended.stdout.splitlines()[-1] == f"contact sheet: {options[1] if options else path}"
    with Image.open(path) as sheet:
        assert sheet.width > 1_000 and sheet.height > 300


@pytest.mark.parametrize("width, height", [(155, 57), (64, 64), (1_279, 64), (57, 155), (4, 4), (4, 90), (300, 1)])
def test_widths_are_those_that_a_recognizer_is_shown(width: int, height: int) -> None:
    shown = width_when_read(np.array([width]), np.array([height]))
    assert shown.tolist() == [fit(np.zeros((height, width), np.uint8)).shape[1]]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, 1, 2, 3], ["1", "2", "3"]),
        ([7], ["7"]),
        ([0] * 99 + [1_000], ["0", "1 …"]),
        (range(100), [f"{first}–{first + 9}" for first in range(0, 100, 10)]),
        ([1_100] * 3, ["1,100–1,199"]),
        ([], []),
    ],
)
def test_a_histogram_has_a_few_round_bars(values: list[int], labels: list[str]) -> None:
    lines = list(histogram(np.array(values, np.int64)))
    assert [line[:11].strip() for line in lines] == labels
    assert sum(int(line.split()[-2].replace(",", "")) for line in lines) == len(values)
    assert all(num_columns(line) <= LINE_COLUMNS for line in lines)


def test_columns_stay_aligned_beside_korean_letters() -> None:
    lines = list(table([("분류", "1"), ("ab", "1,000")]))
    assert lines == ["분류      1", "ab    1,000"]


def test_long_lists_are_wrapped() -> None:
    lines = list(wrapped((f"가{number}" for number in range(100)), indent=2))
    assert len(lines) > 1 and max(map(num_columns, lines)) <= LINE_COLUMNS
    assert " ".join(lines).split() == [f"가{number}" for number in range(100)]
