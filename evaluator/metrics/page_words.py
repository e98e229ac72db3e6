"""The words of one page on one side, reference or prediction, as every metric takes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import msgspec
import numpy as np

MAX_COORDINATE = 1e6
"""No page has a million pixels on a side; beyond it areas would lose digits, and NaN and infinity lie beyond it."""


class PageWords(msgspec.Struct, frozen=True, eq=False):
    """Words in the order they were given, as parallel arrays.

    quads_N42      float64, page pixels; corners clockwise from the text's top left, finite
    texts          NFC; may be empty
    dont_care_N    bool: counted neither as found nor as missed (references only)
    confidences_N  float64; 1 where the system says none
    """

    quads_N42: np.ndarray
    texts: tuple[str, ...]
    dont_care_N: np.ndarray
    confidences_N: np.ndarray

    @property
    def boxes_N4(self) -> np.ndarray:
        return hulls(self.quads_N42)


def page_words(
    quads_N42: np.ndarray,
    texts: Sequence[str],
    dont_care: Sequence[bool] | None = None,
    confidences: Sequence[float] | None = None,
) -> PageWords:
    """Words from arrays of any number type; texts are made NFC. Raises ValueError for a coordinate out of reach."""
    quads_N42 = np.asarray(quads_N42, dtype=np.float64).reshape(-1, 4, 2)
    inside = (np.abs(quads_N42) <= MAX_COORDINATE).all(axis=(1, 2))
    if not inside.all():
        number = int(np.argmin(inside))
        raise ValueError(f"word {number + 1}: {quads_N42[number].ravel().tolist()} are no page pixels")
    return PageWords(
        quads_N42=quads_N42,
        texts=tuple(unicodedata.normalize("NFC", text) for text in texts),
        dont_care_N=np.zeros(len(texts), bool) if dont_care is None else np.array(dont_care, bool),
        confidences_N=np.ones(len(texts)) if confidences is None else np.array(confidences, np.float64),
    )


NO_WORDS = page_words(np.empty((0, 4, 2)), ())


def quads_of(boxes_N4: np.ndarray) -> np.ndarray:
    """Upright boxes (N, 4) as quads (N, 4, 2)."""
    return np.asarray(boxes_N4)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def hulls(quads_N42: np.ndarray) -> np.ndarray:
    """The upright boxes (N, 4) around quads."""
    return np.concatenate([quads_N42.min(axis=1), quads_N42.max(axis=1)], axis=1)


def signed_areas(quads_N42: np.ndarray) -> np.ndarray:
    """Areas, positive where the corners go clockwise as one sees the page; a quad that crosses itself has less."""
    (x, y), (next_x, next_y) = np.moveaxis(quads_N42, 2, 0), np.moveaxis(np.roll(quads_N42, -1, axis=1), 2, 0)
    return np.asarray((x * next_y - next_x * y).sum(axis=1) / 2)


def in_turn(quads_N42: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quads with their corners put in turn, clockwise from the first one; and which quads (N,) that changed.

    Corners in another order (rows of a Z, counterclockwise) still name a region. Left as they are, a quad that
    crosses itself has no area to speak of, and CLEval takes a text's width for its height.
    """
    first, second, third, fourth = np.moveaxis(quads_N42, 1, 0)
    order_N4 = np.tile(np.arange(4), (len(quads_N42), 1))
    order_N4[cross(second, third, fourth, first)] = [0, 1, 3, 2]
    order_N4[cross(first, second, third, fourth)] = [0, 2, 1, 3]
    turned = np.take_along_axis(quads_N42, order_N4[..., None], axis=1)
    backward = signed_areas(turned) < 0
    order_N4[backward] = order_N4[backward][:, [0, 3, 2, 1]]
    changed = (order_N4 != np.arange(4)).any(axis=1)
    return np.take_along_axis(quads_N42, order_N4[..., None], axis=1), changed


def cross(start: np.ndarray, end: np.ndarray, other_start: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """Whether two segments (N, 2) pass through each other; touching is not crossing."""

    def side(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        along, to = end - start, point - start
        return np.asarray(np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]))

    apart = side(other_start, start, end) * side(other_end, start, end) < 0
    return np.asarray(apart & (side(start, other_start, other_end) * side(end, other_start, other_end) < 0))
