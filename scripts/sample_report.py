"""A report over drawn pages and made-up readings: to look at, to test and to time the web page without a GPU or CRAFT.

A few pages are drawn and come again as often as asked for, each time read anew. The systems are six: two detectors
and the labels' own boxes, times two recognizers. They get wrong what such get wrong: shifted, missed, merged and false
boxes, and mistaken letters.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
from synthetic.page import make_page
from synthetic.plan import plan_split

from evaluator.evaluation_pages import label_words
from evaluator.html.write import write_html
from evaluator.metrics.breakdown import break_down
from evaluator.metrics.end_to_end import PageReading, compare_page
from evaluator.metrics.figures import page_sums, scores_of, total
from evaluator.metrics.mean_precision import detection_extra
from evaluator.metrics.page_words import NO_WORDS, PageWords, page_words, quads_of
from evaluator.metrics.significance import differences, intervals
from evaluator.report.report_files import PageCounts, Report, SystemReport
from ocr.errors import run_command
from ocr.labels.aihub import read_label
from ocr.page import Page, Word, clip


class Detector(msgspec.Struct, frozen=True):
    """Rates of words that are missed and merged with the next one, of false boxes, and shifts in pixels."""

    missed: float
    merged: float
    false: float
    shift: float


DETECTORS = {
    "easyocr": Detector(0.04, 0.22, 0.03, 3.0),
    "words": Detector(0.012, 0.015, 0.01, 1.5),
    "reference": Detector(0.0, 0.0, 0.0, 0.0),
}
RECOGNIZERS = {"baseline": 0.11, "finetuned": 0.018}
"""The share of letters each mistakes."""

GIVEN_BOXES = tuple(f"reference+{recognizer}" for recognizer in RECOGNIZERS)

FAILURE = "the page image cannot be decoded"
NUM_RESAMPLES = 1000

DrawnPage = tuple[bytes, Page]


def main() -> None:
    arguments = parse_arguments()
    drawn = draw_pages(min(arguments.drawn, arguments.pages), arguments.scale, arguments.seed)
    started = perf_counter()
    report, labels, readings, images = make_readings(drawn, arguments.pages, arguments.failed, arguments.seed)
    print(f"readings of {len(labels):,} pages: {perf_counter() - started:.1f} s", flush=True)
    started = perf_counter()
    path = write_html(report, report.effects, labels, readings, images, arguments.out, GIVEN_BOXES)
    size = sum(file.stat().st_size for file in arguments.out.rglob("*") if file.is_file())
    print(f"{path}: {size / 1e6:.1f} MB in {perf_counter() - started:.1f} s")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write a sample of the report's web page.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the report")
    parser.add_argument("--pages", type=int, default=24, metavar="N", help="default %(default)s")
    parser.add_argument("--drawn", type=int, default=12, metavar="N", help="different ones among them (%(default)s)")
    parser.add_argument("--failed", type=int, default=1, metavar="N", help="pages that cannot be read (%(default)s)")
    parser.add_argument("--scale", type=float, default=0.5, metavar="S", help="1 is 300 dpi (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="default %(default)s")
    return parser.parse_args()


def draw_pages(num_pages: int, scale: float, seed: int) -> list[DrawnPage]:
    plans = [plan for plan in plan_split(seed, "Validation", num_pages) if plan.part == "pair"]
    return [(image, to_page(plan.stem, label)) for plan in plans for image, label in [make_page(plan, scale, False)]]


def to_page(stem: str, label: bytes) -> Page:
    """The label as an evaluation shard has it: boxes on the page, no word without a text."""
    read = read_label(label)
    boxes = ((clip(word.box, read.width, read.height), word.text) for word in read.words)
    words = tuple(Word(box, text) for box, text in boxes if box is not None and text)
    return Page(stem, read.category, read.width, read.height, words)


def make_readings(
    drawn: Sequence[DrawnPage], num_pages: int, num_failed: int, seed: int
) -> tuple[Report, dict[str, Page], dict[str, dict[str, PageReading]], Iterator[tuple[str, bytes | None]]]:
    """What `write_html` takes: pages drawn from `drawn` in turn, the last `num_failed` of them unreadable."""
    pages = {
        f"{drawn[number % len(drawn)][1].stem}-{number:03d}": drawn[number % len(drawn)] for number in range(num_pages)
    }
    labels = {key: label for key, (_, label) in pages.items()}
    failed = dict.fromkeys(list(pages)[num_pages - num_failed :], FAILURE)
    readings: dict[str, dict[str, PageReading]] = {}
    for detector, recognizer in product(DETECTORS, RECOGNIZERS):
        readings[f"{detector}+{recognizer}"] = {
            key: compare_page(
                label_words(label), NO_WORDS if key in failed else read(label, detector, recognizer, [seed, number])
            )
            for number, (key, label) in enumerate(labels.items())
        }
    images = ((key, None if key in failed else image) for key, (image, _) in pages.items())
    return make_report(labels, readings, failed, seed), labels, readings, images


def read(label: Page, detector: str, recognizer: str, seed: Sequence[int]) -> PageWords:
    """A page as one system reads it; systems with the same detector find the same boxes."""
    boxes, texts = find(label, DETECTORS[detector], np.random.default_rng([*seed, list(DETECTORS).index(detector)]))
    generator = np.random.default_rng([*seed, 10 + list(RECOGNIZERS).index(recognizer)])
    pairs = [mistake(text, RECOGNIZERS[recognizer], generator) for text in texts]
    return page_words(
        quads_of(np.array(boxes, dtype=float).reshape(-1, 4)),
        [text for text, _ in pairs],
        confidences=[sure for _, sure in pairs],
    )


def find(label: Page, detector: Detector, generator: np.random.Generator) -> tuple[list[np.ndarray], list[str]]:
    """Boxes and what a perfect reader would read in them."""
    boxes: list[np.ndarray] = []
    texts: list[str] = []
    for word in label.words:
        box = np.array(word.box) + generator.normal(0, detector.shift, 4)
        fate = generator.random()
        if fate < detector.missed:
            continue
        if boxes and fate < detector.missed + detector.merged and is_next(boxes[-1], box):
            boxes[-1] = np.array([*np.minimum(boxes[-1][:2], box[:2]), *np.maximum(boxes[-1][2:], box[2:])])
            texts[-1] += f" {word.text}"
            continue
        boxes.append(box)
        texts.append(word.text)
    for _ in range(generator.binomial(len(label.words), detector.false)):
        x, y = generator.uniform(0, label.width * 0.9), generator.uniform(0, label.height * 0.95)
        boxes.append(np.array([x, y, x + label.width * 0.04, y + label.height * 0.012]))
        texts.append("ㅡ")
    return boxes, texts


def is_next(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two boxes stand side by side on one line."""
    height = left[3] - left[1]
    return bool(abs(left[1] - right[1]) < height / 2 and -height < right[0] - left[2] < 2 * height)


def mistake(text: str, rate: float, generator: np.random.Generator) -> tuple[str, float]:
    """A text with some letters wrong or left out, and the reader's confidence, which knows of half of them."""
    letters = [another(letter, generator) if generator.random() < rate else letter for letter in text]
    read = "".join(letters)
    sure = generator.beta(2, 2) if read != text and generator.random() < 0.5 else generator.beta(18, 1)
    return read, float(sure)


def another(letter: str, generator: np.random.Generator) -> str:
    """What a letter is taken for: a syllable with another final consonant, a digit for a circle, nothing."""
    if "가" <= letter <= "힣":
        return chr(min(ord(letter) - (ord(letter) - 0xAC00) % 28 + int(generator.integers(0, 28)), 0xD7A3))
    return {"0": "O", "1": "l", "○": "0", ",": ".", ".": ""}.get(letter, "")


def make_report(
    labels: Mapping[str, Page],
    readings: Mapping[str, Mapping[str, PageReading]],
    failed: Mapping[str, str],
    seed: int,
) -> Report:
    sums = {system: [page_sums(by_page[key]) for key in labels] for system, by_page in readings.items()}
    categories = [label.category for label in labels.values()]
    alphabet = {letter for label in labels.values() for word in label.words for letter in word.text} - set("○㎡「」")
    systems = {}
    for system, pages in sums.items():
        of_pages = list(readings[system].values())
        systems[system] = SystemReport(
            boxes=system.partition("+")[0],
            recognizer=system.partition("+")[2],
            name=system.partition("+")[2],
            languages=("ko", "en"),
            run="",
            intervals=intervals(pages, seed, NUM_RESAMPLES),
            detection_extra=detection_extra(of_pages, total(pages)),
            breakdown=break_down(of_pages, pages, categories, alphabet),
            **msgspec.structs.asdict(scores_of(total(pages))),
        )
    first, *_, last = (pages for system, pages in sums.items() if system not in GIVEN_BOXES)
    return Report(
        systems=systems,
        effects={"both": differences([(first, last)], seed, NUM_RESAMPLES)},
        boxes={"easyocr": {"boxes": "made up"}},
        pages=PageCounts(listed=len(labels), read=len(labels) - len(failed), from_cache=0, failed=dict(failed)),
        eval_set=["drawn pages"],
        device="none",
        versions={},
        seconds={},
    )


if __name__ == "__main__":
    run_command(main)
