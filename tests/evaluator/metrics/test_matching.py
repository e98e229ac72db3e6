from __future__ import annotations

import numpy as np
import pytest

from evaluator.metrics.matching import generalized_iou, iou, is_upright, match, on_dont_care, polygon_iou
from evaluator.metrics.page_words import PageWords, page_words
from tests.evaluator.made_words import boxed

SQUARE = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (SQUARE, 1.0),
        ((0, 0, 5, 10), 0.5),
        ((5, 0, 15, 10), 1 / 3),
        ((2, 2, 8, 8), 0.36),
        ((-5, -5, 15, 15), 0.25),
        ((0.0, 0.0, 10.0, 7.5), 0.75),
        ((10, 0, 20, 10), 0.0),
        ((40, 40, 50, 50), 0.0),
        ((5, 5, 5, 5), 0.0),
        ((8, 8, 2, 2), 0.0),
    ],
)
def test_iou_with_a_square(box: tuple[float, ...], expected: float) -> None:
    assert iou(np.array([SQUARE]), np.array([box]))[0, 0] == pytest.approx(expected)


def test_two_boxes_without_area_do_not_overlap() -> None:
    empty = np.zeros((1, 4))
    assert iou(empty, empty).tolist() == [[0.0]]


@pytest.mark.parametrize(("num_references", "num_predictions"), [(0, 0), (0, 3), (3, 0), (2, 3)])
def test_iou_has_a_row_a_reference_and_a_column_a_prediction(num_references: int, num_predictions: int) -> None:
    ious = iou(np.zeros((num_references, 4), int), np.zeros((num_predictions, 4), int))
    assert ious.shape == (num_references, num_predictions)
    assert match(ious) == []


@pytest.mark.parametrize(
    ("ious", "expected"),
    [
        pytest.param([[0.5]], [(0, 0)], id="exactly one half matches"),
        pytest.param([[0.4999]], [], id="less does not"),
        pytest.param([[0.6, 0.9]], [(0, 1)], id="a reference takes the better of two predictions"),
        pytest.param([[0.6], [0.9]], [(1, 0)], id="a prediction takes the better of two references"),
        pytest.param([[0.9, 0.8], [0.8, 0.1]], [(0, 0)], id="greedy: one pair, where two were possible"),
        pytest.param([[0.6, 0.7], [0.8, 0.9]], [(1, 1), (0, 0)], id="pairs come by falling IoU"),
        pytest.param([[0.7, 0.7], [0.7, 0.7]], [(0, 0), (1, 1)], id="equal IoUs go in order"),
    ],
)
def test_matching_is_greedy_and_one_to_one(ious: list[list[float]], expected: list[tuple[int, int]]) -> None:
    assert match(np.array(ious)) == expected


def quad(*corners: tuple[float, float]) -> PageWords:
    return page_words(np.array(corners), ["가"])


UPRIGHT = quad((0, 0), (10, 0), (10, 10), (0, 10))
TURNED = quad((5, 0), (10, 5), (5, 10), (0, 5))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(UPRIGHT, 1, id="itself"),
        pytest.param(TURNED, 1 / 2, id="a square on its corner"),
        pytest.param(quad((0, 0), (10, 0), (10, 5), (0, 5)), 1 / 2, id="upright half"),
        pytest.param(quad((10, 10), (0, 10), (0, 0), (10, 0)), 1, id="upside down"),
        pytest.param(quad((0, 0), (10, 0), (0, 10), (10, 10)), 1 / 2, id="a bow tie is its two triangles"),
        pytest.param(quad((0, 0), (10, 10), (10, 10), (0, 0)), 0, id="a line"),
        pytest.param(quad((20, 0), (30, 0), (30, 10), (20, 10)), 0, id="elsewhere"),
    ],
)
def test_polygon_iou_with_a_square(words: PageWords, expected: float) -> None:
    assert polygon_iou(UPRIGHT, words).tolist() == [[pytest.approx(expected)]]
    assert polygon_iou(words, UPRIGHT).tolist() == [[pytest.approx(expected)]]


def test_polygon_iou_is_iou_where_quads_are_upright() -> None:
    words = boxed([((0, 0, 9, 9), "가"), ((4, 4, 12, 7), "나"), ((3, 3, 3, 3), "다")])
    assert (polygon_iou(words, words) == iou(words.boxes_N4, words.boxes_N4)).all()
    assert polygon_iou(words, boxed([])).shape == (3, 0)


def test_a_quad_is_upright_whichever_corner_comes_first() -> None:
    corners = np.array([[(0, 0), (7, 0), (7, 3), (0, 3)]], dtype=float)
    assert all(is_upright(np.roll(corners, turn, axis=1)).all() for turn in range(4))
    assert is_upright(TURNED.quads_N42).tolist() == [False]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param(SQUARE, 1, id="itself"),
        pytest.param((0, 0, 5, 10), 1 / 2, id="half of it: the hull is the union"),
        pytest.param((10, 0, 20, 10), 0, id="beside it"),
        pytest.param((20, 0, 30, 10), -1 / 3, id="a gap as wide as the boxes"),
        pytest.param((10, 10, 20, 20), -1 / 2, id="corner to corner"),
        pytest.param((5, 5, 5, 5), 0, id="a point in it"),
    ],
)
def test_generalized_iou_with_a_square(box: tuple[float, ...], expected: float) -> None:
    assert generalized_iou(np.array([SQUARE]), np.array([box])).tolist() == [pytest.approx(expected)]


def test_generalized_iou_of_two_points_and_of_no_pair() -> None:
    assert generalized_iou(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [0]
    assert generalized_iou(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)


def test_predictions_on_dont_care_words() -> None:
    reference = boxed([((0, 0, 10, 10), "가"), ((20, 0, 30, 10), "나"), ((30, 0, 40, 10), "다")], dont_care=(1, 2))
    boxes = [(0, 0, 10, 10), (21, 1, 29, 9), (15, 0, 25, 10), (14, 0, 25, 10), (25, 0, 35, 10), (24, 0, 35, 10)]
    prediction = boxed([(box, "") for box in boxes] + [((25, 5, 25, 5), "")])
    assert on_dont_care(reference, prediction).tolist() == [False, True, False, False, False, True, False]
    assert on_dont_care(boxed([]), prediction).tolist() == [False] * 7
