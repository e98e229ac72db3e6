"""What became of each word of a page: the one definition behind every color and every count of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from evaluator.metrics.end_to_end import PageReading

FATES = ("right", "wrong", "missed", "false", "ignored")
"""A matched word whose text is right or wrong; a reference that no box matched; a predicted box that matched none; and
don't-care words with what was read on them."""


def reference_fates(reading: PageReading) -> list[str]:
    """One of `FATES` for each reference word, in order; never "false"."""
    fates = ["ignored" if dont_care else "missed" for dont_care in reading.reference.dont_care_N.tolist()]
    for reference, prediction in reading.matches:
        fates[reference] = text_fate(reading, reference, prediction)
    return fates


def prediction_fates(reading: PageReading) -> list[str]:
    """One of `FATES` for each predicted word, in order; never "missed"."""
    fates = ["ignored" if on_dont_care else "false" for on_dont_care in reading.on_dont_care_M.tolist()]
    for reference, prediction in reading.matches:
        fates[prediction] = text_fate(reading, reference, prediction)
    return fates


def text_fate(reading: PageReading, reference: int, prediction: int) -> str:
    return "right" if reading.reference.texts[reference] == reading.prediction.texts[prediction] else "wrong"


def count_fates(reading: PageReading) -> Counter[str]:
    """Words by fate, a matched pair once: right + wrong + missed are the references, right + wrong + false the boxes
    that count. Ignored words are left out.
    """
    fates = Counter(reference_fates(reading))
    fates["false"] = prediction_fates(reading).count("false")
    del fates["ignored"]
    return fates


def sum_fates(readings: Mapping[str, PageReading]) -> Counter[str]:
    """The counts of a system over all its pages."""
    summed = Counter[str]()
    for reading in readings.values():
        summed.update(count_fates(reading))
    return summed
