from __future__ import annotations

import msgspec
import pytest

from evaluator.end_to_end import PageReading
from evaluator.score import scores_of

HALF_READ = PageReading(num_reference=4, num_prediction=2, pairs=(("가나다라", "가나다마"), ("바", "바")))
ALL_READ = PageReading(num_reference=1, num_prediction=1, pairs=(("사아", "사아"),))
MISSED = PageReading(num_reference=3, num_prediction=0)
BLANK = PageReading(num_reference=0, num_prediction=0)
INVENTED = PageReading(num_reference=0, num_prediction=2)

NOTHING: dict[str, object] = {
    "pages": 0,
    "detection": {
        "precision": None,
        "recall": None,
        "f1": None,
        "num_matched": 0,
        "num_reference": 0,
        "num_prediction": 0,
    },
    "recognition": {"cer": None, "cer_macro": None, "accuracy": None, "one_minus_ned": None, "num_pairs": 0},
    "end_to_end": {"precision": None, "recall": None, "f1": None, "f1_page_mean": None},
    "end_to_end_seed": {"f1_page_mean": None},
}


def test_scores_over_nothing_are_null_under_the_public_names() -> None:
    assert msgspec.to_builtins(scores_of([])) == NOTHING


def test_counts_are_summed_over_pages_and_divided_once() -> None:
    scores = scores_of([HALF_READ, ALL_READ])
    assert (scores.pages, scores.detection.num_matched, scores.recognition.num_pairs) == (2, 3, 3)
    assert scores.detection.precision == 1.0
    assert scores.detection.recall == pytest.approx(3 / 5)
    assert scores.detection.f1 == pytest.approx(6 / 8)
    assert scores.recognition.cer == pytest.approx(1 / 7)
    assert scores.recognition.cer_macro == pytest.approx((1 / 4) / 3)
    assert scores.recognition.accuracy == pytest.approx(2 / 3)
    assert scores.recognition.one_minus_ned == pytest.approx(2.75 / 3)
    assert scores.end_to_end.precision == pytest.approx(2.75 / 3)
    assert scores.end_to_end.recall == pytest.approx(2.75 / 5)
    assert scores.end_to_end.f1 == pytest.approx(2 * 2.75 / 8)
    assert scores.end_to_end.f1_page_mean == pytest.approx((2 * 1.75 / 6 + 1) / 2)
    assert scores.end_to_end_seed.f1_page_mean == pytest.approx((0.5833 + 1) / 2)


@pytest.mark.parametrize(
    ("page", "detection_f1", "f1", "f1_page_mean", "f1_seed"),
    [
        pytest.param(MISSED, 2 / 5, 2 / 5, 1 / 2, 1 / 2, id="an unread page counts with its words"),
        pytest.param(INVENTED, 2 / 4, 2 / 4, 1 / 2, 1 / 2, id="so do words read on a blank page"),
        pytest.param(BLANK, 1, 1, 1, 1 / 2, id="a blank page read as blank is 0 for the seed, and nothing for us"),
    ],
)
def test_empty_pages_beside_a_perfect_one(
    page: PageReading, detection_f1: float, f1: float, f1_page_mean: float, f1_seed: float
) -> None:
    scores = scores_of([ALL_READ, page])
    assert scores.pages == 2
    assert scores.detection.f1 == pytest.approx(detection_f1)
    assert scores.end_to_end.f1 == pytest.approx(f1)
    assert scores.end_to_end.f1_page_mean == pytest.approx(f1_page_mean)
    assert scores.end_to_end_seed.f1_page_mean == pytest.approx(f1_seed)
