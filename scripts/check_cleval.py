"""Hold our CLEval against the official package, count by count, on made-up pages.

The package (cleval 0.1.1) wants a C compiler, torch, and Polygon3, whose licence is not free for every use, so nothing
here depends on it. In an environment that can be thrown away:

    pip install cleval opencv-python-headless && pip install -e . && python scripts/check_cleval.py --pages 5000

Measured on 17,999 pages (--pages 3000 --seed 11): all ten counts are the same on every page. On the one left out,
crowded quads number 1654, Polygon3 itself ends in a segmentation fault; name another seed where that happens.

`--save FILE` keeps pages and official counts for `tests/evaluator/metrics/test_cleval.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import numpy as np
from cleval.box_types import QUAD
from cleval.eval_functions import evaluation
from cleval.torchmetric import Options

from evaluator.metrics.cleval import ClevalCounts, cleval_counts
from evaluator.metrics.page_words import PageWords, in_turn, page_words

LETTERS = list("가나다라마바 사1234AB,.")
FEW_LETTERS = list("가나다")


class CheckedPage(msgspec.Struct):
    """A page and its official counts; quads are (N, 8)."""

    quads: list[list[float]]
    texts: list[str]
    dont_care: list[bool]
    read_quads: list[list[float]]
    read_texts: list[str]
    counts: ClevalCounts


def main() -> None:
    parser = argparse.ArgumentParser(description="Hold our CLEval against the official package cleval 0.1.1.")
    parser.add_argument("--pages", type=int, default=1000, metavar="N", help="of each of 6 kinds (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the pages and official counts as JSON lines")
    arguments = parser.parse_args()
    kept = []
    for shape in ("upright", "tilted", "quad"):
        for crowded in (False, True):
            pages = [make_page(arguments.seed, number, shape, crowded) for number in range(arguments.pages)]
            kept += [checked(*page) for page in pages]
            different = [number for number, page in enumerate(kept[-len(pages) :]) if ours(page) != page.counts]
            crowd = "crowded" if crowded else "loose"
            print(f"{shape}, {crowd}: {len(pages) - len(different)} of {len(pages)} pages agree", *different[:5])
    if arguments.save:
        arguments.save.write_bytes(msgspec.json.Encoder().encode_lines(kept))


def ours(page: CheckedPage) -> ClevalCounts:
    quads, read_quads = (np.array(side).reshape(-1, 4, 2) for side in (page.quads, page.read_quads))
    return cleval_counts(page_words(quads, page.texts, page.dont_care), page_words(read_quads, page.read_texts))


def checked(reference: PageWords, prediction: PageWords) -> CheckedPage:
    options = Options(True, 1.0, 1.0, 0.5, 0.3)
    options.E2E = True
    flat, flat_read = (side.quads_N42.reshape(-1, 8).tolist() for side in (reference, prediction))
    dont_care = reference.dont_care_N.tolist()
    words = [
        QUAD(quad, transcription=text, is_dc=flag)
        for quad, text, flag in zip(flat, reference.texts, dont_care, strict=True)
    ]
    read = [QUAD(quad, transcription=text) for quad, text in zip(flat_read, prediction.texts, strict=True)]
    stats = evaluation(options, words, read).stats
    counts = ClevalCounts(
        num_reference=stats.det.num_char_gt,
        num_found=stats.det.num_char_tp_recall,
        num_detected=stats.det.num_char_det,
        num_read=stats.e2e.num_char_tp_recall,
        num_predicted=stats.e2e.num_char_det,
        extra_pieces=int(stats.det.gran_score_recall),
        extra_words=int(stats.det.gran_score_precision),
        num_split=stats.num_splitted,
        num_merged=stats.num_merged,
        num_overlapped=stats.num_char_overlapped,
    )
    return CheckedPage(flat, list(reference.texts), dont_care, flat_read, list(prediction.texts), counts)


def make_page(seed: int, number: int, shape: str, crowded: bool) -> tuple[PageWords, PageWords]:
    """A page and its reading; words overlap, and are split, merged, misread, invented, "###" or don't care."""
    rng = np.random.default_rng([seed, number, len(shape), crowded])
    size = rng.choice([150, 300]) if crowded else rng.choice([200, 400, 900])
    letters = FEW_LETTERS if crowded else LETTERS
    words = [
        (make_quad(rng, shape, size), make_text(rng, letters)) for _ in range(rng.integers(0, 40 if crowded else 14))
    ]
    dont_care = [bool(rng.random() < 0.12) for _ in words]
    read: list[tuple[np.ndarray, str]] = []
    for quad, text in words:
        read += read_word(rng, quad, text, words, letters)
    for _ in range(rng.integers(0, 4)):
        read.append((make_quad(rng, shape, size), "###" if rng.random() < 0.1 else make_text(rng, letters)))
    order = rng.permutation(len(read))
    read = [read[place] for place in order]
    return as_words(words, dont_care), as_words(read)


def read_word(
    rng: np.random.Generator, quad: np.ndarray, text: str, words: list[tuple[np.ndarray, str]], letters: list[str]
) -> list[tuple[np.ndarray, str]]:
    fate = rng.random()
    if fate < 0.1:
        return []
    if fate < 0.3:
        share = rng.uniform(0.2, 0.8)
        first, second, third, fourth = quad
        top, bottom, half = first + (second - first) * share, fourth + (third - fourth) * share, int(len(text) * share)
        return [
            (np.array([first, top, bottom, fourth]), text[:half]),
            (np.array([top, second, third, bottom]), text[half:]),
        ]
    if fate < 0.5:
        other, other_text = words[rng.integers(len(words))]
        corners = np.concatenate([quad, other])
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        return [(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), text + str(rng.choice([" ", ""])) + other_text)]
    misread = "".join(letter if rng.random() > 0.15 else str(rng.choice(letters)) for letter in text)
    return [(quad + rng.normal(0, rng.choice([0, 1, 4]), (1, 2)), misread)]


def make_quad(rng: np.random.Generator, shape: str, size: int) -> np.ndarray:
    width, height = rng.uniform(4, 160), rng.uniform(4, 60)
    if rng.random() < 0.15:
        width, height = height, width
    quad = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    if shape != "upright" and rng.random() < 0.5:
        angle = rng.uniform(-0.6, 0.6) if rng.random() < 0.8 else rng.uniform(-3.1, 3.1)
        quad = quad @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    quad = quad + rng.uniform(0, size, 2)
    if shape == "quad":
        quad = quad + rng.normal(0, 3, quad.shape)
    return np.round(quad) if rng.random() < 0.6 else quad


def make_text(rng: np.random.Generator, letters: list[str]) -> str:
    return "".join(rng.choice(letters, rng.integers(0 if rng.random() < 0.1 else 1, 9)))


def as_words(words: list[tuple[np.ndarray, str]], dont_care: list[bool] | None = None) -> PageWords:
    quads_N42 = np.round(np.array([quad for quad, _ in words]).reshape(-1, 4, 2), 2)
    return page_words(in_turn(quads_N42)[0], [text for _, text in words], dont_care)


if __name__ == "__main__":
    main()
