"""The kinds of boxes that are made of CRAFT's maps: EasyOCR's own, and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np

from evaluator.craft import Maps
from evaluator.detector import READTEXT, SETTINGS, Detection, easyocr_boxes
from evaluator.experiment import EASYOCR, WORDS
from evaluator.tall_words import TallWords

CANVAS_SIZE, MAG_RATIO = int(READTEXT["canvas_size"]), READTEXT["mag_ratio"]


class Grouping(msgspec.Struct, frozen=True, eq=False):
    """One way from maps and a grey page (H, W) to boxes, which depends on `settings` alone; how tall ones are read."""

    settings: Mapping[str, float]
    boxes: Callable[[Maps, np.ndarray], Detection]
    tall_words: TallWords = "as they are"


def load_groupings(easyocr_dir: Path, name: str) -> dict[str, Grouping]:
    """By the names of the experiment; words as `evaluator.tune` set them for the exported `name`."""
    return {
        EASYOCR: Grouping(READTEXT, lambda maps, grey: easyocr_boxes(maps, READTEXT)),
        WORDS: Grouping(SETTINGS, lambda maps, grey: easyocr_boxes(maps, SETTINGS)),
    }
