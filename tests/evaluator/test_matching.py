from __future__ import annotations

import numpy as np
import pytest

from evaluator.matching import iou, match

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
