"""The ink of a page: connected dark regions, without the seals that offices press over their signatures."""

from __future__ import annotations

import cv2
import numpy as np

DARKER = 20  # grey levels that ink is darker than its surroundings
BLOCK = 6.0  # heights: how far the surroundings reach
COLORED, LIGHT = 25, 110  # of 255: red ink is more colored than the one and lighter than the other
SEAL = (3.0, 16.0)  # heights: the sides of a seal
SQUARE = 0.75


def pieces_of_ink(rgb: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (P, 4) of a page's pieces of ink, and of its seals (S, 4), whose ink is none; float page pixels.

    `height` is that of a character's hill, the unit of every length here.
    """
    red, green, blue = cv2.split(rgb)
    light, dark = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    colored = ((cv2.subtract(light, dark) > COLORED) & (light > LIGHT)).astype(np.uint8)
    grey, seals_S4 = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), seals_of(colored, height)
    for x0, y0, x1, y1 in seals_S4.astype(int).tolist():
        grey[y0:y1, x0:x1] = np.where(colored[y0:y1, x0:x1], 255, light[y0:y1, x0:x1])
    block = 2 * round(BLOCK * height / 2) + 1
    ink = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, max(block, 3), DARKER)
    return regions(ink, smallest=3), seals_S4


def seals_of(colored: np.ndarray, height: float) -> np.ndarray:
    """Boxes (S, 4) of colored regions that are nearly as wide as high and larger than a character."""
    boxes_P4 = regions(cv2.dilate(colored, np.ones((3, 3), np.uint8)), smallest=9)
    width, tall = boxes_P4[:, 2] - boxes_P4[:, 0], boxes_P4[:, 3] - boxes_P4[:, 1]
    shorter, longer = np.minimum(width, tall), np.maximum(width, tall)
    return np.asarray(
        boxes_P4[(shorter > SEAL[0] * height) & (longer < SEAL[1] * height) & (shorter > SQUARE * longer)]
    )


def regions(mask: np.ndarray, smallest: int) -> np.ndarray:
    """Boxes (P, 4) of the connected regions of a mask that have at least `smallest` pixels."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, area = stats[1:].T.astype(float)
    boxes_P4 = np.stack([left, top, left + width, top + height], axis=1)
    return np.asarray(boxes_P4[area >= smallest])
