from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ocr.contact_sheet import (
    COLUMN_WIDTH,
    GAP,
    NUM_COLUMNS,
    PATCH_HEIGHT,
    SHEET_WIDTH,
    SheetCell,
    cell_rows,
    contact_sheet,
)

ROOT = Path(__file__).parents[2]


def patch(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


MANY = [SheetCell(patch(20 + 13 * index, 20 + index % 40), "하며," * (index % 7)) for index in range(60)]


def test_every_cell_has_a_place_of_its_own() -> None:
    rows = cell_rows(MANY)
    placed = [cell for row in rows for *_, cell in row]
    assert sorted(map(id, placed)) == sorted(map(id, MANY))
    for row in rows:
        columns = [column for first, span, _ in row for column in range(first, first + span)]
        assert columns == list(range(len(columns)))
        assert len(columns) <= NUM_COLUMNS


def test_the_widest_come_first_and_little_room_is_lost() -> None:
    rows = cell_rows(MANY)
    assert [row[0][1] for row in rows] == sorted((row[0][1] for row in rows), reverse=True)
    used = sum(span for row in rows for _, span, _ in row)
    assert used > 0.9 * NUM_COLUMNS * len(rows)


@pytest.mark.parametrize("color", [False, True])
def test_a_patch_of_the_sheets_height_is_shown_as_it_is(color: bool) -> None:
    shown = np.dstack([patch(80, PATCH_HEIGHT, seed) for seed in range(3)]) if color else patch(80, PATCH_HEIGHT)
    sheet = np.asarray(contact_sheet([("title", [SheetCell(shown, "글")])]))
    wanted = shown if color else np.dstack([shown] * 3)
    windows = np.lib.stride_tricks.sliding_window_view(sheet, wanted.shape)[:, 2 * GAP, 0]
    assert any(np.array_equal(window, wanted) for window in windows)


@pytest.mark.parametrize(
    "cell",
    [
        SheetCell(patch(4, 4), "."),
        SheetCell(patch(3_000, 40), "긴 줄 " * 500),
        SheetCell(patch(30, 900), "세로"),
        SheetCell(patch(1, 1), ""),
        SheetCell(patch(60, 20), "줄\n바꿈\0"),
        SheetCell(None, "깨진"),
    ],
    ids=["tiny", "long", "upright", "a pixel, no text", "unprintable text", "not decodable"],
)
def test_odd_cells_stay_inside_their_own(cell: SheetCell) -> None:
    good = SheetCell(patch(80, 40), "글")
    size = contact_sheet([("title", [good])]).size
    sheet = contact_sheet([("title" * 100, [cell])])
    assert sheet.size == size
    margin = np.asarray(sheet)[:, SHEET_WIDTH - GAP // 2 :]
    assert (margin == margin[0, 0]).all()


def test_sections_lie_one_below_the_other() -> None:
    one, none, two = (contact_sheet([section]).height for section in (("a", MANY[:1]), ("b", []), ("c", MANY[:40])))
    assert contact_sheet([("a", MANY[:1]), ("b", []), ("c", MANY[:40])]).height == one + none + two - 2 * GAP
    assert contact_sheet([("a", MANY)]).width == NUM_COLUMNS * COLUMN_WIDTH + GAP


def test_the_same_cells_give_the_same_pixels() -> None:
    assert contact_sheet([("a", MANY)]).tobytes() == contact_sheet([("a", MANY)]).tobytes()


NO_FONT = """
import sys
sys.modules["pylopdf_fonts_ko"] = None
from ocr.contact_sheet import contact_sheet
from ocr.errors import run_command
run_command(lambda: contact_sheet([("title", [])]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have Korean fonts of their own")
def test_a_machine_without_a_korean_font_is_told_which_package_to_install(tmp_path: Path) -> None:
    environment = {"PATH": "/nowhere", "HOME": str(tmp_path), "XDG_DATA_HOME": "/nowhere", "XDG_DATA_DIRS": "/nowhere"}
    ended = subprocess.run(
        [sys.executable, "-c", NO_FONT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "error: no Korean font on this machine; pip install pylopdf-fonts-ko\n"
