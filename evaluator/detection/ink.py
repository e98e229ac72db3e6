"""The ink of a page: connected dark regions, without the seals that offices press over their signatures."""

from __future__ import annotations

import cv2
import numpy as np

DARKER = 20  # grey levels that ink is darker than its surroundings
BLOCK = 6.0  # heights: how far the surroundings reach
COLORED, LIGHT = 25, 110  # of 255: red ink is more colored than the one and lighter than the other
SEAL = (3.0, 16.0)  # heights: the sides of a seal
SQUARE = 0.75
STEPS = 6  # looks for a seal in a height
FRINGE = 0.25  # heights: the blurred red around a seal
DARK = 0.7  # of what is usual in a seal: what is lighter is paper, or the blurred edge of its red


def pieces_of_ink(rgb: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (P, 4) of a page's pieces of ink, and of its seals (S, 4), whose ink is none; float page pixels.

    `height` is that of a character's hill, the unit of every length here.
    """
    grey, seals_S4 = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), seals_of(rgb, height)
    grown_S4 = np.maximum(seals_S4 + FRINGE * height * np.array([-1, -1, 1, 1]), 0)
    for x0, y0, x1, y1 in np.rint(grown_S4).astype(int).tolist():
        grey[y0:y1, x0:x1] = black_of(rgb[y0:y1, x0:x1])
    block = 2 * round(BLOCK * height / 2) + 1
    ink = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, max(block, 3), DARKER)
    return regions(ink, smallest=3), seals_S4


def seals_of(rgb: np.ndarray, height: float) -> np.ndarray:
    """Boxes (S, 4) of colored regions that are nearly as wide as high and larger than a character.

    Every few pixels are looked at: the strokes of a seal are wider.
    """
    step = max(round(height / STEPS), 1)
    colored = colored_and_light(rgb[::step, ::step])[0].astype(np.uint8)
    boxes_P4 = step * regions(cv2.dilate(colored, np.ones((3, 3), np.uint8)), smallest=9)
    width, tall = boxes_P4[:, 2] - boxes_P4[:, 0], boxes_P4[:, 3] - boxes_P4[:, 1]
    shorter, longer = np.minimum(width, tall), np.maximum(width, tall)
    return np.asarray(
        boxes_P4[(shorter > SEAL[0] * height) & (longer < SEAL[1] * height) & (shorter > SQUARE * longer)]
    )


def black_of(rgb: np.ndarray) -> np.ndarray:
    """The grey of what is black below a seal, uint8 (h, w); 255 for the seal and the paper."""
    colored, light = colored_and_light(rgb)
    return np.where(~colored & (light < DARK * np.median(light)), light, 255).astype(np.uint8)


def colored_and_light(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels have a seal's color, bool (h, w), and the lightest channel, in which red ink nearly vanishes."""
    red, green, blue = cv2.split(rgb)
    light, dark = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return (cv2.subtract(light, dark) > COLORED) & (light > LIGHT), light


def regions(mask: np.ndarray, smallest: int) -> np.ndarray:
    """Boxes (P, 4) of the connected regions of a mask, those of at least `smallest` pixels.

    By their outlines, in a sixth of the time that OpenCV takes to number every pixel of a page.
    """
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = (
        [outline for outline, (*_, parent) in zip(outlines, tree[0].tolist(), strict=True) if parent < 0]
        if outlines
        else []
    )
    rects_P4 = np.array([cv2.boundingRect(outline) for outline in outer], float).reshape(-1, 4)
    left, top, width, height = rects_P4.T
    boxes_P4 = np.stack([left, top, left + width, top + height], axis=1)
    return np.asarray(boxes_P4[width * height >= smallest])
