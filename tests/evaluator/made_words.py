"""Words of made-up pages, for the tests of the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluator.metrics.end_to_end import PageReading, compare_page
from evaluator.metrics.page_words import PageWords, page_words, quads_of

Boxed = Sequence[tuple[tuple[float, float, float, float], str]]
Line = Sequence[tuple[float, float, str]]
"""Words of one line, 20 pixels high, as (x0, x1, text)."""


def boxed(words: Boxed, dont_care: Sequence[int] = (), confidences: Sequence[float] | None = None) -> PageWords:
    """Words in upright boxes; those with a number in `dont_care` are so."""
    boxes_N4 = np.array([box for box, _ in words], dtype=float).reshape(-1, 4)
    flags = [number in dont_care for number in range(len(words))]
    return page_words(quads_of(boxes_N4), [text for _, text in words], flags, confidences)


def line(words: Line, dont_care: Sequence[int] = (), confidences: Sequence[float] | None = None) -> PageWords:
    return boxed([((x0, 0, x1, 20), text) for x0, x1, text in words], dont_care, confidences)


def reading(references: Line, predictions: Line, dont_care: Sequence[int] = ()) -> PageReading:
    return compare_page(line(references, dont_care), line(predictions))
