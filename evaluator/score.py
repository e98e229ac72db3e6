"""Scores of one system over all pages: counts are summed first and divided last.

Field names are those of the evaluator's public JSON; None (null) is a figure over nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from evaluator.end_to_end import PageReading, page_f1, page_f1_seed, total_credit
from ocr.cer import TextCounts


class DetectionScores(msgspec.Struct, frozen=True, kw_only=True):
    """Boxes alone, matched one to one at IoU >= 0.5."""

    precision: float | None
    recall: float | None
    f1: float | None
    num_matched: int
    num_reference: int
    num_prediction: int


class RecognitionScores(msgspec.Struct, frozen=True, kw_only=True):
    """Texts of the matched boxes alone; see `ocr.cer.TextCounts`."""

    cer: float | None
    cer_macro: float | None
    accuracy: float | None
    one_minus_ned: float | None
    num_pairs: int


class EndToEndScores(msgspec.Struct, frozen=True, kw_only=True):
    """max(0, 1 - CER) summed over the matched boxes; `f1_page_mean` leaves out pages with no word on either side."""

    precision: float | None
    recall: float | None
    f1: float | None
    f1_page_mean: float | None


class EndToEndSeedScores(msgspec.Struct, frozen=True, kw_only=True):
    """The seed's figure, over every page; see `end_to_end.page_f1_seed`."""

    f1_page_mean: float | None


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    pages: int
    detection: DetectionScores
    recognition: RecognitionScores
    end_to_end: EndToEndScores
    end_to_end_seed: EndToEndSeedScores


def scores_of(readings: Sequence[PageReading]) -> Scores:
    """The scores over a set of pages; a page that could not be read belongs in, with no prediction."""
    num_reference = sum(reading.num_reference for reading in readings)
    num_prediction = sum(reading.num_prediction for reading in readings)
    num_matched = sum(len(reading.pairs) for reading in readings)
    credit = math.fsum(total_credit(reading) for reading in readings)
    page_f1s = [f1 for reading in readings if (f1 := page_f1(reading)) is not None]
    page_f1s_seed = [page_f1_seed(reading) for reading in readings]
    return Scores(
        pages=len(readings),
        detection=DetectionScores(
            precision=ratio(num_matched, num_prediction),
            recall=ratio(num_matched, num_reference),
            f1=ratio(2 * num_matched, num_prediction + num_reference),
            num_matched=num_matched,
            num_reference=num_reference,
            num_prediction=num_prediction,
        ),
        recognition=recognition_scores(readings),
        end_to_end=EndToEndScores(
            precision=ratio(credit, num_prediction),
            recall=ratio(credit, num_reference),
            f1=ratio(2 * credit, num_prediction + num_reference),
            f1_page_mean=ratio(math.fsum(page_f1s), len(page_f1s)),
        ),
        end_to_end_seed=EndToEndSeedScores(f1_page_mean=ratio(math.fsum(page_f1s_seed), len(page_f1s_seed))),
    )


def recognition_scores(readings: Sequence[PageReading]) -> RecognitionScores:
    counts = TextCounts()
    for reading in readings:
        for reference, prediction in reading.pairs:
            counts.add(reference, prediction)
    return RecognitionScores(
        cer=counts.cer,
        cer_macro=counts.cer_macro,
        accuracy=counts.accuracy,
        one_minus_ned=counts.one_minus_ned,
        num_pairs=counts.num_pairs,
    )


def ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
