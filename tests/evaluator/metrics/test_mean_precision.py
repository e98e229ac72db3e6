from __future__ import annotations

import msgspec
import numpy as np
import pytest

from evaluator.metrics.end_to_end import compare_page
from evaluator.metrics.figures import page_sums, total
from evaluator.metrics.mean_precision import (
    THRESHOLDS,
    DetectionExtra,
    average_precision,
    average_precisions,
    detection_extra,
    page_fates,
)
from tests.evaluator.made_words import Line, line

FOUR: Line = [(100 * place, 100 * place + 60, "가") for place in range(4)]
ELSEWHERE = (900, 960, "나")


@pytest.mark.parametrize(
    ("confidences", "hits", "num_reference", "expected"),
    [
        pytest.param([0.9, 0.8], [1, 1], 2, 1, id="all found"),
        pytest.param([0.9, 0.8], [1, 1], 4, 51 / 101, id="half of them found: 51 of 101 recall levels"),
        pytest.param([0.9, 0.8], [1, 0], 1, 1, id="a false one behind a right one costs nothing"),
        pytest.param([0.8, 0.9], [1, 0], 1, 1 / 2, id="a false one before it costs half"),
        pytest.param([0.5, 0.5], [1, 0], 1, 1 / 2, id="of one confidence, neither comes first"),
        pytest.param([0.5, 0.5], [0, 1], 1, 1 / 2, id="in whatever order they are listed"),
        pytest.param(
            [0.9, 0.8, 0.7], [1, 0, 1], 2, (51 + 50 * 2 / 3) / 101, id="the best precision at a higher recall"
        ),
        pytest.param([1, 1, 1, 1], [1, 1, 1, 0], 4, 76 * 0.75 / 101, id="no confidences: precision up to the recall"),
        pytest.param([0.9], [0], 1, 0, id="nothing right"),
        pytest.param([], [], 3, 0, id="nothing found"),
    ],
)
def test_average_precision(confidences: list[float], hits: list[int], num_reference: int, expected: float) -> None:
    found = average_precision(np.array(confidences, float), np.array(hits, bool), num_reference)
    assert found == pytest.approx(expected)


def test_each_threshold_has_its_own_hits() -> None:
    """The prediction reaches over a sixth of the reference: IoU 50 / 60."""
    page = compare_page(line([(0, 60, "가")]), line([(10, 60, "가")]))
    assert dict(zip(THRESHOLDS, average_precisions([page]), strict=True)) == {
        **dict.fromkeys((0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8), pytest.approx(1)),
        **dict.fromkeys((0.85, 0.9, 0.95), 0),
    }
    extra = detection_extra([page], page_sums(page))
    assert msgspec.structs.astuple(extra) == pytest.approx((1, 1, 0.7, 5 / 6))


def test_the_surer_prediction_takes_the_reference() -> None:
    """Two predictions on one word: the better box is the less sure one, and comes too late."""
    page = compare_page(line([(0, 60, "가")]), line([(0, 60, "가"), (0, 50, "가")], confidences=[0.5, 0.9]))
    hits, counted = page_fates(page)
    assert hits[0].tolist() == [False, True]
    assert hits[-1].tolist() == [True, False]
    assert counted.all()


def test_a_prediction_takes_the_word_it_overlaps_most_of_those_left() -> None:
    words = line([(0, 60, "가"), (6, 66, "나")])
    page = compare_page(words, line([(5, 65, "가"), (5, 65, "나")], confidences=[0.9, 0.8]))
    assert page_fates(page)[0][0].tolist() == [True, True]
    assert page_fates(page)[0][-1].tolist() == [True, False]


def test_confidences_rank_over_all_pages() -> None:
    first = compare_page(line(FOUR[:1]), line([FOUR[0], ELSEWHERE], confidences=[0.9, 0.8]))
    second = compare_page(line(FOUR[1:2]), line([FOUR[1]], confidences=[0.7]))
    assert average_precisions([first, second])[0] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_dont_care_words_are_neither_missed_nor_false() -> None:
    page = compare_page(line(FOUR, dont_care=(2, 3)), line(FOUR[:3]))
    extra = detection_extra([page], page_sums(page))
    assert msgspec.structs.astuple(extra) == pytest.approx((1, 1, 1, 1))


@pytest.mark.parametrize(
    ("references", "predictions", "expected"),
    [
        pytest.param([], [], DetectionExtra(ap_50=None, ap_75=None, ap_50_95=None, mean_giou=None), id="no word"),
        pytest.param(
            [], FOUR, DetectionExtra(ap_50=None, ap_75=None, ap_50_95=None, mean_giou=None), id="no reference"
        ),
        pytest.param(FOUR, [], DetectionExtra(ap_50=0, ap_75=0, ap_50_95=0, mean_giou=None), id="no prediction"),
    ],
)
def test_nothing_on_one_side(references: Line, predictions: Line, expected: DetectionExtra) -> None:
    page = compare_page(line(references), line(predictions))
    assert detection_extra([page], total([page_sums(page)])) == expected
