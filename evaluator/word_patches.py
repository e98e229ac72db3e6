"""The pixels of detected words, cut out as EasyOCR's Reader cuts them, and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from evaluator.detection.easyocr_boxes import Detection
from evaluator.detection.tall_words import TallWords, is_tall, joined, patches_to_read
from ocr.decoding.decode import Reading
from ocr.page import crop
from ocr.recognizer import Recognizer

Region = tuple[float, ...]
"""Where a word lies: an upright box (x0, y0, x1, y1), or the eight coordinates of a quad."""

Shown = tuple[Region, TallWords]
"""A region and how it is shown to a recognizer; only tall ones in another way than as they are."""

AS_THEY_ARE: TallWords = "as they are"
UNREAD: Reading = ("", 0.0)


def regions_of(detection: Detection) -> list[Region]:
    """In the order of `Detection.words_P42`."""
    boxes, quads = detection.boxes_N4.tolist(), detection.quads_M42.reshape(-1, 8).tolist()
    return [tuple(corners) for corners in [*boxes, *quads]]


def patches_of(grey: np.ndarray, detections: Iterable[tuple[Detection, TallWords]]) -> dict[Shown, list[np.ndarray]]:
    """What a recognizer is to read of any of the detections, each thing once; nothing of a region without area."""
    patches: dict[Shown, list[np.ndarray]] = {}
    for detection, tall_words in detections:
        for region in regions_of(detection):
            patch = patch_of(grey, region)
            if patch.size:
                way = tall_words if is_tall(patch.shape[1], patch.shape[0]) else AS_THEY_ARE
                patches.setdefault((region, way), patches_to_read(patch, way))
    return patches


def patch_of(grey: np.ndarray, region: Region) -> np.ndarray:
    """The pixels of a region, uint8 (h, w); without a pixel where it has no area."""
    if len(region) == 4:
        x0, y0, x1, y1 = (int(corner) for corner in region)
        return crop(grey, (x0, y0, x1, y1))
    return straightened(grey, np.array(region, np.float32).reshape(4, 2))


def straightened(grey: np.ndarray, quad_42: np.ndarray) -> np.ndarray:
    """A quad's pixels, warped to an upright patch: as wide and high as the longer of each two opposite sides."""
    ways_42 = np.roll(quad_42, -1, axis=0) - quad_42
    top, right, bottom, left = np.sqrt((ways_42**2).sum(axis=1))
    width, height = max(int(top), int(bottom)), max(int(right), int(left))
    if not width or not height:
        return np.empty((0, 0), np.uint8)
    corners_42 = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float32)
    transform = cv2.getPerspectiveTransform(quad_42, corners_42)
    return np.asarray(cv2.warpPerspective(grey, transform, (width, height)))


def read_patches(recognizer: Recognizer, patches: Mapping[Shown, list[np.ndarray]]) -> dict[Shown, Reading]:
    read = iter(recognizer.read([patch for parts in patches.values() for patch in parts]))
    return {shown: joined([next(read) for _ in parts]) for shown, parts in patches.items()}


def texts_of(
    detection: Detection, tall_words: TallWords, readings: Mapping[Shown, Reading]
) -> tuple[list[str], list[float]]:
    """The texts and confidences of a detection's words; "" and 0 for a region without area."""
    found = [
        readings.get((region, tall_words)) or readings.get((region, AS_THEY_ARE), UNREAD)
        for region in regions_of(detection)
    ]
    return [text for text, _ in found], [confidence for _, confidence in found]
