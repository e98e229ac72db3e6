"""A sheet that fills up: where each word, rule, seal and pen stroke goes, in layout coordinates.

`y` of a word is its base line. A line of text of size s takes about 0.88 s above the base line and 0.12 s below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from synthetic import fonts
from synthetic.fonts import Face
from synthetic.geometry import Geometry
from synthetic.writer import Writer

MIDDLE = 0.37  # from the middle of a line of text down to its base line, in sizes
VERTICAL_STEP = 1.1  # from character to character of a vertical word, in sizes
_JOINED_SHARE = 0.04

Align = Literal["left", "center", "right"]
Frame = tuple[float, float, float, float]  # (x0, y0, x1, y1) of a table's cell


@dataclass(frozen=True)
class Style:
    """How text looks: `tracking` is the extra room after each character, in sizes."""

    face: Face
    size: float
    bold: bool = False
    tracking: float = 0.0

    def sized(self, factor: float, bold: bool | None = None) -> Style:
        return replace(self, size=round(self.size * factor, 1), bold=self.bold if bold is None else bold)

    def advance(self, text: str) -> float:
        return fonts.advance(self.face, self.size, text) + len(text) * self.tracking * self.size


@dataclass(frozen=True)
class Word:
    """A text in one piece, written rightward from (x, y) or, if vertical, downward and centered on x."""

    text: str
    x: float
    y: float
    style: Style
    vertical: bool = False
    red: bool = False


@dataclass(frozen=True)
class Rule:
    """A line of black or red ink; a pen stroke has more than two points."""

    points: tuple[tuple[float, float], ...]
    width: float
    red: bool = False


@dataclass(frozen=True)
class Seal:
    """A red office seal: square or round, with carved strokes nobody can read."""

    x: float
    y: float
    side: float
    is_round: bool


@dataclass
class Sheet:
    """What is on a page so far, and what the whole page shares: its writer, its body style, its margins."""

    geometry: Geometry
    writer: Writer
    body: Style
    title: Style
    faces: tuple[Face, ...]
    gap: float  # between words, in sizes
    pitch: float  # from line to line, in sizes
    left: float
    right: float
    top: float
    bottom: float
    words: list[Word] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    seals: list[Seal] = field(default_factory=list)

    def put(self, text: str, x: float, y: float, style: Style, vertical: bool = False, red: bool = False) -> float:
        """Write one word and return where it ends. A text that no face can draw is left out."""
        face = fonts.covering(text, style.face, self.faces)
        if face is None:
            return x
        style = replace(style, face=face)
        self.words.append(Word(text, x, y, style, vertical, red))
        return x + style.advance(text)

    def row(self, words: Sequence[str], x: float, y: float, style: Style, red: bool = False) -> float:
        """Write words side by side and return where the last ends."""
        for word in self.join(words):
            end = self.put(word, x, y, style, red=red)
            x = end + self.gap * style.size
        return x - self.gap * style.size

    def row_width(self, words: Sequence[str], style: Style) -> float:
        return sum(map(style.advance, words)) + (len(words) - 1) * self.gap * style.size

    def center(self, words: Sequence[str], x: float, y: float, style: Style) -> None:
        self.row(words, x - self.row_width(words, style) / 2, y, style)

    def spread(self, text: str, left: float, right: float, y: float, style: Style) -> None:
        """Write a letter-spaced text, a word a character, from left to right."""
        room = right - left - sum(map(style.advance, text))
        step = room / max(1, len(text) - 1)
        for character in text:
            left = self.put(character, left, y, style) + step

    def flow(self, words: Sequence[str], left: float, y: float, style: Style, hang: float = 0.0) -> float:
        """Write words over as many lines as they need, later ones `hang` further in; return the next base line.

        Stops at the bottom margin, and says so by a base line below it.
        """
        x = left
        for word in self.join(words):
            if x > left and x + style.advance(word) > self.right:
                left, hang = left + hang, 0.0
                x, y = left, y + self.pitch * style.size
            if y > self.bottom:
                break
            x = self.put(word, x, y, style) + self.gap * style.size
        return y + self.pitch * style.size

    def join(self, words: Sequence[str]) -> list[str]:
        """Return the words with some short neighbors made one, as the labels of the real set have them."""
        joined: list[str] = []
        for word in words:
            if joined and len(joined[-1] + word) < 9 and self.writer.chance(_JOINED_SHARE):
                joined[-1] += " " + word
            else:
                joined.append(word)
        return joined

    def rule(self, x0: float, y0: float, x1: float, y1: float, width: float = 4, red: bool = False) -> None:
        self.rules.append(Rule(((x0, y0), (x1, y1)), width, red))

    def frame(
        self, xs: Sequence[float], ys: Sequence[float], width: float = 4, outer: float = 4, red: bool = False
    ) -> None:
        """Rule a grid whose lines lie at `xs` and `ys`."""
        for x in xs:
            self.rule(x, ys[0], x, ys[-1], outer if x in (xs[0], xs[-1]) else width, red)
        for y in ys:
            self.rule(xs[0], y, xs[-1], y, outer if y in (ys[0], ys[-1]) else width, red)

    def cell(self, words: Sequence[str], box: Frame, style: Style, align: Align, red: bool = False) -> None:
        """Write words on one line in a cell, clear of its rules; leave out those there is no room for."""
        x0, y0, x1, y1 = box
        pad = 0.35 * style.size
        kept = list(words)
        while kept and self.row_width(kept, style) > x1 - x0 - 2 * pad:
            kept.pop()
        if not kept or y1 - y0 < 1.3 * style.size:
            return
        free = x1 - x0 - 2 * pad - self.row_width(kept, style)
        start = x0 + pad + {"left": 0.0, "center": free / 2, "right": free}[align]
        self.row(kept, start, (y0 + y1) / 2 + MIDDLE * style.size, style, red)

    def label_cell(self, text: str, box: Frame, style: Style) -> None:
        """Write a form label in its cell, letter-spaced where it is short and there is room."""
        x0, y0, x1, y1 = box
        if 2 <= len(text) <= 3 and style.advance(text) < 0.5 * (x1 - x0) and self.writer.chance(0.35):
            half = min((x1 - x0) / 2 - 0.5 * style.size, style.size * (0.5 + len(text)))
            inset = (x1 - x0) / 2 - half
            self.spread(text, x0 + inset, x1 - inset, (y0 + y1) / 2 + MIDDLE * style.size, style)
        else:
            self.cell([text], box, style, "center")

    def vertical_cell(self, text: str, box: Frame, style: Style) -> None:
        """Write a text top to bottom in the middle of a cell, if it fits."""
        x0, y0, x1, y1 = box
        height = len(text) * VERTICAL_STEP * style.size
        if height < y1 - y0 - 0.4 * style.size and x1 - x0 > 1.3 * style.size:
            self.put(text, (x0 + x1) / 2, (y0 + y1 - height) / 2 + 0.93 * style.size, style, vertical=True)
