"""Detection and recognition in one figure: a matched word earns 1 - CER, a missed or a false one nothing.

Two definitions stand side by side. Ours cuts a word's credit at 0; the seed's does not, so that one badly read short
word can eat the credit of others. The seed published 0.369 -> 0.710 as means of its page figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from rapidfuzz.distance import Levenshtein

from evaluator.matching import iou, match
from ocr.page import Word


class PageReading(msgspec.Struct, frozen=True):
    """How one system read one page: `pairs` holds the (reference, prediction) texts of the matched boxes."""

    num_reference: int
    num_prediction: int
    pairs: tuple[tuple[str, str], ...] = ()


def compare_page(words: Sequence[Word], boxes_M4: np.ndarray, texts: Sequence[str]) -> PageReading:
    """Match a page's words with predicted boxes (M, 4) and their texts, NFC both; see `matching.match`."""
    references_N4 = np.array([word.box for word in words], dtype=float).reshape(-1, 4)
    pairs = match(iou(references_N4, boxes_M4))
    return PageReading(
        num_reference=len(words),
        num_prediction=len(texts),
        pairs=tuple((words[reference].text, texts[prediction]) for reference, prediction in pairs),
    )


def credit(reference: str, prediction: str) -> float:
    """max(0, 1 - CER) of one pair; `reference` is not empty."""
    return max(0.0, 1 - Levenshtein.distance(reference, prediction) / len(reference))


def credit_seed(reference: str, prediction: str) -> float:
    """1 - CER as the seed has it from jiwer: not cut at 0, and blanks at both ends of a text do not count.

    The CER of a reference that is nothing but blanks is the number of predicted characters (jiwer 4).
    """
    reference, prediction = reference.strip(), prediction.strip()
    return 1 - Levenshtein.distance(reference, prediction) / (len(reference) or 1)


def total_credit(reading: PageReading) -> float:
    return math.fsum(credit(reference, prediction) for reference, prediction in reading.pairs)


def page_f1(reading: PageReading) -> float | None:
    """2 * credit / (predictions + references) of one page.

    0 where only one side has words; None where neither has, since a blank page that was read as blank says nothing.
    """
    num_words = reading.num_prediction + reading.num_reference
    return 2 * total_credit(reading) / num_words if num_words else None


def page_f1_seed(reading: PageReading) -> float:
    """The seed's figure of one page: 2PR / (P + R) with P = credit / predictions and R = credit / references.

    That is 2 * credit / (predictions + references), rounded to 4 decimals as its result.csv is. It can be negative.
    0 where no pair matched, a blank page read as blank included; also where the credits sum to exactly 0, where the
    seed divides by zero.
    """
    total = math.fsum(credit_seed(reference, prediction) for reference, prediction in reading.pairs)
    return round(2 * total / (reading.num_prediction + reading.num_reference), 4) if reading.pairs else 0.0
