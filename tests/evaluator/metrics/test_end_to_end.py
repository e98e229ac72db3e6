from __future__ import annotations

import numpy as np
import pytest

from evaluator.metrics.end_to_end import compare_page, credit, credit_seed, page_f1, page_f1_seed
from evaluator.metrics.figures import page_sums, scores_of
from evaluator.metrics.page_words import PageWords, page_words
from tests.evaluator.made_words import Line, boxed, line, reading

WORD: Line = [(0, 120, "가나다라마바")]
FIVE: Line = [(40 * index, 40 * index + 30, text) for index, text in enumerate("가나다라마")]


@pytest.mark.parametrize(
    ("references", "predictions", "detection_f1", "f1", "f1_seed"),
    [
        pytest.param(WORD, WORD, 1, 1, 1, id="read right"),
        pytest.param(WORD, [(0, 55, "가나다"), (65, 120, "라마바")], 0, 0, 0, id="split in two"),
        pytest.param([(0, 60, "가나다"), (80, 140, "라마바")], [(0, 140, "가나다라마바")], 0, 0, 0, id="merged"),
        pytest.param(FIVE, [(0, 190, "가 나 다 라 마")], 0, 0, 0, id="a line of five merged"),
        pytest.param(WORD, [(0, 80, "가나다라")], 1, 2 / 3, 0.6667, id="missing characters"),
        pytest.param(WORD, [(0, 80, "가나다라"), (40, 120, "다라마바")], 2 / 3, 4 / 9, 0.4444, id="overlapping"),
        pytest.param(
            [(0, 20, "가"), (40, 60, "나")],
            [(0, 20, "다라마"), (40, 60, "나")],
            1,
            0.5,
            -0.5,
            id="CER of 3 and a right one",
        ),
        pytest.param(
            [(0, 20, "가"), (40, 60, "나")], [(0, 20, "다라"), (40, 60, "나")], 1, 0.5, 0, id="credits that sum to zero"
        ),
        pytest.param(WORD, [(0, 120, "")], 1, 0, 0, id="found and not read"),
        pytest.param([(0, 60, " 가나")], [(0, 60, "가나 ")], 1, 1 / 3, 1, id="blanks at the ends"),
        pytest.param([(0, 60, "가 나")], [(0, 60, "가나")], 1, 2 / 3, 0.6667, id="a blank inside"),
        pytest.param([(0, 60, "No.")], [(0, 60, "no.")], 1, 2 / 3, 0.6667, id="case counts"),
        pytest.param(WORD, [(200, 320, "가나다라마바")], 0, 0, 0, id="right text in the wrong place"),
        pytest.param(WORD, [], 0, 0, 0, id="nothing found"),
        pytest.param([], WORD, 0, 0, 0, id="found on a blank page"),
        pytest.param([], [], None, None, 0, id="a blank page read as blank"),
        pytest.param([(0, 60, "")], [(0, 60, "")], 1, 1, 1, id="a region without text, read as such"),
        pytest.param([(0, 60, "")], [(0, 60, "가")], 1, 0, 0, id="text read where there is none"),
    ],
)
def test_f1s_of_one_line(
    references: Line, predictions: Line, detection_f1: float | None, f1: float | None, f1_seed: float
) -> None:
    page = reading(references, predictions)
    scores = scores_of(page_sums(page))
    assert scores.detection.f1 == (None if detection_f1 is None else pytest.approx(detection_f1))
    assert page_f1(page) == scores.end_to_end.f1 == (None if f1 is None else pytest.approx(f1))
    assert page_f1_seed(page) == scores.end_to_end_seed.f1_page_mean == f1_seed


@pytest.mark.parametrize(
    ("reference", "prediction", "ours", "seed"),
    [
        ("김해시", "김해시", 1, 1),
        ("김해시", "김해", 2 / 3, 2 / 3),
        ("가", "나다라", 0, -2),
        ("가", "", 0, 0),
        ("가", " ", 0, 0),
        ("가 ", "가", 1 / 2, 1),
        (" ", "나다", 0, -1),
        ("", "", 1, 1),
        ("", "나다", 0, -1),
    ],
)
def test_credit_of_one_pair(reference: str, prediction: str, ours: float, seed: float) -> None:
    assert credit(reference, prediction) == pytest.approx(ours)
    assert credit_seed(reference, prediction) == pytest.approx(seed)


@pytest.mark.parametrize(
    ("references", "predictions", "dont_care", "num_reference", "num_prediction", "num_matched"),
    [
        pytest.param(FIVE, FIVE, (0, 1), 3, 3, 3, id="what lies on a don't-care word is not counted"),
        pytest.param(FIVE, [], (0, 1), 3, 0, 0, id="a don't-care word cannot be missed"),
        pytest.param([(0, 30, "가")], [(20, 60, "나")], (0,), 0, 1, 0, id="a quarter on it is a false word"),
        pytest.param([(0, 30, "가")], [(10, 50, "나")], (0,), 0, 1, 0, id="half on it is still a false word"),
        pytest.param([(0, 30, "가")], [(9, 50, "나")], (0,), 0, 0, 0, id="more than half is ignored"),
        pytest.param(
            [(0, 100, "가나"), (10, 60, "나")],
            [(10, 60, "나")],
            (0,),
            1,
            1,
            1,
            id="a match is a match, whatever it lies on",
        ),
    ],
)
def test_dont_care_words(
    references: Line,
    predictions: Line,
    dont_care: tuple[int, ...],
    num_reference: int,
    num_prediction: int,
    num_matched: int,
) -> None:
    page = reading(references, predictions, dont_care)
    assert (page.num_reference, page.num_prediction, len(page.matches)) == (num_reference, num_prediction, num_matched)


def tilted(text: str, drop: float) -> PageWords:
    """A band 20 pixels high and 200 wide, whose right end lies `drop` pixels lower."""
    return page_words(np.array([[0, 0], [200, drop], [200, drop + 20], [0, 20]]), [text])


def test_tilted_quads_are_matched_by_their_boxes_or_by_themselves() -> None:
    """Two bands that fall and rise share their box and little else."""
    falling, rising = tilted("가", 100), page_words(np.array([[0, 100], [200, 0], [200, 20], [0, 120]]), ["가"])
    by_box, by_quad = compare_page(falling, rising), compare_page(falling, rising, polygon=True)
    assert (by_box.matches, by_quad.matches) == (((0, 0),), ())
    assert page_f1_seed(by_box) == page_f1_seed(by_quad) == 1, "the seed knows upright boxes only"
    assert compare_page(falling, tilted("가", 102), polygon=True).matches == ((0, 0),)


def test_upright_words_match_alike_either_way() -> None:
    references, predictions = line(FIVE), boxed([((x0 + 3, 2, x1 + 3, 19), text) for x0, x1, text in FIVE])
    assert compare_page(references, predictions).matches == compare_page(references, predictions, polygon=True).matches
