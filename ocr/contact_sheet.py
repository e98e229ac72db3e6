"""Patches with their texts on one picture, to see at a glance what a recognizer is shown.

Every patch is scaled to one height, with its text below. A cell is as many columns wide as patch and text need, and
rows are filled from the widest cell to the narrowest, so that columns stay aligned and little room is lost.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocr.errors import UsageError

NUM_COLUMNS, COLUMN_WIDTH, GAP = 12, 104, 8
SHEET_WIDTH = NUM_COLUMNS * COLUMN_WIDTH + GAP
PATCH_HEIGHT = 48
MAX_SCALE = 4  # of a tiny patch: a dot of 4 pixels stays a dot
TEXT_SIZE, TITLE_SIZE = 17, 20
MAX_TEXT_LENGTH = SHEET_WIDTH // 4  # no text of more fits
ROW_HEIGHT = PATCH_HEIGHT + 2 * TEXT_SIZE + GAP
TITLE_HEIGHT = 2 * TITLE_SIZE
PAPER, CELL, INK, ALARM = (238, 240, 243), (255, 255, 255), (20, 24, 30), (190, 30, 30)

KOREAN_FONTS = (
    "NanumGothic.ttf",
    "NanumBarunGothic.ttf",
    "NotoSansKR-Regular.otf",
    "NotoSansKR-Regular.ttf",
    "NotoSansCJKkr-Regular.otf",
    "NotoSansCJK-Regular.ttc",
    "UnDotum.ttf",
    "malgun.ttf",
    "AppleSDGothicNeo.ttc",
    "AppleGothic.ttf",
)
"""Files of Korean faces that Pillow finds where Linux, macOS and Windows keep fonts."""


class SheetCell(msgspec.Struct, frozen=True):
    """A patch, uint8 grey (h, w) or RGB (h, w, 3), None for one that cannot be decoded; and its text."""

    patch: np.ndarray | None
    text: str


SheetSection = tuple[str, Sequence[SheetCell]]
"""(title, cells)"""


def contact_sheet(sections: Sequence[SheetSection]) -> Image.Image:
    """Draw sections of cells, one below the other. The same cells and font give the same pixels.

    Raises UsageError where there is no Korean font.
    """
    rows = [(title, cell_rows(cells)) for title, cells in sections]
    height = sum(TITLE_HEIGHT + ROW_HEIGHT * len(packed) for _, packed in rows) + GAP
    sheet = Image.new("RGB", (SHEET_WIDTH, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = 0
    for title, packed in rows:
        draw.text((GAP, y + GAP), fitting(title, SHEET_WIDTH - 2 * GAP, TITLE_SIZE), INK, font(TITLE_SIZE))
        y += TITLE_HEIGHT
        for row in packed:
            for column, span, cell in row:
                draw_cell(sheet, draw, GAP + column * COLUMN_WIDTH, y, span * COLUMN_WIDTH - GAP, cell)
            y += ROW_HEIGHT
    return sheet


PlacedCell = tuple[int, int, SheetCell]
"""(first column, number of columns, cell)"""


def cell_rows(cells: Iterable[SheetCell]) -> list[list[PlacedCell]]:
    """Rows of cells: each cell, the widest first, goes to the first row that has room for it."""
    rows: list[list[PlacedCell]] = []
    for span, cell in sorted(((span_of(cell), cell) for cell in cells), key=lambda item: -item[0]):
        row = next((row for row in rows if row[-1][0] + row[-1][1] + span <= NUM_COLUMNS), None)
        if row is None:
            rows.append([(0, span, cell)])
        else:
            row.append((row[-1][0] + row[-1][1], span, cell))
    return rows


def span_of(cell: SheetCell) -> int:
    """The columns that a cell needs for its patch and text, all of them at most."""
    width = max(shown_size(cell)[0], round(font(TEXT_SIZE).getlength(shown_text(cell)))) + 2 * GAP
    return min(-(-(width + GAP) // COLUMN_WIDTH), NUM_COLUMNS)


def shown_size(cell: SheetCell) -> tuple[int, int]:
    """(width, height) of the patch on the sheet: its own shape, PATCH_HEIGHT high where it fits."""
    if cell.patch is None:
        return PATCH_HEIGHT, PATCH_HEIGHT
    height, width = cell.patch.shape[:2]
    scale = min(PATCH_HEIGHT / height, MAX_SCALE, (SHEET_WIDTH - 4 * GAP) / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def shown_text(cell: SheetCell) -> str:
    return "".join(character if character.isprintable() else "�" for character in cell.text[:MAX_TEXT_LENGTH])


def draw_cell(sheet: Image.Image, draw: ImageDraw.ImageDraw, x: int, y: int, width: int, cell: SheetCell) -> None:
    draw.rectangle((x, y, x + width - 1, y + ROW_HEIGHT - GAP - 1), CELL)
    patch_width, patch_height = shown_size(cell)
    left, top = x + GAP, y + GAP // 2 + (PATCH_HEIGHT - patch_height) // 2
    if cell.patch is None:
        draw.line((left, top, left + patch_width, top + patch_height), ALARM, 2)
        draw.line((left, top + patch_height, left + patch_width, top), ALARM, 2)
    else:
        patch = Image.fromarray(np.ascontiguousarray(cell.patch))
        patch = patch.resize((patch_width, patch_height), Image.Resampling.LANCZOS)
        sheet.paste(patch, (left, top))
    text = fitting(shown_text(cell), width - 2 * GAP, TEXT_SIZE)
    draw.text((left, y + PATCH_HEIGHT + GAP), text, INK, font(TEXT_SIZE))


def fitting(text: str, width: int, size: int) -> str:
    """As much of a text as fits into a width."""
    shown = text
    while shown and font(size).getlength(shown) > width:
        shown = shown.removesuffix("…")[:-1] + "…"
    return shown


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The first Korean font of this machine. Raises UsageError where there is none."""
    for path in font_paths():
        try:
            found = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
        except OSError:  # not there, or in a format that FreeType does not read
            continue
        if found.getmask("가").getbbox() and bytes(found.getmask("가")) != bytes(found.getmask("\U0010ffff")):
            return found
    raise UsageError("no Korean font on this machine; pip install pylopdf-fonts-ko")


def font_paths() -> Iterator[str]:
    try:
        import pylopdf_fonts_ko

        yield str(pylopdf_fonts_ko.sans_path())
    except ImportError:
        pass
    yield from KOREAN_FONTS
    if fc_list := shutil.which("fc-list"):
        listed = subprocess.run([fc_list, ":lang=ko", "file"], capture_output=True, text=True, check=False)
        yield from sorted(line.rstrip(": ") for line in listed.stdout.splitlines())
