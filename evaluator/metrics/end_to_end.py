"""Detection and recognition in one figure: a matched word earns 1 - CER, a missed or a false one nothing.

Two definitions stand side by side. Ours cuts a word's credit at 0; the seed's does not, so that one badly read short
word can eat the credit of others. The seed published 0.369 -> 0.710 as means of its page figures.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from rapidfuzz.distance import Levenshtein

from evaluator.metrics.cleval import ClevalCounts, FalsePositives, cleval_counts
from evaluator.metrics.matching import iou, match, on_dont_care, polygon_iou
from evaluator.metrics.page_words import PageWords

Matches = tuple[tuple[int, int], ...]
"""(reference, prediction) numbers of matched words, by falling IoU."""


class PageReading(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How one system read one page.

    Don't-care references are in no match and no count; nor are predictions on them (bool `on_dont_care_M`), unless
    they matched another word. `upright_matches` are those of the upright boxes, the only ones the seed knows; they
    differ from `matches` where quads were matched.
    """

    reference: PageWords
    prediction: PageWords
    matches: Matches
    upright_matches: Matches
    on_dont_care_M: np.ndarray
    cleval: ClevalCounts

    @property
    def num_reference(self) -> int:
        return int((~self.reference.dont_care_N).sum())

    @property
    def num_prediction(self) -> int:
        return num_counted(self, self.matches)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(reference, prediction) texts of the matched words."""
        return texts_of(self, self.matches)


def compare_page(
    reference: PageWords,
    prediction: PageWords,
    polygon: bool = False,
    false_positives: FalsePositives = "official",
) -> PageReading:
    """Match a page's words; by the upright boxes around them or, with `polygon`, by the quads themselves."""
    upright_matches = match_counted(reference, iou(reference.boxes_N4, prediction.boxes_N4))
    matches = match_counted(reference, polygon_iou(reference, prediction)) if polygon else upright_matches
    return PageReading(
        reference=reference,
        prediction=prediction,
        matches=matches,
        upright_matches=upright_matches,
        on_dont_care_M=on_dont_care(reference, prediction),
        cleval=cleval_counts(reference, prediction, false_positives),
    )


def match_counted(reference: PageWords, iou_NM: np.ndarray) -> Matches:
    """`matching.match` among all but the don't-care references."""
    return tuple(match(np.where(reference.dont_care_N[:, None], 0, iou_NM)))


def num_counted(reading: PageReading, matches: Matches) -> int:
    """Predictions without those that lie on don't-care words and matched no other."""
    matched = np.zeros_like(reading.on_dont_care_M)
    matched[[prediction for _, prediction in matches]] = True
    return int((matched | ~reading.on_dont_care_M).sum())


def texts_of(reading: PageReading, matches: Matches) -> list[tuple[str, str]]:
    references, predictions = reading.reference.texts, reading.prediction.texts
    return [(references[reference], predictions[prediction]) for reference, prediction in matches]


def credit(reference: str, prediction: str) -> float:
    """max(0, 1 - CER) of one pair; see `ocr.cer.TextCounts` for a reference without text."""
    return max(0.0, 1 - Levenshtein.distance(reference, prediction) / (len(reference) or 1))


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
    pairs = texts_of(reading, reading.upright_matches)
    total = math.fsum(credit_seed(reference, prediction) for reference, prediction in pairs)
    num_words = num_counted(reading, reading.upright_matches) + reading.num_reference
    return round(2 * total / num_words, 4) if pairs else 0.0
