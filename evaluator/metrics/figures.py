"""Every figure of the evaluator, as a function of counts that are summed over pages first and divided last.

The names of `FIGURES` are the places in scores.json; None (null) there is a figure over nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from evaluator.metrics.end_to_end import PageReading, page_f1, page_f1_seed, total_credit
from evaluator.metrics.matching import generalized_iou
from ocr.cer import TextCounts

Amount = float | np.ndarray


class Sums(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is summed over pages: numbers for one page or all, float64 arrays (R,) for R resamples of the pages.

    `f1` adds up the page F1s of the `num_f1` pages with a word on either side; `cleval_…` are the fields of
    `cleval.ClevalCounts`.
    """

    pages: Amount
    num_reference: Amount
    num_prediction: Amount
    num_matched: Amount
    giou: Amount
    credit: Amount
    f1: Amount
    num_f1: Amount
    f1_seed: Amount
    num_equal: Amount
    num_edits: Amount
    num_characters: Amount
    cer: Amount
    one_minus_ned: Amount
    cleval_num_reference: Amount
    cleval_num_found: Amount
    cleval_num_detected: Amount
    cleval_num_read: Amount
    cleval_num_predicted: Amount
    cleval_extra_pieces: Amount
    cleval_extra_words: Amount
    cleval_num_split: Amount
    cleval_num_merged: Amount
    cleval_num_overlapped: Amount


def page_sums(reading: PageReading) -> Sums:
    """The summands of one page. A page that could not be read belongs in, with no prediction."""
    texts = TextCounts()
    for reference, prediction in reading.pairs:
        texts.add(reference, prediction)
    f1 = page_f1(reading)
    return Sums(
        pages=1,
        num_reference=reading.num_reference,
        num_prediction=reading.num_prediction,
        num_matched=len(reading.matches),
        giou=math.fsum(matched_giou(reading)),
        credit=total_credit(reading),
        f1=f1 or 0.0,
        num_f1=f1 is not None,
        f1_seed=page_f1_seed(reading),
        num_equal=texts.num_equal,
        num_edits=texts.num_edits,
        num_characters=texts.num_characters,
        cer=texts.sum_cer,
        one_minus_ned=texts.sum_one_minus_ned,
        **{f"cleval_{name}": count for name, count in msgspec.structs.asdict(reading.cleval).items()},
    )


def matched_giou(reading: PageReading) -> np.ndarray:
    references, predictions = np.array(reading.matches, dtype=int).reshape(-1, 2).T
    return generalized_iou(reading.reference.boxes_N4[references], reading.prediction.boxes_N4[predictions])


def total(pages: Sequence[Sums]) -> Sums:
    """The sums over pages, the same to the last digit in any order."""
    return Sums(**{name: math.fsum(getattr(page, name) for page in pages) for name in Sums.__struct_fields__})


def ratio(part: Amount, whole: Amount) -> np.ndarray:
    """part / whole; NaN over nothing."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0))


def harmonic_mean(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """2PR / (P + R); 0 where nothing was right, NaN where there was nothing on either side."""
    found, right = np.nan_to_num(recall), np.nan_to_num(precision)
    mean = np.nan_to_num(ratio(2 * found * right, found + right))
    return np.where(np.isnan(recall) & np.isnan(precision), np.nan, mean)


def cleval_detection_recall(sums: Sums) -> np.ndarray:
    return ratio(np.maximum(0, sums.cleval_num_found - sums.cleval_extra_pieces), sums.cleval_num_reference)


def cleval_detection_precision(sums: Sums) -> np.ndarray:
    return ratio(np.maximum(0, sums.cleval_num_found - sums.cleval_extra_words), sums.cleval_num_detected)


def cleval_recall(sums: Sums) -> np.ndarray:
    return ratio(np.maximum(0, sums.cleval_num_read - sums.cleval_extra_pieces), sums.cleval_num_reference)


def cleval_precision(sums: Sums) -> np.ndarray:
    return ratio(np.maximum(0, sums.cleval_num_read - sums.cleval_extra_words), sums.cleval_num_predicted)


FIGURES: dict[str, Callable[[Sums], np.ndarray]] = {
    "detection.precision": lambda sums: ratio(sums.num_matched, sums.num_prediction),
    "detection.recall": lambda sums: ratio(sums.num_matched, sums.num_reference),
    "detection.f1": lambda sums: ratio(2 * sums.num_matched, sums.num_prediction + sums.num_reference),
    "recognition.cer": lambda sums: ratio(sums.num_edits, sums.num_characters),
    "recognition.cer_macro": lambda sums: ratio(sums.cer, sums.num_matched),
    "recognition.accuracy": lambda sums: ratio(sums.num_equal, sums.num_matched),
    "recognition.one_minus_ned": lambda sums: ratio(sums.one_minus_ned, sums.num_matched),
    "end_to_end.precision": lambda sums: ratio(sums.credit, sums.num_prediction),
    "end_to_end.recall": lambda sums: ratio(sums.credit, sums.num_reference),
    "end_to_end.f1": lambda sums: ratio(2 * sums.credit, sums.num_prediction + sums.num_reference),
    "end_to_end.f1_page_mean": lambda sums: ratio(sums.f1, sums.num_f1),
    "end_to_end_seed.f1_page_mean": lambda sums: ratio(sums.f1_seed, sums.pages),
    "cleval.detection.recall": cleval_detection_recall,
    "cleval.detection.precision": cleval_detection_precision,
    "cleval.detection.hmean": lambda sums: harmonic_mean(
        cleval_detection_recall(sums), cleval_detection_precision(sums)
    ),
    "cleval.end_to_end.recall": cleval_recall,
    "cleval.end_to_end.precision": cleval_precision,
    "cleval.end_to_end.hmean": lambda sums: harmonic_mean(cleval_recall(sums), cleval_precision(sums)),
}

COUNTS = {
    "pages": "pages",
    "detection.num_matched": "num_matched",
    "detection.num_reference": "num_reference",
    "detection.num_prediction": "num_prediction",
    "recognition.num_pairs": "num_matched",
    "cleval.num_split": "cleval_num_split",
    "cleval.num_merged": "cleval_num_merged",
    "cleval.num_overlapped": "cleval_num_overlapped",
}
"""The whole numbers of scores.json, and the field of `Sums` each is."""


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


class ClevalFigures(msgspec.Struct, frozen=True, kw_only=True):
    """As the official package, but None where it says 0 for a figure over no character."""

    recall: float | None
    precision: float | None
    hmean: float | None


class ClevalScores(msgspec.Struct, frozen=True, kw_only=True):
    """Characters instead of boxes; see `evaluator.metrics.cleval`."""

    detection: ClevalFigures
    end_to_end: ClevalFigures
    num_split: int
    num_merged: int
    num_overlapped: int


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """scores.json."""

    pages: int
    detection: DetectionScores
    recognition: RecognitionScores
    end_to_end: EndToEndScores
    end_to_end_seed: EndToEndSeedScores
    cleval: ClevalScores


def scores_of(sums: Sums) -> Scores:
    values: dict[str, float | int | None] = {name: number(figure(sums)) for name, figure in FIGURES.items()}
    values |= {name: int(getattr(sums, field)) for name, field in COUNTS.items()}
    nested: dict[str, Any] = {}
    for place, value in values.items():
        *groups, name = place.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[name] = value
    return msgspec.convert(nested, Scores)


def number(figure: np.ndarray) -> float | None:
    return None if np.isnan(figure) else float(figure)
