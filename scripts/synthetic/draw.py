"""Draw a sheet's ink, and find the box around the ink of every word."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ocr.page import Box
from synthetic import fonts
from synthetic.geometry import Geometry
from synthetic.sheet import VERTICAL_STEP, Rule, Seal, Sheet, Word

Layer = NDArray[np.uint8]  # (H, W): how much ink there is, 0 to 255
_BOLD = 0.034  # a bold letter is drawn twice, so far apart, in sizes


@dataclass(frozen=True)
class Drawing:
    """The canvas in black and red ink, and the words in page pixels; `red` is None where nothing is red."""

    black: Layer
    red: Layer | None
    words: list[tuple[Box, str]]


def draw(sheet: Sheet, rng: np.random.Generator) -> Drawing:
    """Draw the sheet at its geometry's scale."""
    black, red = (Image.new("L", sheet.geometry.canvas_size) for _ in range(2))
    pens = {is_red: ImageDraw.Draw(image) for is_red, image in ((False, black), (True, red))}
    scale = sheet.geometry.scale
    for rule in sheet.rules:
        _draw_rule(pens[rule.red], rule, scale)
    for seal in sheet.seals:
        _draw_seal(pens[True], seal, sheet.geometry, rng)
    words = []
    for word in sheet.words:
        hull = _draw_word(pens[word.red], word, scale)
        words.append((_loose_box(hull, sheet.geometry, rng), word.text))
    return Drawing(np.asarray(black), np.asarray(red) if red.getbbox() else None, words)


def _draw_word(pen: ImageDraw.ImageDraw, word: Word, scale: float) -> tuple[float, float, float, float]:
    """Draw one word and return the box of its ink on the canvas."""
    style, size = word.style, round(word.style.size * scale, 1)
    font = fonts.sized(style.face, size)
    shifts = (0, round(_BOLD * size)) if style.bold else (0,)
    hulls = []
    for text, x, y in _pieces(word, size, word.x * scale, word.y * scale):
        for shift in shifts:
            pen.text((x + shift, y), text, fill=255, font=font, anchor="ls")
            x0, y0, x1, y1 = fonts.ink_box(style.face, size, text)
            hulls.append((x + shift + x0, y + y0, x + shift + x1, y + y1))
    lefts, tops, rights, bottoms = zip(*hulls, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _pieces(word: Word, size: float, x: float, y: float) -> list[tuple[str, int, int]]:
    """Return what is drawn in one go, and where, in whole pixels: the word, or its characters one by one."""
    face = word.style.face
    if word.vertical:
        step = VERTICAL_STEP * size
        return [(c, round(x - fonts.advance(face, size, c) / 2), round(y + step * i)) for i, c in enumerate(word.text)]
    if not word.style.tracking:
        return [(word.text, round(x), round(y))]
    pieces = []
    for character in word.text:
        pieces.append((character, round(x), round(y)))
        x += fonts.advance(face, size, character) + word.style.tracking * size
    return [piece for piece in pieces if piece[0] != " "]


def _loose_box(hull: tuple[float, float, float, float], geometry: Geometry, rng: np.random.Generator) -> Box:
    """Return the upright box of a word as an annotator would drag it: the turned ink and some room on each side."""
    x0, y0, x1, y1 = hull
    corners = geometry.to_page(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    left, top, right, bottom = rng.uniform(0.06, 0.18, size=4) * max(min(y1 - y0, x1 - x0), 16 * geometry.scale)
    return math.floor(x0 - left), math.floor(y0 - top), math.ceil(x1 + right), math.ceil(y1 + bottom)


def _draw_rule(pen: ImageDraw.ImageDraw, rule: Rule, scale: float) -> None:
    points = [(x * scale, y * scale) for x, y in rule.points]
    pen.line(points, fill=235, width=max(1, round(rule.width * scale)), joint="curve" if len(points) > 2 else None)


def _draw_seal(pen: ImageDraw.ImageDraw, seal: Seal, geometry: Geometry, rng: np.random.Generator) -> None:
    """Draw a frame and, in its nine fields, bent strokes like those of seal script."""
    scale = geometry.scale
    width, height = seal.side / geometry.stretch * scale, seal.side * scale
    x, y = seal.x * scale, seal.y * scale
    line = max(1, round(9 * scale))
    outline = pen.ellipse if seal.is_round else pen.rectangle
    outline((x, y, x + width, y + height), outline=255, width=line)
    inset = 0.17 if seal.is_round else 0.07
    cell_w, cell_h = width * (1 - 2 * inset) / 3, height * (1 - 2 * inset) / 3
    for column in range(3):
        for row in range(3):
            left, top = x + inset * width + column * cell_w, y + inset * height + row * cell_h
            _carve(pen, left, top, cell_w, cell_h, line, rng)


def _carve(
    pen: ImageDraw.ImageDraw, x: float, y: float, width: float, height: float, line: int, rng: np.random.Generator
) -> None:
    """Fill one field of a seal with strokes that wind back and forth between its sides."""
    levels = np.linspace(0.1, 0.9, int(rng.integers(3, 6)))
    points: list[tuple[float, float]] = []
    for i, level in enumerate(levels):
        ends = (0.1, 0.88) if i % 2 == 0 else (0.88, 0.1)
        points += [(x + end * width, y + float(level) * height) for end in ends]
    for first, second in pairwise(points):
        if rng.random() < 0.85:
            pen.line([first, second], fill=255, width=line)
    stem = x + float(rng.uniform(0.3, 0.7)) * width
    pen.line([(stem, y + 0.1 * height), (stem, y + float(rng.uniform(0.4, 0.9)) * height)], fill=255, width=line)
