"""The characters that CRAFT sees on a page: hills of its text map, in lines, with a height.

A height is the unit of all that is asked of the page's ink: about 0.45 of the font's size, whatever the scan's
resolution.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import msgspec
import numpy as np

from evaluator.detection.craft import Maps
from evaluator.detection.thresholds import Thresholds

REACH = 0.75  # of a character beyond its hill
LOW = 0.5  # of the threshold: a hill that stands alone need be no higher
LINE_GAP = 3.0  # between characters of one line, at most
TALLER = 1.5  # than is usual in its line: such a character has a height of its own


class Characters(msgspec.Struct, frozen=True, eq=False):
    """Hills of the text map: boxes (N, 4) in page pixels, peaks (N,), each one's line (N,), and heights (N,).

    A height is what is usual in the line, so that a comma's is no less; only far taller characters have their own.
    """

    boxes_N4: np.ndarray
    peaks_N: np.ndarray
    lines_N: np.ndarray
    heights_N: np.ndarray


def find_characters(maps: Maps, thresholds: Thresholds) -> Characters:
    """The characters of lines in which at least one hill is as high as `peak`."""
    boxes_N4, peaks_N, labels_HW = hills(maps.text_HW, thresholds.text)
    low_L4, low_peaks_L, low_labels_HW = hills(maps.text_HW, LOW * thresholds.text)
    alone_L = np.ones(len(low_L4), bool)
    alone_L[np.unique(low_labels_HW[labels_HW > 0]) - 1] = False
    boxes_N4 = np.concatenate([boxes_N4, low_L4[alone_L]]) * maps.scale
    peaks_N = np.concatenate([peaks_N, low_peaks_L[alone_L]])
    lines_N, heights_N = lines_of(boxes_N4)
    highest_N = np.zeros(len(boxes_N4))
    np.maximum.at(highest_N, lines_N, peaks_N)
    kept_N = highest_N[lines_N] >= thresholds.peak
    return Characters(boxes_N4[kept_N], peaks_N[kept_N], lines_N[kept_N], heights_N[kept_N])


def hills(text_HW: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (N, 4) and peaks (N,) of the regions above a threshold, and the map of their numbers from 1 on."""
    above_HW = text_HW > threshold
    num_labels, labels_HW, stats, _ = cv2.connectedComponentsWithStats(above_HW.astype(np.uint8), connectivity=4)
    peaks = np.zeros(num_labels, np.float32)
    np.maximum.at(peaks, labels_HW[above_HW].astype(int), text_HW[above_HW])
    left, top, width, height, _ = stats[1:].T.astype(float)
    return np.stack([left, top, left + width, top + height], axis=1), peaks[1:], labels_HW


def lines_of(boxes_N4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line of each character, and its height; see `Characters`."""
    own_N, middles_N = boxes_N4[:, 3] - boxes_N4[:, 1], (boxes_N4[:, 1] + boxes_N4[:, 3]) / 2
    one_Q, other_Q = near_pairs(middles_N, REACH * own_N)
    higher_Q = np.maximum(own_N[one_Q], own_N[other_Q])
    gaps_Q = boxes_N4[other_Q, 0] - boxes_N4[one_Q, 2]
    near_Q = (gaps_Q < LINE_GAP * higher_Q) & (gaps_Q > -higher_Q)
    lines_N = joined(len(boxes_N4), np.stack([one_Q[near_Q], other_Q[near_Q]], axis=1).tolist())
    usual_N = own_N.copy()
    for line in np.unique(lines_N):
        usual_N[lines_N == line] = np.median(own_N[lines_N == line])
    return lines_N, np.where(own_N > TALLER * usual_N, own_N, usual_N)


def near_pairs(places_N: np.ndarray, reaches_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of things of which one's place is within the other's reach, both ways around: numbers (Q,) and (Q,).

    Only neighbors in the order of their places are looked at, so that a page of ten times the words takes ten times as
    long and not a hundred times.
    """
    order = np.argsort(places_N, kind="stable")
    sorted_N = places_N[order]
    first_N = np.searchsorted(sorted_N, places_N - reaches_N, side="right")
    num_N = np.maximum(np.searchsorted(sorted_N, places_N + reaches_N, side="left") - first_N, 0)
    one_Q = np.repeat(np.arange(len(places_N)), num_N)
    within_Q = np.arange(len(one_Q)) - np.repeat(np.cumsum(num_N) - num_N, num_N)
    other_Q = order[np.repeat(first_N, num_N) + within_Q]
    return np.concatenate([one_Q, other_Q]), np.concatenate([other_Q, one_Q])


def joined(number: int, pairs: Iterable[list[int]]) -> np.ndarray:
    """The group of each of `number` things, int (number,), when the things of each pair are of one group."""
    groups = list(range(number))

    def group_of(thing: int) -> int:
        while groups[thing] != thing:
            groups[thing] = groups[groups[thing]]
            thing = groups[thing]
        return thing

    for one, other in pairs:
        groups[group_of(other)] = group_of(one)
    return np.array([group_of(thing) for thing in range(number)], int)
