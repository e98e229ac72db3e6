"""Words as labels have them, from CRAFT's maps and the page's ink: CRAFT says where text is, ink says where it ends.

    text map -> characters            hills above a threshold: where a character is, and how high
    characters -> lines               neighbors at one height, whatever lies between them
    page -> pieces of ink             ink.py; those on a line are text, long flat ones are rules
    pieces of a line -> words         cut where the ink leaves a gap
    words of one character -> tall    those that stand close below one another
    words -> boxes                    around their ink, with the room that annotators leave

Every length is in heights of a character's hill, about 0.45 of the font's size, so that no threshold depends on the
scan's resolution. EasyOCR's link map is not used: between the letters of a spaced title it is as high as inside a word.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import msgspec
import numpy as np

from evaluator.craft import Maps
from evaluator.detector import Detection
from evaluator.ink import pieces_of_ink
from evaluator.thresholds import DEFAULTS, Thresholds

REACH = 0.75  # of a character beyond its hill
LOW = 0.5  # of the threshold: a hill that stands alone need be no higher
LINE_GAP = 3.0  # between characters of one line, at most
TALLER = 1.5  # than is usual in its line: such a character has a height of its own
MARK_REACH, MARK_BAND = 4.5, 0.4  # beyond and around a line's hills: where punctuation may stand
RULE = 8.0  # a flat piece of ink from this length on is no text
HIGHEST = 3.2  # no piece of a character is higher
VALLEY, WIDTH = 0.2, 0.04  # how far a page's gap may be from the usual one, and how finely gaps are told apart
HEAPS, WIDEST = 60.0, 1.5  # how much it counts that a gap parts narrow ones from wide ones; wider are all alike


class Characters(msgspec.Struct, frozen=True, eq=False):
    """Hills of the text map: boxes (N, 4) in page pixels, peaks (N,), each one's line (N,), and heights (N,).

    A height is what is usual in the line, so that a comma's is no less; only far taller characters have their own.
    """

    boxes_N4: np.ndarray
    peaks_N: np.ndarray
    lines_N: np.ndarray
    heights_N: np.ndarray


class Pieces(msgspec.Struct, frozen=True, eq=False):
    """Pieces of ink that are text: boxes (M, 4), lines (M,), heights (M,) and peaks (M,), those of their characters.

    Punctuation without a hill has peak 1. A character without ink, as of a faint print, is one piece.
    """

    boxes_M4: np.ndarray
    lines_M: np.ndarray
    heights_M: np.ndarray
    peaks_M: np.ndarray


def word_boxes(maps: Maps, rgb: np.ndarray, thresholds: Thresholds = DEFAULTS) -> Detection:
    """The words of a page, uint8 RGB (H, W, 3), from top to bottom; all of them upright boxes."""
    characters = find_characters(maps, thresholds)
    if not len(characters.boxes_N4):
        return Detection(boxes_N4=np.empty((0, 4), int), quads_M42=np.empty((0, 4, 2), np.float32))
    pieces = find_pieces(maps, rgb, characters, thresholds)
    words = find_words(pieces, thresholds)
    boxes_N4 = hulls(pieces.boxes_M4, words)
    heights_N = np.array([pieces.heights_M[word].max() for word in words])
    towers = stacks(boxes_N4, heights_N, thresholds.tall_gap)
    boxes_N4, heights_N = hulls(boxes_N4, towers), np.array([heights_N[tower].max() for tower in towers])
    sides_N = np.minimum(boxes_N4[:, 2] - boxes_N4[:, 0], boxes_N4[:, 3] - boxes_N4[:, 1])
    margins_N = thresholds.margin * np.maximum(sides_N, REACH * heights_N)
    boxes_N4 = boxes_N4 + margins_N[:, None] * [-1, -1, 1, 1]
    boxes_N4 = np.rint(np.clip(boxes_N4, 0, [maps.width, maps.height, maps.width, maps.height])).astype(int)
    order = np.lexsort((boxes_N4[:, 0], boxes_N4[:, 1]))
    return Detection(boxes_N4=boxes_N4[order], quads_M42=np.empty((0, 4, 2), np.float32))


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
    above_HW = (text_HW > threshold).astype(np.uint8)
    num_labels, labels_HW, stats, _ = cv2.connectedComponentsWithStats(above_HW, connectivity=4)
    ys, xs = np.nonzero(labels_HW)
    peaks = np.zeros(num_labels, np.float32)
    np.maximum.at(peaks, labels_HW[ys, xs].astype(int), text_HW[ys, xs])
    left, top, width, height, _ = stats[1:].T.astype(float)
    return np.stack([left, top, left + width, top + height], axis=1), peaks[1:], labels_HW


def lines_of(boxes_N4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line of each character, and its height; see `Characters`."""
    own_N, middles_N = boxes_N4[:, 3] - boxes_N4[:, 1], (boxes_N4[:, 1] + boxes_N4[:, 3]) / 2
    higher_NN = np.maximum(own_N[:, None], own_N[None])
    gaps_NN = boxes_N4[None, :, 0] - boxes_N4[:, None, 2]
    level_NN = np.abs(middles_N[:, None] - middles_N[None]) < REACH * higher_NN
    near_NN = (gaps_NN < LINE_GAP * higher_NN) & (gaps_NN > -higher_NN)
    lines_N = joined(len(boxes_N4), np.argwhere(level_NN & near_NN).tolist())
    usual_N = own_N.copy()
    for line in np.unique(lines_N):
        usual_N[lines_N == line] = np.median(own_N[lines_N == line])
    return lines_N, np.where(own_N > TALLER * usual_N, own_N, usual_N)


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


def find_pieces(maps: Maps, rgb: np.ndarray, characters: Characters, thresholds: Thresholds) -> Pieces:
    boxes_N4, heights_N = characters.boxes_N4, characters.heights_N
    usual = float(np.median(heights_N))
    ink_P4, seals_S4 = pieces_of_ink(rgb, usual)
    # Looked up on the maps' grid, which has a tenth of the pixels of a page of 300 dpi.
    middles_P2 = (ink_P4[:, [1, 0]] + ink_P4[:, [3, 2]]) / 2 / maps.scale
    # EasyOCR rounds a canvas down: a page's last pixels may lie beyond it.
    rows, columns = np.minimum(middles_P2.astype(int), np.array(maps.text_HW.shape) - 1).T
    near = painted(boxes_N4, heights_N * REACH, heights_N * REACH, maps)
    beside = painted(boxes_N4, heights_N * MARK_REACH, heights_N * MARK_BAND, maps)
    owner_P, neighbor_P = near[rows, columns], beside[rows, columns]
    is_own_P = owner_P >= 0
    owner_P = np.where(is_own_P, owner_P, neighbor_P)
    height_P = np.where(owner_P >= 0, heights_N[owner_P], usual)
    width_P, tall_P = ink_P4[:, 2] - ink_P4[:, 0], ink_P4[:, 3] - ink_P4[:, 1]
    fits_P = (tall_P <= HIGHEST * height_P) & ~((width_P > RULE * height_P) & (tall_P < 0.5 * height_P))
    dash_P = (width_P >= 0.3 * height_P) & (width_P >= 1.5 * tall_P) & (tall_P <= 0.5 * height_P)
    mark_P = (owner_P >= 0) & ~is_own_P & (width_P <= 2 * height_P)
    mark_P &= dash_P | (maps.text_HW[rows, columns] >= thresholds.faint)
    kept = np.flatnonzero(fits_P & (is_own_P | mark_P))
    numbers_P = page_numbers(ink_P4, dash_P & (width_P <= 2 * usual) & (owner_P < 0), owner_P < 0, usual)
    numbered = np.flatnonzero(numbers_P >= 0)
    bare_N = np.setdiff1d(np.arange(len(boxes_N4)), owner_P[kept][is_own_P[kept]])
    bare_N = bare_N[~inside(boxes_N4[bare_N], seals_S4)]
    bare_N4 = boxes_N4[bare_N] + 0.4 * heights_N[bare_N, None] * [-1, -1, 1, 1]
    owners = owner_P[kept]
    return Pieces(
        boxes_M4=np.concatenate([ink_P4[kept], bare_N4, ink_P4[numbered]]),
        lines_M=np.concatenate(
            [characters.lines_N[owners], characters.lines_N[bare_N], characters.lines_N.max() + 1 + numbers_P[numbered]]
        ),
        heights_M=np.concatenate([heights_N[owners], heights_N[bare_N], np.full(len(numbered), usual)]),
        peaks_M=np.concatenate(
            [np.where(mark_P[kept], 1, characters.peaks_N[owners]), characters.peaks_N[bare_N], np.ones(len(numbered))]
        ),
    )


def painted(boxes_N4: np.ndarray, reach_x_N: np.ndarray, reach_y_N: np.ndarray, maps: Maps) -> np.ndarray:
    """The number of the character around which each pixel of the maps lies, int32 (H, W); -1 where there is none."""
    canvas: np.ndarray = np.full(maps.text_HW.shape, -1, np.int32)
    grown_N4 = (boxes_N4 + np.stack([-reach_x_N, -reach_y_N, reach_x_N, reach_y_N], axis=1)) / maps.scale
    for number, (x0, y0, x1, y1) in enumerate(np.rint(np.maximum(grown_N4, 0)).astype(int).tolist()):
        canvas[y0:y1, x0:x1] = number
    return canvas


def inside(boxes_N4: np.ndarray, regions_S4: np.ndarray) -> np.ndarray:
    """Which boxes have their middle in one of the regions, bool (N,)."""
    x_N1, y_N1 = (boxes_N4[:, [0]] + boxes_N4[:, [2]]) / 2, (boxes_N4[:, [1]] + boxes_N4[:, [3]]) / 2
    x0, y0, x1, y1 = regions_S4.T
    return np.asarray(((x0 <= x_N1) & (x_N1 < x1) & (y0 <= y_N1) & (y_N1 < y1)).any(axis=1))


def page_numbers(ink_P4: np.ndarray, dash_P: np.ndarray, free_P: np.ndarray, height: float) -> np.ndarray:
    """For each piece of ink of no line, which "- 7 -" it is of, int (P,); -1 for none. CRAFT has no hill for most."""
    numbers_P = np.full(len(ink_P4), -1)
    tall_P = ink_P4[:, 3] - ink_P4[:, 1]
    x_P, y_P = (ink_P4[:, 0] + ink_P4[:, 2]) / 2, (ink_P4[:, 1] + ink_P4[:, 3]) / 2
    free_P = free_P & (tall_P < 2 * height)
    dashes = np.flatnonzero(dash_P)
    for left in dashes:
        apart = x_P[dashes] - x_P[left]
        for right in dashes[(apart > height) & (apart < 8 * height) & (np.abs(y_P[dashes] - y_P[left]) < 0.3 * height)]:
            between_P = free_P & (x_P > ink_P4[left, 2]) & (x_P < ink_P4[right, 0])
            between_P &= np.abs(y_P - y_P[left]) < 0.6 * height
            if (between_P & (tall_P > 0.6 * height)).any():
                numbers_P[between_P], numbers_P[[left, right]] = left, left
    return numbers_P


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
    if not lines:  # the only hills were in a seal
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
    single_N = (widths_N < 3 * heights_N) & (boxes_N4[:, 3] - boxes_N4[:, 1] > heights_N)
    higher_NN = np.maximum(heights_N[:, None], heights_N[None])
    gaps_NN = boxes_N4[None, :, 1] - boxes_N4[:, None, 3]
    below_NN = (gaps_NN <= tall_gap * higher_NN) & (gaps_NN > -0.5 * higher_NN)
    aligned_NN = np.abs(middles_N[:, None] - middles_N[None]) < 0.5 * higher_NN
    pairs = np.argwhere(single_N[:, None] & single_N[None] & below_NN & aligned_NN)
    groups_N = joined(len(boxes_N4), pairs.tolist())
    return [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]


def hulls(boxes_N4: np.ndarray, groups: Iterable[np.ndarray]) -> np.ndarray:
    """The box around each group of boxes, float (groups, 4)."""
    found = [(*boxes_N4[group, :2].min(axis=0), *boxes_N4[group, 2:].max(axis=0)) for group in groups]
    return np.array(found, float).reshape(-1, 4)
