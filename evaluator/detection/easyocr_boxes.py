"""The words of a page from CRAFT's maps, as EasyOCR makes boxes of them: `Reader.detect`'s own result."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import msgspec
import numpy as np
from easyocr.utils import diff, group_text_box

from evaluator.detection.craft import Maps
from evaluator.metrics.page_words import quads_of

Settings = Mapping[str, float]

READTEXT: Settings = {
    "text_threshold": 0.7,
    "link_threshold": 0.4,
    "low_text": 0.4,
    "canvas_size": 2560,
    "mag_ratio": 1.0,
    "slope_ths": 0.1,
    "ycenter_ths": 0.5,
    "height_ths": 0.5,
    "width_ths": 0.5,
    "add_margin": 0.1,
    "min_size": 20,
}
"""`readtext`'s defaults, every one named, so that a change of EasyOCR's changes no score. They give lines."""

SETTINGS: Settings = {**READTEXT, "width_ths": 0.0, "min_size": 5}
"""EasyOCR's grouping, set to words: 0.5 glues neighboring words to lines, and labels are words.

Chosen by detection F1 on synthetic pages with loose labels, 1,674 words at 150 dpi and 357 at 300 dpi. width_ths
0.5 (EasyOCR's): 0.42 and 0.31; 0.0: 0.91 and 0.90. add_margin from 0.05 to 0.1 (EasyOCR's): equal within 0.01; 0.2:
0.87 and 0.86. min_size 20 (EasyOCR's) costs nothing there, but 0.09 at 75 dpi, where words are no larger.
"""


class Detection(msgspec.Struct, frozen=True):
    """The words of one page; EasyOCR's in the Reader's order: upright boxes first, then tilted quads.

    boxes_N4   int, (x0, y0, x1, y1) clipped to the page; one that lies off the page is left without area
    quads_M42  float32, corners clockwise from the top left, not clipped
    """

    boxes_N4: np.ndarray
    quads_M42: np.ndarray

    @property
    def words_P42(self) -> np.ndarray:
        """All words as quads, float64 (N + M, 4, 2)."""
        return np.concatenate([quads_of(self.boxes_N4), self.quads_M42]).astype(float)


def easyocr_boxes(maps: Maps, settings: Settings = SETTINGS) -> Detection:
    """What `Reader.detect` makes of these maps. Its settings but `canvas_size` and `mag_ratio`, which made them."""
    quads_N42 = component_quads(
        maps.text_HW, maps.link_HW, settings["text_threshold"], settings["link_threshold"], settings["low_text"]
    )
    corners_N8 = (quads_N42 * [maps.scale, maps.scale]).astype(np.float32).astype(np.int32).reshape(-1, 8)
    grouping = {name: settings[name] for name in ("slope_ths", "ycenter_ths", "height_ths", "width_ths", "add_margin")}
    upright, tilted = group_text_box(list(corners_N8), **grouping)
    if min_size := settings["min_size"]:
        upright = [box for box in upright if max(box[1] - box[0], box[3] - box[2]) > min_size]
        tilted = [quad for quad in tilted if max(diff([x for x, _ in quad]), diff([y for _, y in quad])) > min_size]
    # The Reader's boxes are (x0, x1, y0, y1) and may leave the page; it clips them when it crops.
    boxes_N4 = np.array(upright, dtype=int).reshape(-1, 4)[:, [0, 2, 1, 3]]
    return Detection(
        boxes_N4=np.clip(boxes_N4, 0, [maps.width, maps.height, maps.width, maps.height]),
        quads_M42=np.array(tilted, dtype=np.float32).reshape(-1, 4, 2),
    )


def component_quads(
    text_HW: np.ndarray, link_HW: np.ndarray, text_threshold: float, link_threshold: float, low_text: float
) -> np.ndarray:
    """A quad around each connected region of text and links, float32 (N, 4, 2) in map pixels.

    EasyOCR's `getDetBoxes`, bit for bit. EasyOCR looks for each region on the whole map, here it is looked at where it
    lies: a page of 375 words takes 0.06 s instead of 1.8.
    """
    is_text_HW, is_link_HW = text_HW > low_text, link_HW > link_threshold
    regions = (is_text_HW | is_link_HW).astype(np.uint8)
    num_labels, labels_HW, stats, _ = cv2.connectedComponentsWithStats(regions, connectivity=4)
    link_only_HW = is_link_HW & ~is_text_HW
    quads = []
    for label in range(1, num_labels):
        x, y, width, height, area = stats[label].tolist()
        if area < 10:
            continue
        reach = int(math.sqrt(area * min(width, height) / (width * height)) * 2)
        left, top = max(x - reach, 0), max(y - reach, 0)
        window = np.s_[top : y + height + reach + 1, left : x + width + reach + 1]
        region = labels_HW[window] == label
        if text_HW[window][region].max() < text_threshold:
            continue
        kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (1 + reach, 1 + reach))
        grown = cv2.dilate((region & ~link_only_HW[window]).astype(np.uint8), kernel)
        ys, xs = np.nonzero(grown)
        quads.append(quad_around(np.column_stack([xs + left, ys + top]).astype(np.int32)))
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def quad_around(points_P2: np.ndarray) -> np.ndarray:
    """The smallest rectangle around points, upright where it is nearly a square, from the corner nearest to (0, 0)."""
    quad: np.ndarray = cv2.boxPoints(cv2.minAreaRect(points_P2))
    first, second = np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[1] - quad[2])
    if abs(1 - max(first, second) / (min(first, second) + 1e-5)) <= 0.1:
        (left, top), (right, bottom) = points_P2.min(axis=0), points_P2.max(axis=0)
        quad = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
    return np.roll(quad, -int(quad.sum(axis=1).argmin()), axis=0)
