"""A report of a few made-up pages whose every word's fate is known, and whose texts do their worst in a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from sample_report import make_report

from evaluator.html.write import write_html
from evaluator.metrics.end_to_end import PageReading, compare_page
from evaluator.metrics.page_words import NO_WORDS
from evaluator.report.report_files import Report
from ocr.page import Page, Word
from tests.evaluator.made_words import Boxed, boxed

WIDTH, HEIGHT = 600, 400
HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
    "\"'&amp;`${window.hacked=1}`",
    "{{ 7*7 }}\u2028\u2029$x$",
)
BASELINE, FINETUNED = "words+baseline", "<b onmouseover=window.hacked=1>fine</b>"

Boxes = tuple[tuple[int, int, int, int], ...]
PLACES: Boxes = ((40, 40, 160, 80), (200, 40, 320, 80), (40, 120, 160, 160), (200, 120, 320, 160))
ELSEWHERE = (400, 300, 500, 340)

TEXTS = ("가나다", "서울", "2024년", "끝.")
PAGES: dict[str, tuple[str, tuple[str, ...], dict[str, Boxed]]] = {
    # One word right, one wrong, two missed, one false; and the baseline two wrong.
    "mixed": (
        "인.허가",
        TEXTS,
        {
            BASELINE: [(PLACES[0], "가다다"), (PLACES[1], "서올"), (ELSEWHERE, "ㅡ")],
            FINETUNED: [(PLACES[0], "가나다"), (PLACES[1], "서울시청"), (ELSEWHERE, "ㅡ")],
        },
    ),
    "perfect": (
        "주민자치",
        TEXTS,
        {
            BASELINE: [*zip(PLACES[:3], TEXTS[:3], strict=True), (PLACES[3], "끌.")],
            FINETUNED: list(zip(PLACES, TEXTS, strict=True)),
        },
    ),
    "broken": ("주민자치", TEXTS, {BASELINE: [], FINETUNED: []}),
    f"hostile {HOSTILE[0]}": (
        HOSTILE[1],
        HOSTILE,
        {
            BASELINE: [],
            FINETUNED: [(box, f"{text}!") for box, text in zip(PLACES, HOSTILE, strict=True)],
        },
    ),
}
FAILED = {"broken": f"cannot be decoded: {HOSTILE[0]}"}


def made_labels() -> dict[str, Page]:
    return {
        key: Page(key, category, WIDTH, HEIGHT, tuple(map(Word, PLACES, texts)))
        for key, (category, texts, _) in PAGES.items()
    }


def made_readings() -> dict[str, dict[str, PageReading]]:
    return {system: {key: made_reading(key, system) for key in PAGES} for system in (BASELINE, FINETUNED)}


def made_reading(key: str, system: str) -> PageReading:
    _, texts, predictions = PAGES[key]
    prediction = NO_WORDS if key in FAILED else boxed(predictions[system])
    return compare_page(boxed(list(zip(PLACES, texts, strict=True))), prediction)


def made_images() -> dict[str, bytes | None]:
    image: np.ndarray = np.full((HEIGHT, WIDTH), 255, np.uint8)
    for x0, y0, x1, y1 in PLACES:
        image[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8] = 40
    jpg = cv2.imencode(".jpg", image)[1].tobytes()
    return {key: None if key in FAILED else jpg for key in PAGES}


@cache
def made_report() -> Report:
    return make_report(made_labels(), made_readings(), FAILED, seed=0)


def write_made_report(
    out: Path, images: Mapping[str, bytes | None] | None = None, given_boxes: Sequence[str] = ()
) -> Path:
    """`images` are `made_images` where they are not given."""
    images = made_images() if images is None else images
    report = made_report()
    return write_html(report, report.effects, made_labels(), made_readings(), images.items(), out, given_boxes)
