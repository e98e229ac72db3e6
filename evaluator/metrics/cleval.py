"""CLEval: detection and reading scored by characters, so that split, merged and overlapping words keep their credit.

Source: Baek et al., CLEval: Character-Level Evaluation for Text Detection and Recognition Tasks, 2020, as its package
0.1.1 computes it. No IoU is asked: a word's characters are taken to sit evenly along its middle line, and a prediction
has found those whose centers it holds. Each extra piece of a split word, and each extra word in a merged prediction,
costs one character (granularity).

    N references, M predictions, C characters of all references
    areas and centers -> which characters lie in which predictions (C, M) -> matched pairs (N, M) -> counts
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import shapely
from rapidfuzz.distance import LCSseq

from evaluator.metrics.matching import intersection, is_upright, polygons
from evaluator.metrics.page_words import PageWords, hulls, signed_areas

FalsePositives = Literal["official", "intended"]

AREA_PRECISION = 0.3
VERTICAL_ASPECT_RATIO = 0.5
MAX_GUESSED_LENGTH = 10
UNREADABLE = "###"


class ClevalCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Characters of one page. Every figure is a ratio of their sums over pages; see `evaluator.metrics.figures`.

    `extra_pieces` are predictions beyond the first on a reference, `extra_words` references beyond the first in a
    prediction; `num_split` and `num_merged` say how many references and predictions that happened to.
    """

    num_reference: int
    num_found: int
    num_detected: int
    num_read: int
    num_predicted: int
    extra_pieces: int
    extra_words: int
    num_split: int
    num_merged: int
    num_overlapped: int


class Matching(msgspec.Struct, frozen=True):
    """Which predictions have found which references, by their characters.

    matched_NM  bool; a reference may have several predictions (split), a prediction several references (merged)
    held_CM     bool: which character lies in which prediction, of matched pairs only
    starts_N    where the characters of each reference start in C
    counted_M   bool: predictions that do not lie on don't-care words
    """

    matched_NM: np.ndarray
    held_CM: np.ndarray
    starts_N: np.ndarray
    counted_M: np.ndarray


def cleval_counts(
    reference: PageWords, prediction: PageWords, false_positives: FalsePositives = "official"
) -> ClevalCounts:
    """The counts of one page. Corners are cut to whole pixels for areas, and spaces are characters."""
    ratios_M = aspect_ratios(prediction.quads_N42)
    texts = masked(reference.texts, aspect_ratios(reference.quads_N42), reference.dont_care_N.tolist())
    read = masked(prediction.texts, ratios_M, [text == UNREADABLE for text in prediction.texts])
    lengths_N, lengths_M = count_characters(texts), count_characters(read)
    matching = match_words(reference, prediction, lengths_N)
    pieces_N, words_M = matching.matched_NM.sum(axis=1), matching.matched_NM.sum(axis=0)
    missed = ratios_M[matching.counted_M & (words_M == 0)].tolist()
    num_held, num_found = int(matching.held_CM.sum()), int(matching.held_CM.any(axis=1).sum())
    return ClevalCounts(
        num_reference=int(lengths_N[~reference.dont_care_N].sum()),
        num_found=num_found,
        num_detected=num_held + sum(false_positive_length(ratio, false_positives) for ratio in missed),
        num_read=num_read(texts, read, matching),
        num_predicted=int(lengths_M[matching.counted_M].sum()),
        extra_pieces=int(np.clip(pieces_N - 1, 0, None).sum()),
        extra_words=int(np.clip(words_M - 1, 0, None).sum()),
        num_split=int((pieces_N > 1).sum()),
        num_merged=int((words_M > 1).sum()),
        num_overlapped=num_held - num_found,
    )


def match_words(reference: PageWords, prediction: PageWords, lengths_N: np.ndarray) -> Matching:
    """Match the words of a page; `lengths_N` says how many characters each reference holds."""
    starts_N = np.cumsum(lengths_N) - lengths_N
    precision_NM = area_precision(reference, prediction)
    inside_CM = holds(prediction.quads_N42, character_centers(reference.quads_N42, lengths_N))
    held_NM = characters_held(inside_CM, starts_N, lengths_N)
    counted_M = ~ignored(precision_NM, held_NM, reference.dont_care_N)
    matched_NM = matches(precision_NM, held_NM, ~reference.dont_care_N, counted_M)
    return Matching(matched_NM, inside_CM & np.repeat(matched_NM, lengths_N, axis=0), starts_N, counted_M)


def masked(texts: Sequence[str], ratios_N: np.ndarray, unknown: Sequence[bool]) -> list[str]:
    """Texts, and for each unknown one as many '#' as square characters fit into its region."""
    return [
        "#" * guessed_length(max(ratio, 1 / ratio)) if hidden else text
        for text, ratio, hidden in zip(texts, ratios_N.tolist(), unknown, strict=True)
    ]


def count_characters(texts: Sequence[str]) -> np.ndarray:
    return np.array([len(text) for text in texts], dtype=int)


def aspect_ratios(quads_N42: np.ndarray) -> np.ndarray:
    """Mean width over mean height of each quad, float64 (N,)."""
    sides_N4 = np.linalg.norm(np.roll(quads_N42, -1, axis=1) - quads_N42, axis=2)
    return np.asarray((sides_N4[:, [0, 2]].mean(axis=1) + 1e-5) / (sides_N4[:, [1, 3]].mean(axis=1) + 1e-5))


def guessed_length(ratio: float) -> int:
    """How many square characters a region of this length-to-width ratio holds, where its text is not known."""
    return min(round(0.5 + ratio), MAX_GUESSED_LENGTH)


def false_positive_length(ratio: float, rule: FalsePositives) -> int:
    """Characters that a prediction on nothing counts for; `ratio` is width / height.

    The official 0.1.1 divides the wrong way round: its ratio was height / width until a rewrite in 2023, and this
    formula stayed. A wide false word counts 1 character there, and as many as fit into it with "intended".
    """
    return guessed_length(1 / (1e-5 + (ratio if rule == "official" else 1 / ratio)))


def character_centers(quads_N42: np.ndarray, lengths_N: np.ndarray) -> np.ndarray:
    """Where the characters of each reference sit, float64 (C, 2): evenly between the middles of its short ends.

    Tall quads are relabeled by a quarter turn, which makes vertical text run from the bottom to the top.
    """
    tall = aspect_ratios(quads_N42) < VERTICAL_ASPECT_RATIO
    quads_N42 = np.where(tall[:, None, None], np.roll(quads_N42, 1, axis=1), quads_N42)
    left_N2, right_N2 = (quads_N42[:, 0] + quads_N42[:, 3]) / 2, (quads_N42[:, 1] + quads_N42[:, 2]) / 2
    word_C = np.repeat(np.arange(len(lengths_N)), lengths_N)
    number_C = np.arange(len(word_C)) - np.repeat(np.cumsum(lengths_N) - lengths_N, lengths_N)
    step_N2 = (right_N2 - left_N2) / np.maximum(lengths_N, 1)[:, None]
    return np.asarray(left_N2[word_C] + step_N2[word_C] / 2 + step_N2[word_C] * number_C[:, None])


def holds(quads_M42: np.ndarray, centers_C2: np.ndarray) -> np.ndarray:
    """Which centers lie in which quads, bool (C, M); left and top edges belong to a quad, right and bottom do not."""
    quads_M42 = np.trunc(quads_M42)
    x, y = centers_C2[:, 0, None], centers_C2[:, 1, None]
    x0, y0, x1, y1 = hulls(quads_M42).T[:, None, :]
    inside_CM = (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
    rows, columns = np.nonzero(inside_CM & ~is_upright(quads_M42))
    inside_CM[rows, columns] = in_polygons(centers_C2[rows], quads_M42[columns])
    return np.asarray(inside_CM)


def in_polygons(points_K2: np.ndarray, quads_K42: np.ndarray) -> np.ndarray:
    """Whether each point lies in its own quad, bool (K,): an odd number of sides lies to its right."""
    x, y = points_K2[:, 0, None], points_K2[:, 1, None]
    start_x, start_y = np.moveaxis(quads_K42, 2, 0)
    end_x, end_y = np.moveaxis(np.roll(quads_K42, 1, axis=1), 2, 0)
    spans = (start_y > y) != (end_y > y)
    # In this order of operations a point on a side rounds to the official answer.
    along = np.divide((end_x - start_x) * (y - start_y), end_y - start_y, out=np.zeros_like(start_x), where=spans)
    return np.asarray((spans & (x < start_x + along)).sum(axis=1) % 2 == 1)


def area_precision(reference: PageWords, prediction: PageWords) -> np.ndarray:
    """The share of each prediction that lies on each reference, float32 (N, M); 0 for one without area.

    A don't-care word loses the area that other words have on it.
    """
    quads_N42, quads_M42 = np.trunc(reference.quads_N42), np.trunc(prediction.quads_N42)
    shared_NM, areas_M = intersection(hulls(quads_N42), hulls(quads_M42)), np.abs(signed_areas(quads_M42))
    exact_NM = (~is_upright(quads_N42) | reference.dont_care_N)[:, None] | ~is_upright(quads_M42)[None, :]
    rows, columns = np.nonzero(exact_NM & (shared_NM > 0))
    if len(rows):
        regions = without_words(polygons(quads_N42), reference.dont_care_N)
        shared_NM[rows, columns] = shapely.area(shapely.intersection(regions[rows], polygons(quads_M42)[columns]))
    shares_NM = np.divide(shared_NM, areas_M, out=np.zeros_like(shared_NM), where=areas_M > 0)
    return np.asarray(shares_NM, np.float32)  # The official thresholds are met or missed in this precision.


def without_words(regions: np.ndarray, dont_care_N: np.ndarray) -> np.ndarray:
    if dont_care_N.any() and not dont_care_N.all():
        regions[dont_care_N] = shapely.difference(regions[dont_care_N], shapely.union_all(regions[~dont_care_N]))
    return regions


def characters_held(inside_CM: np.ndarray, starts_N: np.ndarray, lengths_N: np.ndarray) -> np.ndarray:
    """How many characters of each reference lie in each prediction, int (N, M)."""
    held_NM = np.zeros((len(lengths_N), inside_CM.shape[1]), dtype=int)
    if len(inside_CM):
        held_NM[lengths_N > 0] = np.add.reduceat(inside_CM, starts_N[lengths_N > 0], axis=0, dtype=int)
    return held_NM


def ignored(precision_NM: np.ndarray, held_NM: np.ndarray, dont_care_N: np.ndarray) -> np.ndarray:
    """Which predictions lie on don't-care words, bool (M,): enough on one, or in sum on those they hold parts of."""
    precision_DM, held_DM = precision_NM[dont_care_N], held_NM[dont_care_N]
    together_M = np.where(held_DM > 0, precision_DM, np.float32(0)).sum(axis=0, dtype=np.float32)
    return np.asarray((precision_DM >= AREA_PRECISION).any(axis=0) | (together_M >= AREA_PRECISION))


def matches(precision_NM: np.ndarray, held_NM: np.ndarray, counted_N: np.ndarray, counted_M: np.ndarray) -> np.ndarray:
    """Matched pairs, bool (N, M): one to one, one reference split, or several merged; never by IoU."""
    counted_NM = counted_N[:, None] & counted_M[None, :]
    good_NM = (precision_NM >= AREA_PRECISION) & (held_NM > 0)
    # Whether a pair stands alone is asked of all words, don't-care ones included.
    single_NM = good_NM & (good_NM.sum(axis=1) == 1)[:, None] & (good_NM.sum(axis=0) == 1)[None, :]
    good_NM &= counted_NM
    split_NM = good_NM & (good_NM.sum(axis=1) >= 2)[:, None]
    part_NM = (held_NM > 0) & counted_NM
    together_M = np.where(part_NM, precision_NM, np.float32(0)).sum(axis=0, dtype=np.float64)
    merged_NM = part_NM & ((part_NM.sum(axis=0) >= 2) & (together_M >= AREA_PRECISION))[None, :]
    return np.asarray((single_NM & counted_NM) | split_NM | merged_NM)


def num_read(texts: Sequence[str], read: Sequence[str], matching: Matching) -> int:
    """Characters read right: reference by reference, the longest common subsequence with what is left of its pieces.

    What one reference has taken of a merged prediction is gone for the next.
    """
    pieces_N, words_M = matching.matched_NM.sum(axis=1), matching.matched_NM.sum(axis=0)
    alone_NM = matching.matched_NM & (pieces_N == 1)[:, None] & (words_M == 1)[None, :]
    pairs = np.argwhere(alone_NM).tolist()
    total = sum(LCSseq.similarity(texts[reference], read[prediction]) for reference, prediction in pairs)
    rest = list(read)
    for reference in np.flatnonzero((matching.matched_NM & ~alone_NM).any(axis=1)).tolist():
        start = matching.starts_N[reference]
        held_kM = matching.held_CM[start : start + len(texts[reference])]
        pieces = in_reading_order(np.flatnonzero(matching.matched_NM[reference]).tolist(), held_kM)
        common = common_subsequence(texts[reference], "".join(rest[piece] for piece in pieces))
        take_away(common, rest, pieces)
        total += len(common)
    return total


def in_reading_order(pieces: Sequence[int], held_kM: np.ndarray) -> list[int]:
    """The predictions on one split reference by the first of its characters k that each holds.

    One that holds no character of its own before all but one are placed is left out, as the official code has it.
    """
    ordered: list[int] = []
    waiting = list(pieces)
    for held_M in held_kM:
        if len(waiting) == 1:
            break
        if (first := next((piece for piece in waiting if held_M[piece]), None)) is not None:
            ordered.append(first)
            waiting.remove(first)
    return [*ordered, waiting[0]]


def take_away(characters: str, rest: list[str], pieces: Sequence[int]) -> None:
    """Remove each character once from `rest`, from the first of the pieces that still has it."""
    for character in characters:
        holder = next(piece for piece in pieces if character in rest[piece])
        rest[holder] = rest[holder].replace(character, "", 1)


def common_subsequence(reference: str, prediction: str) -> str:
    """One longest common subsequence. Of several, the one that drops the last prediction character first."""
    longest = LCSseq.similarity(reference, prediction)
    if longest in (0, len(reference)):
        return reference[:longest]
    lengths = [[0] * (len(prediction) + 1)]
    for character in reference:
        above, row = lengths[-1], [0]
        for j, other in enumerate(prediction):
            row.append(above[j] + 1 if character == other else max(above[j + 1], row[j]))
        lengths.append(row)
    i, j, backward = len(reference), len(prediction), []
    while i and j:
        if reference[i - 1] == prediction[j - 1]:
            i, j = i - 1, j - 1
            backward.append(reference[i])
        elif lengths[i - 1][j] > lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return "".join(reversed(backward))
