"""EasyOCR's CRAFT with EasyOCR's own grouping, set to words: one detection serves every recognizer."""

from __future__ import annotations

from pathlib import Path

import easyocr
import msgspec
import numpy as np

from evaluator.words import quads_of
from ocr.weights import DETECTOR, find_weights

SETTINGS: dict[str, float] = {
    "text_threshold": 0.7,
    "link_threshold": 0.4,
    "low_text": 0.4,
    "canvas_size": 2560,
    "mag_ratio": 1.0,
    "slope_ths": 0.1,
    "ycenter_ths": 0.5,
    "height_ths": 0.5,
    # EasyOCR's 0.5 glues neighboring words to lines, and labels are words.
    "width_ths": 0.0,
    "add_margin": 0.1,
    "min_size": 5,
}
"""Every setting of `Reader.detect`, so that a change of EasyOCR's defaults changes no score.

Chosen by detection F1 on synthetic pages with loose labels, 1,674 words at 150 dpi and 357 at 300 dpi. width_ths
0.5 (EasyOCR's): 0.42 and 0.31; 0.0: 0.91 and 0.90. add_margin from 0.05 to 0.1 (EasyOCR's): equal within 0.01; 0.2:
0.87 and 0.86. min_size 20 (EasyOCR's) costs nothing there, but 0.09 at 75 dpi, where words are no larger.
"""


class Detection(msgspec.Struct, frozen=True):
    """The words CRAFT found on one page, in the Reader's order: upright boxes first, then tilted quads.

    boxes_N4   int, (x0, y0, x1, y1) clipped to the page; one that lies off the page is left without area
    quads_M42  float32, corners clockwise from the top left, not clipped
    """

    boxes_N4: np.ndarray
    quads_M42: np.ndarray

    @property
    def words_P42(self) -> np.ndarray:
        """All words as quads, float64 (N + M, 4, 2)."""
        return np.concatenate([quads_of(self.boxes_N4), self.quads_M42]).astype(float)


def load_detector(easyocr_dir: Path, device: str) -> easyocr.Reader:
    """A Reader with CRAFT and no recognizer, on `device` ("cpu" or "cuda")."""
    weights_path = find_weights(DETECTOR, easyocr_dir)
    return easyocr.Reader(
        ["en"],
        gpu=device,
        model_storage_directory=str(weights_path.parent),
        user_network_directory=str(easyocr_dir / "user_network"),
        recognizer=False,
        download_enabled=False,
        verbose=False,
    )


def detect(detector: easyocr.Reader, rgb: np.ndarray) -> Detection:
    """The words of one page, uint8 RGB (H, W, 3)."""
    upright, tilted = detector.detect(rgb, reformat=False, **SETTINGS)
    height, width = rgb.shape[:2]
    # The Reader's boxes are (x0, x1, y0, y1) and may leave the page; it clips them when it crops.
    boxes_N4 = np.array(upright[0], dtype=int).reshape(-1, 4)[:, [0, 2, 1, 3]]
    return Detection(
        boxes_N4=np.clip(boxes_N4, 0, [width, height, width, height]),
        quads_M42=np.array(tilted[0], dtype=np.float32).reshape(-1, 4, 2),
    )
