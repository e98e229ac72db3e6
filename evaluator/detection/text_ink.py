"""The pieces of a page's ink that are text, each with the line of characters it stands in.

on a character                  text, but for what is too high for it, and rules
beside a line                   punctuation: a dash, or what has a trace in the text map
between two dashes              a page number, which CRAFT has no hill for
a high hill without ink         text all the same: a faint print
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from evaluator.detection.characters import REACH, Characters
from evaluator.detection.craft import Maps
from evaluator.detection.ink import pieces_of_ink
from evaluator.detection.thresholds import Thresholds

MARK_REACH, MARK_BAND = 4.5, 0.4  # beyond and around a line's hills: where punctuation may stand
MARK_WIDTH = 2.0  # of punctuation, at most
RULE = 8.0  # a flat piece of ink from this length on is no text
HIGHEST = 3.2  # no piece of a character is higher
BROADEST = 2.5  # no character is broader: what is, for each hill on it, is a pen's stroke
CLEAR = 0.7  # the height of a hill from which on its breadth says something
ALONE = 1.0  # around a dash that stands alone
BARE_ROOM = 0.4  # around the hill of a character without ink


class Pieces(msgspec.Struct, frozen=True, eq=False):
    """Pieces of ink that are text: boxes (M, 4), lines (M,), heights (M,) and peaks (M,), those of their characters.

    Punctuation without a hill has peak 1. A character without ink, as of a faint print, is one piece.
    """

    boxes_M4: np.ndarray
    lines_M: np.ndarray
    heights_M: np.ndarray
    peaks_M: np.ndarray


NO_PIECES = Pieces(np.empty((0, 4)), np.empty(0, int), np.empty(0), np.empty(0))


class Ink(msgspec.Struct, frozen=True, eq=False):
    """All pieces of a page's ink: boxes (P, 4), and the number of the character each lies on or beside, -1 for none.

    on_P     whether it lies on its character, rather than beside its line
    text_P   the text map below its middle
    usual    the usual height of the page's characters
    """

    boxes_P4: np.ndarray
    owner_P: np.ndarray
    on_P: np.ndarray
    text_P: np.ndarray
    usual: float

    @property
    def widths_P(self) -> np.ndarray:
        return np.asarray(self.boxes_P4[:, 2] - self.boxes_P4[:, 0])

    @property
    def talls_P(self) -> np.ndarray:
        return np.asarray(self.boxes_P4[:, 3] - self.boxes_P4[:, 1])


def find_pieces(maps: Maps, rgb: np.ndarray, characters: Characters, thresholds: Thresholds) -> Pieces:
    if not len(characters.boxes_N4):
        return NO_PIECES
    usual = float(np.median(characters.heights_N))
    ink_P4, seals_S4 = pieces_of_ink(rgb, usual)
    characters = lowered(characters, seals_S4)
    ink = owned(ink_P4, characters, maps, usual)
    height_P = np.where(ink.owner_P >= 0, characters.heights_N[ink.owner_P], usual)
    dash_P = dashes(ink, height_P)
    stroke_P = strokes(ink, height_P, characters)
    text_P = texts(ink, height_P, dash_P, thresholds.faint) & ~stroke_P
    of_lines = pieces_of_lines(ink, text_P, characters)
    bare = bare_characters(characters, ink, text_P | stroke_P, seals_S4, thresholds.peak)
    free_dash_P = dash_P & (ink.owner_P < 0) & (ink.widths_P <= MARK_WIDTH * usual)
    first_line = int(characters.lines_N.max()) + 1
    numbers_P = page_numbers(ink, free_dash_P)
    lone_P = free_dash_P & (numbers_P < 0)
    numbers_P[lone_P] = np.where(lone_dashes(ink, lone_P, characters), np.flatnonzero(lone_P), -1)
    return together([of_lines, bare, free_pieces(ink, numbers_P, first_line)])


def lowered(characters: Characters, seals_S4: np.ndarray) -> Characters:
    """The characters, those on seals as high as is usual in their line: the hill of a seal's stroke adds to theirs."""
    lowest_N = np.full(int(characters.lines_N.max()) + 1, np.inf)
    np.minimum.at(lowest_N, characters.lines_N, characters.heights_N)
    heights_N = np.where(inside(characters.boxes_N4, seals_S4), lowest_N[characters.lines_N], characters.heights_N)
    return msgspec.structs.replace(characters, heights_N=heights_N)


def owned(ink_P4: np.ndarray, characters: Characters, maps: Maps, usual: float) -> Ink:
    """Whose each piece of ink is, looked up on the maps' grid, which has a tenth of the pixels of a page of 300 dpi."""
    boxes_N4, heights_N = characters.boxes_N4, characters.heights_N
    middles_P2 = (ink_P4[:, [1, 0]] + ink_P4[:, [3, 2]]) / 2 / maps.scale
    # EasyOCR rounds a canvas down: a page's last pixels may lie beyond it.
    rows, columns = np.minimum(middles_P2.astype(int), np.array(maps.text_HW.shape) - 1).T
    near_P = painted(boxes_N4, heights_N * REACH, heights_N * REACH, maps)[rows, columns]
    beside_P = painted(boxes_N4, heights_N * MARK_REACH, heights_N * MARK_BAND, maps)[rows, columns]
    on_P = near_P >= 0
    return Ink(ink_P4, np.where(on_P, near_P, beside_P), on_P, maps.text_HW[rows, columns], usual)


def dashes(ink: Ink, height_P: np.ndarray) -> np.ndarray:
    """Which pieces of ink have the shape of a dash, bool (P,)."""
    widths_P, talls_P = ink.widths_P, ink.talls_P
    return np.asarray((widths_P >= 0.3 * height_P) & (widths_P >= 1.5 * talls_P) & (talls_P <= 0.5 * height_P))


def texts(ink: Ink, height_P: np.ndarray, dash_P: np.ndarray, faint: float) -> np.ndarray:
    """Which pieces of ink are those of characters, or the punctuation beside their lines, bool (P,)."""
    widths_P, talls_P = ink.widths_P, ink.talls_P
    rule_P = (widths_P > RULE * height_P) & (talls_P < 0.5 * height_P)
    beside_P = (ink.owner_P >= 0) & ~ink.on_P & (widths_P <= MARK_WIDTH * height_P)
    mark_P = beside_P & (dash_P | (ink.text_P >= faint))
    return np.asarray((talls_P <= HIGHEST * height_P) & ~rule_P & (ink.on_P | mark_P))


def pieces_of_lines(ink: Ink, text_P: np.ndarray, characters: Characters) -> Pieces:
    owners = ink.owner_P[text_P]
    return Pieces(
        boxes_M4=ink.boxes_P4[text_P],
        lines_M=characters.lines_N[owners],
        heights_M=characters.heights_N[owners],
        peaks_M=np.where(ink.on_P[text_P], characters.peaks_N[owners], 1),
    )


def strokes(ink: Ink, height_P: np.ndarray, characters: Characters) -> np.ndarray:
    """Which pieces of ink are broader than the characters on them, bool (P,): signatures, as a pen draws them.

    Low hills say nothing: what lies above the threshold is the less of a character.
    """
    clear_P = ink.on_P & (characters.peaks_N[ink.owner_P] >= CLEAR)
    broad = np.flatnonzero(clear_P & (ink.widths_P > BROADEST * height_P) & (ink.talls_P > 0.5 * height_P))
    found = np.zeros(len(height_P), bool)
    for piece in broad:
        num_hills = max(int(inside(characters.boxes_N4, ink.boxes_P4[[piece]]).sum()), 1)
        found[piece] = ink.widths_P[piece] > BROADEST * height_P[piece] * num_hills
    return found


def bare_characters(
    characters: Characters, ink: Ink, is_ink_P: np.ndarray, seals_S4: np.ndarray, peak: float
) -> Pieces:
    """The characters with a high hill on which no ink lies, and no seal."""
    high_N = characters.peaks_N >= peak
    high_N[ink.owner_P[is_ink_P & ink.on_P]] = False
    high = np.flatnonzero(high_N)  # some of these are on ink that is their neighbor's
    kept = high[~touched(characters.boxes_N4[high], ink.boxes_P4[is_ink_P])]
    kept = kept[~inside(characters.boxes_N4[kept], seals_S4)]
    boxes_K4, heights_K = characters.boxes_N4[kept], characters.heights_N[kept]
    return Pieces(
        boxes_M4=boxes_K4 + BARE_ROOM * heights_K[:, None] * [-1, -1, 1, 1],
        lines_M=characters.lines_N[kept],
        heights_M=heights_K,
        peaks_M=characters.peaks_N[kept],
    )


def touched(boxes_N4: np.ndarray, others_M4: np.ndarray) -> np.ndarray:
    """Which boxes any of the others overlaps, bool (N,)."""
    found = np.zeros(len(boxes_N4), bool)
    for number, (x0, y0, x1, y1) in enumerate(boxes_N4.tolist()):
        left, top, right, bottom = others_M4.T
        found[number] = ((left < x1) & (x0 < right) & (top < y1) & (y0 < bottom)).any()
    return found


def together(parts: Sequence[Pieces]) -> Pieces:
    return Pieces(*(np.concatenate(arrays) for arrays in zip(*map(msgspec.structs.astuple, parts), strict=True)))


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


def page_numbers(ink: Ink, free_dash_P: np.ndarray) -> np.ndarray:
    """For each piece of ink of no line, which "- 7 -" it is of, int (P,); -1 for none. CRAFT has no hill for most."""
    boxes_P4, height = ink.boxes_P4, ink.usual
    numbers_P = np.full(len(boxes_P4), -1)
    x_P, y_P = (boxes_P4[:, 0] + boxes_P4[:, 2]) / 2, (boxes_P4[:, 1] + boxes_P4[:, 3]) / 2
    free_P = (ink.owner_P < 0) & (ink.talls_P < 2 * height)
    dashes = np.flatnonzero(free_dash_P)
    for left in dashes:
        apart = x_P[dashes] - x_P[left]
        for right in dashes[(apart > height) & (apart < 8 * height) & (np.abs(y_P[dashes] - y_P[left]) < 0.3 * height)]:
            between_P = free_P & (x_P > boxes_P4[left, 2]) & (x_P < boxes_P4[right, 0])
            between_P &= np.abs(y_P - y_P[left]) < 0.6 * height
            if (between_P & (ink.talls_P > 0.6 * height)).any():
                numbers_P[between_P], numbers_P[[left, right]] = left, left
    return numbers_P


def lone_dashes(ink: Ink, dash_P: np.ndarray, characters: Characters) -> np.ndarray:
    """Which of some dashes have no ink around them and are level with some character of the page, bool (D,)."""
    dashes_D4 = ink.boxes_P4[dash_P]
    others_P4 = ink.boxes_P4[~dash_P & (np.maximum(ink.widths_P, ink.talls_P) < RULE * ink.usual)]  # a frame is around
    tops_N, bottoms_N = characters.boxes_N4[:, 1], characters.boxes_N4[:, 3]
    middles_D = (dashes_D4[:, 1] + dashes_D4[:, 3]) / 2
    level_D = [bool(((tops_N < middle) & (middle < bottoms_N)).any()) for middle in middles_D.tolist()]
    around_D4 = dashes_D4 + ALONE * ink.usual * np.array([-1, -1, 1, 1])
    return np.asarray(np.array(level_D, bool) & ~touched(around_D4, others_P4))


def free_pieces(ink: Ink, numbers_P: np.ndarray, first_line: int) -> Pieces:
    """The pieces with a number, in lines of their own from `first_line` on."""
    kept = np.flatnonzero(numbers_P >= 0)
    return Pieces(
        boxes_M4=ink.boxes_P4[kept],
        lines_M=first_line + numbers_P[kept],
        heights_M=np.full(len(kept), ink.usual),
        peaks_M=np.ones(len(kept)),
    )
