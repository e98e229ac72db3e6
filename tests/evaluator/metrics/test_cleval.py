from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from evaluator.metrics.cleval import ClevalCounts, FalsePositives, cleval_counts, common_subsequence
from evaluator.metrics.end_to_end import compare_page
from evaluator.metrics.figures import page_sums, scores_of
from evaluator.metrics.page_words import PageWords, page_words
from tests.evaluator.made_words import Line, boxed, line

OFFICIAL = Path(__file__).parent / "cleval_0_1_1.jsonl"
"""Pages with the counts that the official package gives; `scripts/check_cleval.py` made them and checks thousands."""

WORD: Line = [(0, 120, "가나다라마바")]
TWO: Line = [(0, 60, "가나다"), (60, 120, "라마바")]
FIVE: Line = [(30 * place, 30 * place + 30, letter) for place, letter in enumerate("가나다라마")]

Figures = tuple[float | None, float | None, float | None]
"""Recall, precision and their harmonic mean."""


def figures(
    reference: PageWords, prediction: PageWords, false_positives: FalsePositives = "official"
) -> tuple[Figures, Figures]:
    """Of detection, and end to end."""
    page = compare_page(reference, prediction, false_positives=false_positives)
    cleval = scores_of(page_sums(page)).cleval
    return msgspec.structs.astuple(cleval.detection), msgspec.structs.astuple(cleval.end_to_end)


class OfficialPage(msgspec.Struct):
    quads: list[list[float]]
    texts: list[str]
    dont_care: list[bool]
    read_quads: list[list[float]]
    read_texts: list[str]
    counts: ClevalCounts


@pytest.mark.parametrize("number", range(30))
def test_counts_are_those_of_the_official_package(number: int) -> None:
    page = msgspec.json.decode(OFFICIAL.read_text(encoding="utf-8").splitlines()[number], type=OfficialPage)
    reference = page_words(np.array(page.quads), page.texts, page.dont_care)
    assert cleval_counts(reference, page_words(np.array(page.read_quads), page.read_texts)) == page.counts


@pytest.mark.parametrize(
    ("references", "predictions", "detection", "end_to_end"),
    [
        pytest.param(WORD, WORD, (1, 1, 1), (1, 1, 1), id="read right"),
        pytest.param(WORD, TWO, (5 / 6, 1, 10 / 11), (5 / 6, 1, 10 / 11), id="split in two"),
        pytest.param(TWO, WORD, (1, 5 / 6, 10 / 11), (1, 5 / 6, 10 / 11), id="merged"),
        pytest.param(
            TWO, [(0, 120, "가나다 라마바")], (1, 5 / 6, 10 / 11), (1, 5 / 7, 5 / 6), id="merged, a space counts"
        ),
        pytest.param(
            FIVE, [(0, 150, "가 나 다 라 마")], (1, 1 / 5, 1 / 3), (1, 1 / 9, 1 / 5), id="a line of single characters"
        ),
        pytest.param(WORD, [(0, 80, "가나다라")], (4 / 6, 1, 0.8), (4 / 6, 1, 0.8), id="missing characters"),
        pytest.param(
            WORD,
            [(0, 80, "가나다라"), (40, 120, "다라마바")],
            (5 / 6, 6 / 8, 15 / 19),
            (5 / 6, 6 / 8, 15 / 19),
            id="overlapping pieces",
        ),
        pytest.param(WORD, [(0, 120, "")], (1, 1, 1), (0, None, 0), id="found and not read"),
        pytest.param(WORD, [(0, 120, "가나더라마바")], (1, 1, 1), (5 / 6, 5 / 6, 5 / 6), id="a character misread"),
        pytest.param(WORD, [(200, 240, "가나")], (0, 0, 0), (0, 0, 0), id="right text in the wrong place"),
        pytest.param([(0, 40, "")], [(0, 40, "가나")], (None, 0, 0), (None, 0, 0), id="a reference without text"),
        pytest.param(WORD, [], (0, None, 0), (0, None, 0), id="nothing found"),
        pytest.param([], WORD, (None, 0, 0), (None, 0, 0), id="found on a blank page"),
        pytest.param([], [], (None, None, None), (None, None, None), id="a blank page read as blank"),
    ],
)
def test_figures_of_one_line(references: Line, predictions: Line, detection: Figures, end_to_end: Figures) -> None:
    found, read = figures(line(references), line(predictions))
    assert found == pytest.approx(detection)
    assert read == pytest.approx(end_to_end)


@pytest.mark.parametrize(
    ("box", "official", "intended"),
    [((0, 0, 200, 40), 1, 5), ((0, 0, 40, 200), 5, 1), ((0, 0, 40, 40), 1, 1), ((0, 0, 999, 20), 1, 10)],
)
def test_how_many_characters_a_false_box_counts_for(
    box: tuple[float, float, float, float], official: int, intended: int
) -> None:
    """The official rule is inverted: a wide box counts for one character, a tall one for many."""
    nothing, false = line([]), boxed([(box, "가")])
    assert cleval_counts(nothing, false, "official").num_detected == official
    assert cleval_counts(nothing, false, "intended").num_detected == intended


def test_a_vertical_word_runs_from_the_bottom_to_the_top() -> None:
    """A quirk of the official package: what is split from top to bottom has its characters in the wrong order."""
    word, halves = ((0, 0, 20, 120), "가나다라마바"), [((0, 0, 20, 60), "가나다"), ((0, 60, 20, 120), "라마바")]
    found, read = figures(boxed([word]), boxed(halves))
    assert found == pytest.approx((5 / 6, 1, 10 / 11))
    assert read == pytest.approx((2 / 6, 3 / 6, 2 / 5))
    assert figures(boxed([word]), boxed([word])) == ((1, 1, 1), (1, 1, 1))


@pytest.mark.parametrize(
    ("predictions", "num_detected", "num_predicted"),
    [
        pytest.param([(0, 60, "가나다")], 0, 0, id="one that lies on it is not counted"),
        pytest.param([(40, 100, "가나다")], 0, 0, id="so is one of which a third does"),
        pytest.param([(45, 105, "가나다")], 1, 3, id="one of which a quarter does is false"),
    ],
)
def test_dont_care_words(predictions: Line, num_detected: int, num_predicted: int) -> None:
    counts = cleval_counts(line([(0, 60, "가나다")], dont_care=(0,)), line(predictions))
    assert (counts.num_reference, counts.num_detected, counts.num_predicted) == (0, num_detected, num_predicted)


def test_a_dont_care_word_loses_the_area_of_other_words() -> None:
    """A word inside a region nobody cares for is still a word, and finding it is no fault."""
    inside, region = ((20.0, 0.0, 80.0, 20.0), "가나다"), ((0.0, 0.0, 100.0, 20.0), "?")
    counts = cleval_counts(boxed([inside, region], dont_care=(1,)), boxed([inside]))
    assert (counts.num_reference, counts.num_found, counts.num_read, counts.num_predicted) == (3, 3, 3, 3)


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        ("가나다", "가나다", "가나다"),
        ("가나다", "가x다", "가다"),
        ("가나다", "라마바", ""),
        ("", "가", ""),
        ("ab", "ba", "b"),
        ("abcb", "bdcab", "bcb"),
    ],
)
def test_one_of_the_longest_common_subsequences(reference: str, prediction: str, expected: str) -> None:
    assert common_subsequence(reference, prediction) == expected
