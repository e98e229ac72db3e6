"""What the browser is told: a row a page for the list, and for each page a file of its own with all words.

The structs are arrays in JSON where there are many of them; `data.js` says which place means what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from rapidfuzz.distance import Levenshtein

from evaluator.html.outcomes import FATES, count_fates, prediction_fates, reference_fates
from evaluator.metrics.end_to_end import PageReading, page_f1
from evaluator.metrics.matching import iou, is_upright
from ocr.cer import TextCounts
from ocr.page import Page

Corners = list[float]
"""x0, y0, x1, y1 of an upright box, or the eight numbers of a quad; page pixels."""


class ListedSystem(msgspec.Struct, frozen=True, array_like=True):
    """How one system read one page."""

    f1: float | None
    cer: float | None
    right: int
    wrong: int
    missed: int
    false: int


class ListedPage(msgspec.Struct, frozen=True, array_like=True):
    """A line of the page list; `failure` is empty for a page that was read."""

    key: str
    category: str
    num_words: int
    failure: str
    systems: list[ListedSystem]


class ReferenceWord(msgspec.Struct, frozen=True, array_like=True):
    corners: Corners
    text: str


class PredictedWord(msgspec.Struct, frozen=True, array_like=True):
    """`fate` is a place in `FATES`; `reference` and `iou` are None where no reference matched."""

    corners: Corners
    text: str
    confidence: float
    fate: int
    reference: int | None
    iou: float | None
    edits: int


class SystemWords(msgspec.Struct, frozen=True):
    """One system's words on a page; `fates` are those of the page's references."""

    fates: list[int]
    words: list[PredictedWord]


class PageData(msgspec.Struct, frozen=True, kw_only=True):
    """All words of a page. `scan` is whether there is an image of it."""

    width: int
    height: int
    scan: bool
    references: list[ReferenceWord]
    systems: list[SystemWords]


def listed_page(key: str, label: Page, readings: Sequence[PageReading], failure: str) -> ListedPage:
    """`readings` holds one for each system."""
    return ListedPage(
        key, label.category, readings[0].num_reference, failure, [listed_system(page) for page in readings]
    )


def listed_system(reading: PageReading) -> ListedSystem:
    texts, fates = TextCounts(), count_fates(reading)
    for reference, prediction in reading.pairs:
        texts.add(reference, prediction)
    return ListedSystem(
        None if (f1 := page_f1(reading)) is None else rounded(f1),
        None if texts.cer is None else rounded(texts.cer),
        *(fates[fate] for fate in ("right", "wrong", "missed", "false")),
    )


def page_data(label: Page, readings: Sequence[PageReading], scan: bool) -> PageData:
    reference = readings[0].reference
    return PageData(
        width=label.width,
        height=label.height,
        scan=scan,
        references=[
            ReferenceWord(place, text)
            for place, text in zip(corners(reference.quads_N42), reference.texts, strict=True)
        ],
        systems=[
            SystemWords([FATES.index(fate) for fate in reference_fates(page)], predicted_words(page))
            for page in readings
        ],
    )


def predicted_words(reading: PageReading) -> list[PredictedWord]:
    prediction, matched = reading.prediction, {found: place for place, found in reading.matches}
    overlaps_NM = iou(reading.reference.boxes_N4, prediction.boxes_N4)
    words = []
    for number, (place, fate) in enumerate(zip(corners(prediction.quads_N42), prediction_fates(reading), strict=True)):
        text, reference = prediction.texts[number], matched.get(number)
        words.append(
            PredictedWord(
                corners=place,
                text=text,
                confidence=rounded(float(prediction.confidences_N[number])),
                fate=FATES.index(fate),
                reference=reference,
                iou=None if reference is None else rounded(float(overlaps_NM[reference, number])),
                edits=0 if reference is None else Levenshtein.distance(reading.reference.texts[reference], text),
            )
        )
    return words


def corners(quads_N42: np.ndarray) -> list[Corners]:
    """Upright quads as four numbers, half the size on disk; tenths of a pixel are more than a screen shows."""
    upright_N, rounded_N8 = is_upright(quads_N42), np.round(quads_N42, 1).reshape(-1, 8)
    return [
        [tidy(number) for number in (quad[[0, 1, 4, 5]] if upright and is_forward(quad) else quad).tolist()]
        for quad, upright in zip(rounded_N8, upright_N.tolist(), strict=True)
    ]


def is_forward(quad_8: np.ndarray) -> bool:
    """Whether the first corner is the top left one; a text upside down is upright, too, but begins elsewhere."""
    return bool(quad_8[0] <= quad_8[4] and quad_8[1] <= quad_8[5] and quad_8[1] == quad_8[3])


def tidy(number: float) -> float:
    """A whole number without its ".0"."""
    return int(number) if number == int(number) else number


def rounded(figure: float) -> float:
    """Four digits are what the tables show."""
    return round(figure, 4)


def page_name(number: int) -> str:
    """The name of a page's files: keys hold whatever their authors liked, file systems and URLs do not."""
    return f"{number:05d}"


def readings_of(key: str, readings: Mapping[str, Mapping[str, PageReading]]) -> list[PageReading]:
    """One page's readings, in the order of the systems."""
    return [by_page[key] for by_page in readings.values()]
