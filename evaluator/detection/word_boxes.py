"""Words as labels have them, from CRAFT's maps and the page's ink: CRAFT says where text is, ink says where it ends.

    text map -> characters            hills above a threshold: where a character is, and how high
    characters -> lines               neighbors at one height, whatever lies between them: characters.py
    page -> pieces of ink             ink.py; those on a line are text, long flat ones are rules: pieces.py
    pieces of a line -> words         cut where the ink leaves a gap
    words of one character -> tall    those that stand close below one another
    words -> boxes                    around their ink, with the room that annotators leave

Every length is in heights of a character's hill, about 0.45 of the font's size, so that no threshold depends on the
scan's resolution. EasyOCR's link map is not used: between the letters of a spaced title it is as high as inside a word.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from evaluator.detection.characters import REACH, find_characters, joined, near_pairs
from evaluator.detection.craft import Maps
from evaluator.detection.easyocr_boxes import Detection
from evaluator.detection.text_ink import Pieces, find_pieces
from evaluator.detection.thresholds import DEFAULTS, Thresholds

VALLEY, WIDTH = 0.2, 0.04  # how far a page's gap may be from the usual one, and how finely gaps are told apart
HEAPS, WIDEST = 60.0, 1.5  # how much it counts that a gap parts narrow ones from wide ones; wider are all alike


def word_boxes(maps: Maps, rgb: np.ndarray, thresholds: Thresholds = DEFAULTS) -> Detection:
    """The words of a page, uint8 RGB (H, W, 3), from top to bottom; all of them upright boxes."""
    pieces = page_pieces(maps, rgb, thresholds)
    return Detection(
        boxes_N4=boxes_of(pieces, maps.width, maps.height, thresholds), quads_M42=np.empty((0, 4, 2), np.float32)
    )


def page_pieces(maps: Maps, rgb: np.ndarray, thresholds: Thresholds) -> Pieces:
    """What words are made of, by the thresholds `text`, `peak` and `faint` alone."""
    return find_pieces(maps, rgb, find_characters(maps, thresholds), thresholds)


def boxes_of(pieces: Pieces, width: int, height: int, thresholds: Thresholds) -> np.ndarray:
    """The boxes of the words, int (N, 4), on a page of this size."""
    words = find_words(pieces, thresholds)
    boxes_N4 = hulls(pieces.boxes_M4, words)
    heights_N = np.array([pieces.heights_M[word].max() for word in words])
    towers = stacks(boxes_N4, heights_N, thresholds.tall_gap)
    boxes_N4, heights_N = hulls(boxes_N4, towers), np.array([heights_N[tower].max() for tower in towers])
    sides_N = np.minimum(boxes_N4[:, 2] - boxes_N4[:, 0], boxes_N4[:, 3] - boxes_N4[:, 1])
    margins_N = thresholds.margin * np.maximum(sides_N, REACH * heights_N)
    boxes_N4 = boxes_N4 + margins_N[:, None] * [-1, -1, 1, 1]
    boxes_N4 = np.rint(np.clip(boxes_N4, 0, [width, height, width, height])).astype(int)
    return np.asarray(boxes_N4[np.lexsort((boxes_N4[:, 0], boxes_N4[:, 1]))])


def find_words(pieces: Pieces, thresholds: Thresholds) -> list[np.ndarray]:
    """The numbers of the pieces of each word: lines cut where the ink leaves a gap as between this page's words."""
    lines, gaps = [], []
    for line in np.unique(pieces.lines_M):
        numbers = np.flatnonzero(pieces.lines_M == line)
        numbers = numbers[np.argsort(pieces.boxes_M4[numbers, 0], kind="stable")]
        left, right = pieces.boxes_M4[numbers, 0], np.maximum.accumulate(pieces.boxes_M4[numbers, 2])
        heights = pieces.heights_M[numbers]
        lines.append(numbers)
        gaps.append((left[1:] - right[:-1]) / np.maximum(heights[1:], heights[:-1]))
    if not lines:  # no hill, or none but a seal's
        return []
    gap = gap_between_words(np.concatenate(gaps), thresholds.gap)
    cut = [np.split(line, np.flatnonzero(own > gap) + 1) for line, own in zip(lines, gaps, strict=True)]
    return [word for words in cut for word in words if pieces.peaks_M[word].max() >= thresholds.lone]


def gap_between_words(gaps: np.ndarray, usual: float) -> float:
    """The gap from which on words part on this page: near the usual one, where few gaps lie, between two heaps.

    Pages differ in letter spacing, but on each the gaps inside words and those between them are two heaps. What parts
    heaps best is Otsu's measure: the share of the variance that lies between them.
    """
    if not len(gaps):
        return usual
    candidates = np.linspace(usual - VALLEY, usual + VALLEY, 21)
    crowd = np.exp(-0.5 * ((gaps[:, None] - candidates) / WIDTH) ** 2).sum(axis=0)
    near = np.clip(gaps, 0, WIDEST)
    wider = near[:, None] > candidates
    share = wider.mean(axis=0)
    apart = (near[:, None] * wider).mean(axis=0) - share * near.mean()
    between = apart**2 / np.maximum(share * (1 - share), 1e-9) / max(float(near.var()), 1e-9)
    return float(candidates[np.argmin(crowd + ((candidates - usual) / VALLEY) ** 2 - HEAPS * between)])


def stacks(boxes_N4: np.ndarray, heights_N: np.ndarray, tall_gap: float) -> list[np.ndarray]:
    """The numbers of the words of each tall word, single characters that stand close below one another; or of one."""
    widths_N, middles_N = boxes_N4[:, 2] - boxes_N4[:, 0], (boxes_N4[:, 0] + boxes_N4[:, 2]) / 2
    single_N = (widths_N < 3 * heights_N) & (boxes_N4[:, 3] - boxes_N4[:, 1] > 0.5 * heights_N)
    one_Q, other_Q = near_pairs(middles_N, 0.5 * heights_N)
    higher_Q = np.maximum(heights_N[one_Q], heights_N[other_Q])
    gaps_Q = boxes_N4[other_Q, 1] - boxes_N4[one_Q, 3]
    below_Q = (gaps_Q <= tall_gap * higher_Q) & (gaps_Q > -0.5 * higher_Q) & single_N[one_Q] & single_N[other_Q]
    groups_N = joined(len(boxes_N4), np.stack([one_Q[below_Q], other_Q[below_Q]], axis=1).tolist())
    return [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]


def hulls(boxes_N4: np.ndarray, groups: Iterable[np.ndarray]) -> np.ndarray:
    """The box around each group of boxes, float (groups, 4)."""
    found = [(*boxes_N4[group, :2].min(axis=0), *boxes_N4[group, 2:].max(axis=0)) for group in groups]
    return np.array(found, float).reshape(-1, 4)
