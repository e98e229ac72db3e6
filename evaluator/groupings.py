"""The kinds of boxes that are made of CRAFT's maps: EasyOCR's own, and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from evaluator.craft import Maps
from evaluator.detector import READTEXT, SETTINGS, Detection, easyocr_boxes
from evaluator.experiment import EASYOCR, WORDS
from evaluator.tall_words import TallWords

CANVAS_SIZE, MAG_RATIO = int(READTEXT["canvas_size"]), READTEXT["mag_ratio"]


class Grouping(msgspec.Struct, frozen=True, eq=False):
    """One way from maps to boxes, which depends on `settings` alone, and how tall ones among them are read."""

    settings: Mapping[str, float]
    boxes: Callable[[Maps], Detection]
    tall_words: TallWords = "as they are"


def load_groupings(easyocr_dir: Path, name: str) -> dict[str, Grouping]:
    """By the names of the experiment; words as `evaluator.tune` set them for the exported `name`."""
    return {
        EASYOCR: Grouping(READTEXT, partial(easyocr_boxes, settings=READTEXT)),
        WORDS: Grouping(SETTINGS, partial(easyocr_boxes, settings=SETTINGS)),
    }
