"""What a reader of one format finds in a file, before anything is checked against the other side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec

from evaluator.metrics.page_words import MAX_COORDINATE

Coordinate = Annotated[float, msgspec.Meta(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
Point = tuple[Coordinate, Coordinate]
Quad = tuple[float, float, float, float, float, float, float, float]
"""x1, y1, … x4, y4, clockwise from the top left of the text."""

EMPTY_TEXT = "empty text"


class FoundWord(msgspec.Struct):
    """`confidence` only ranks the words of one system; 1 where it gives none."""

    quad: Quad
    text: str
    dont_care: bool = False
    confidence: float = 1.0


class FoundPage(msgspec.Struct):
    """Words of one page, and how many were refused, by reason.

    `name` is None where the page is called as its file is; `line` is where it stands in a file of several pages.
    """

    words: list[FoundWord]
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    name: str | None = None
    line: int | None = None


def box_quad(x0: float, y0: float, x1: float, y1: float) -> Quad:
    """The quad of an upright box, which may be without area. Raises ValueError for one that is inverted, or NaN."""
    if x1 < x0 or y1 < y0:
        raise ValueError(f"the box {[x0, y0, x1, y1]} is inverted; a box is [x0, y0, x1, y1], not x, y, width, height")
    return on_a_page((x0, y0, x1, y0, x1, y1, x0, y1))


def corner_quad(corners: Sequence[tuple[float, float]]) -> Quad:
    """Four corners as they are; a polygon of any other number by the upright box around it. ValueError for none."""
    if not corners:
        raise ValueError("a region without corners")
    if len(corners) == 4:
        (x1, y1), (x2, y2), (x3, y3), (x4, y4) = corners
        return on_a_page((x1, y1, x2, y2, x3, y3, x4, y4))
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return box_quad(min(xs), min(ys), max(xs), max(ys))


def on_a_page(quad: Quad) -> Quad:
    """The quad; ValueError where a coordinate is NaN, infinite or beyond any page."""
    if not all(abs(coordinate) <= MAX_COORDINATE for coordinate in quad):
        raise ValueError(f"{list(quad)} are no page pixels")
    return quad
