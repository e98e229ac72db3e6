"""Words written from top to bottom, which no recognizer of lines reads as they stand.

A Korean word in a narrow cell of a form stands its characters upright, one below the other: cut between them and read
one by one, it is read like any other ("split"). A word set along the page's edge lies on its side: turned back, it is
("turn", clockwise; "turn back", counterclockwise). Which it is, `evaluator.tune` asks the recognizer on validation
pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np

TallWords = Literal["as they are", "split", "turn", "turn back"]
WAYS: tuple[TallWords, ...] = ("as they are", "split", "turn", "turn back")

TALL = 1.5
"""Height over width from which a box is tall; the builder's own bound for what no recognizer of lines learns from."""

SLENDEREST, STOUTEST = 0.6, 1.8  # height over width that a character's share of a split word may have


def is_tall(width: float, height: float) -> bool:
    return height > TALL * width


def patches_to_read(patch: np.ndarray, tall_words: TallWords) -> list[np.ndarray]:
    """What a recognizer should be shown of a patch, uint8 grey (h, w): one patch, or one a character of a tall word."""
    height, width = patch.shape
    if not is_tall(width, height) or tall_words == "as they are":
        return [patch]
    if tall_words == "split":
        return split(patch)
    return [np.rot90(patch, 1 if tall_words == "turn back" else -1)]


def joined(readings: Sequence[tuple[str, float]]) -> tuple[str, float]:
    """Text and confidence of a word from those of its parts: as sure as the least sure of them."""
    return "".join(text for text, _ in readings), min(confidence for _, confidence in readings)


def split(patch: np.ndarray) -> list[np.ndarray]:
    """A tall patch cut into equal characters: into as many as let the cuts pass through the least ink."""
    height, width = patch.shape
    _, ink = cv2.threshold(patch, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    rows = np.flatnonzero(ink.any(axis=1))
    if not len(rows):
        return [patch]
    top, bottom, ink_H = int(rows[0]), int(rows[-1]) + 1, ink.sum(axis=1)
    tall = bottom - top
    fewest = max(int(np.ceil(tall / (STOUTEST * width))), 1)
    most = min(max(int(tall / (SLENDEREST * width)), 1), tall)  # a row each at least: a box may be 1 px wide
    if most < 2:
        return [patch]

    def cuts(number: int) -> np.ndarray:
        """Where `number` characters meet; as high as the word is, its first and last lack half a gap each."""
        return np.rint(np.linspace(top, bottom, number + 1)).astype(int)

    def ink_cut(number: int) -> float:
        inner = cuts(number)[1:-1]
        return float(ink_H[inner].mean()) if len(inner) else float(ink_H.max())

    number = min(range(max(fewest, 2), most + 1), key=lambda number: (ink_cut(number), abs(tall / number - width)))
    edges = cuts(number)
    edges[0], edges[-1] = 0, height
    return [patch[start:end] for start, end in pairwise(edges)]
