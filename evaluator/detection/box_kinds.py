"""The kinds of boxes that are made of CRAFT's maps: EasyOCR's own, and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np

from evaluator.detection.craft import Maps
from evaluator.detection.easyocr_boxes import READTEXT, Detection, easyocr_boxes
from evaluator.detection.tall_words import TallWords
from evaluator.detection.thresholds import load_thresholds, thresholds_path
from evaluator.detection.word_boxes import word_boxes
from evaluator.metrics.experiment import EASYOCR, WORDS

CANVAS_SIZE, MAG_RATIO = int(READTEXT["canvas_size"]), READTEXT["mag_ratio"]


class Grouping(msgspec.Struct, frozen=True, eq=False):
    """One way from maps and an RGB page (H, W, 3) to boxes, by `settings` alone; and how tall ones are read."""

    settings: Mapping[str, float | str]
    boxes: Callable[[Maps, np.ndarray], Detection]
    tall_words: TallWords


def load_groupings(easyocr_dir: Path, name: str) -> dict[str, Grouping]:
    """By the names of the experiment; words as `evaluator.tune` set them for the exported `name`."""
    thresholds = load_thresholds(thresholds_path(easyocr_dir, name))
    settings = msgspec.structs.asdict(thresholds)
    return {
        EASYOCR: Grouping(READTEXT, lambda maps, rgb: easyocr_boxes(maps, READTEXT), "as they are"),
        WORDS: Grouping(settings, lambda maps, rgb: word_boxes(maps, rgb, thresholds), thresholds.tall_words),
    }
