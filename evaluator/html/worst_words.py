"""The words that were read worst, by system, and the boxes that their patches are cut from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest

import msgspec
import numpy as np
from rapidfuzz.distance import Levenshtein

from evaluator.html.page_data import page_name, rounded
from evaluator.metrics.end_to_end import PageReading
from evaluator.metrics.matching import iou
from ocr.page import Box, Page, clip

NUM_WORST = 300
"""Of each system. Nobody looks at more, and each patch is a file."""

MARGIN = 0.15
"""Of a patch's height, on every side: what the boxes cut off is often the reason."""


class WorstWord(msgspec.Struct, frozen=True, array_like=True):
    """A matched word with a wrong text. `page` and `prediction` are numbers; no patch lies off the page."""

    page: int
    prediction: int
    reference_text: str
    text: str
    edits: int
    confidence: float
    iou: float
    patch: Box | None


class Misread(msgspec.Struct, frozen=True, order=True):
    """Sorts by falling edits; of equal ones the surer first: what is confidently wrong teaches most."""

    minus_edits: int
    minus_confidence: float
    page: int
    prediction: int
    reference: int


def worst_words(labels: Mapping[str, Page], readings: Mapping[str, PageReading]) -> list[WorstWord]:
    """One system's, the worst first."""
    pages = list(labels.items())
    worst = nsmallest(NUM_WORST, misread([readings[key] for key in labels]))
    return [worst_word(word, readings[pages[word.page][0]], pages[word.page][1]) for word in worst]


def misread(readings: Sequence[PageReading]) -> Iterator[Misread]:
    for page, reading in enumerate(readings):
        for reference, prediction in reading.matches:
            edits = Levenshtein.distance(reading.reference.texts[reference], reading.prediction.texts[prediction])
            if edits:
                confidence = float(reading.prediction.confidences_N[prediction])
                yield Misread(-edits, -confidence, page, prediction, reference)


def worst_word(word: Misread, reading: PageReading, label: Page) -> WorstWord:
    reference_14 = reading.reference.boxes_N4[[word.reference]]
    prediction_14 = reading.prediction.boxes_N4[[word.prediction]]
    return WorstWord(
        page=word.page,
        prediction=word.prediction,
        reference_text=reading.reference.texts[word.reference],
        text=reading.prediction.texts[word.prediction],
        edits=-word.minus_edits,
        confidence=rounded(-word.minus_confidence),
        iou=rounded(float(iou(reference_14, prediction_14)[0, 0])),
        patch=patch_box(np.concatenate([reference_14, prediction_14]), label),
    )


def patch_box(boxes_24: np.ndarray, label: Page) -> Box | None:
    """What holds both boxes and a margin, as far as it lies on the page."""
    (x0, y0), (x1, y1) = boxes_24[:, :2].min(axis=0).tolist(), boxes_24[:, 2:].max(axis=0).tolist()
    margin = MARGIN * (y1 - y0)
    box = (round(x0 - margin), round(y0 - margin), round(x1 + margin), round(y1 + margin))
    return clip(box, label.width, label.height)


def patches_by_page(worst: Iterable[Sequence[WorstWord]]) -> dict[int, dict[str, Box]]:
    """The patches to cut of each page, by name. Systems that share a detector share a patch."""
    patches: dict[int, dict[str, Box]] = {}
    for words in worst:
        for word in words:
            if word.patch is not None:
                name = "-".join([page_name(word.page), *map(str, word.patch)])
                patches.setdefault(word.page, {})[name] = word.patch
    return patches
