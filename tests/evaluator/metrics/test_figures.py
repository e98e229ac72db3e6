from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from evaluator.metrics.end_to_end import PageReading
from evaluator.metrics.figures import COUNTS, FIGURES, Scores, page_sums, scores_of, total
from tests.evaluator.made_words import reading

HALF_READ = reading(
    [(0, 40, "가나다라"), (50, 60, "바"), (70, 80, "사"), (90, 99, "아")], [(0, 40, "가나다마"), (50, 60, "바")]
)
ALL_READ = reading([(0, 20, "사아")], [(0, 20, "사아")])
MISSED = reading([(0, 10, "가"), (20, 30, "나"), (40, 50, "다")], [])
BLANK = reading([], [])
INVENTED = reading([], [(0, 10, "가"), (20, 30, "나")])

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
    "cleval": {
        "detection": {"recall": None, "precision": None, "hmean": None},
        "end_to_end": {"recall": None, "precision": None, "hmean": None},
        "num_split": 0,
        "num_merged": 0,
        "num_overlapped": 0,
    },
}


def scores(*pages: PageReading) -> Scores:
    return scores_of(total([page_sums(page) for page in pages]))


def test_scores_over_nothing_are_null_under_the_public_names() -> None:
    assert msgspec.to_builtins(scores()) == NOTHING


def test_each_public_name_is_one_figure_or_one_count() -> None:
    def places(inner: object, place: str = "") -> list[str]:
        if not isinstance(inner, dict):
            return [place[1:]]
        return [found for name, value in inner.items() for found in places(value, f"{place}.{name}")]

    assert sorted(places(NOTHING)) == sorted([*FIGURES, *COUNTS])


def test_counts_are_summed_over_pages_and_divided_once() -> None:
    summed = scores(HALF_READ, ALL_READ)
    assert (summed.pages, summed.detection.num_matched, summed.recognition.num_pairs) == (2, 3, 3)
    assert summed.detection.precision == 1.0
    assert summed.detection.recall == pytest.approx(3 / 5)
    assert summed.detection.f1 == pytest.approx(6 / 8)
    assert summed.recognition.cer == pytest.approx(1 / 7)
    assert summed.recognition.cer_macro == pytest.approx((1 / 4) / 3)
    assert summed.recognition.accuracy == pytest.approx(2 / 3)
    assert summed.recognition.one_minus_ned == pytest.approx(2.75 / 3)
    assert summed.end_to_end.precision == pytest.approx(2.75 / 3)
    assert summed.end_to_end.recall == pytest.approx(2.75 / 5)
    assert summed.end_to_end.f1 == pytest.approx(2 * 2.75 / 8)
    assert summed.end_to_end.f1_page_mean == pytest.approx((2 * 1.75 / 6 + 1) / 2)
    assert summed.end_to_end_seed.f1_page_mean == pytest.approx((0.5833 + 1) / 2)
    # 9 characters, 7 of them found, 6 read right; 7 were read.
    assert msgspec.structs.astuple(summed.cleval.detection) == pytest.approx((7 / 9, 1, 14 / 16))
    assert msgspec.structs.astuple(summed.cleval.end_to_end) == pytest.approx((6 / 9, 6 / 7, 12 / 16))


def test_the_order_of_the_pages_changes_no_digit() -> None:
    pages = [HALF_READ, ALL_READ, MISSED, INVENTED]
    assert len({msgspec.json.encode(scores(*order)) for order in permutations(pages)}) == 1


@pytest.mark.parametrize(
    ("page", "detection_f1", "f1", "f1_page_mean", "f1_seed", "cleval"),
    [
        pytest.param(MISSED, 2 / 5, 2 / 5, 1 / 2, 1 / 2, 4 / 7, id="an unread page counts with its words"),
        pytest.param(INVENTED, 2 / 4, 2 / 4, 1 / 2, 1 / 2, 2 / 3, id="so do words read on a blank page"),
        pytest.param(BLANK, 1, 1, 1, 1 / 2, 1, id="a blank page read as blank is 0 for the seed, and nothing for us"),
    ],
)
def test_empty_pages_beside_a_perfect_one(
    page: PageReading, detection_f1: float, f1: float, f1_page_mean: float, f1_seed: float, cleval: float
) -> None:
    both = scores(ALL_READ, page)
    assert both.pages == 2
    assert both.detection.f1 == pytest.approx(detection_f1)
    assert both.end_to_end.f1 == pytest.approx(f1)
    assert both.end_to_end.f1_page_mean == pytest.approx(f1_page_mean)
    assert both.end_to_end_seed.f1_page_mean == pytest.approx(f1_seed)
    assert both.cleval.end_to_end.hmean == pytest.approx(cleval)


@pytest.mark.parametrize(
    ("page", "recall", "precision", "hmean"),
    [
        pytest.param(MISSED, 0, None, 0, id="nothing was read"),
        pytest.param(INVENTED, None, 0, 0, id="there was nothing to read"),
        pytest.param(BLANK, None, None, None, id="neither"),
        pytest.param(reading([(0, 20, "가나")], [(0, 20, "다라")]), 0, 0, 0, id="all of it wrong"),
    ],
)
def test_cleval_divides_by_nothing_only_where_there_is_nothing(
    page: PageReading, recall: float | None, precision: float | None, hmean: float | None
) -> None:
    figures = scores(page).cleval.end_to_end
    assert (figures.recall, figures.precision, figures.hmean) == (recall, precision, hmean)


def test_an_empty_reference_text_counts_as_a_word_without_characters() -> None:
    page = reading([(0, 20, ""), (30, 50, "가나")], [(0, 20, "다"), (30, 50, "가나")])
    texts = scores(page).recognition
    assert (texts.cer, texts.cer_macro, texts.accuracy, texts.one_minus_ned) == (1 / 2, 1 / 2, 1 / 2, 1 / 2)


def test_a_reference_of_dont_care_words_only_is_a_reference_without_words() -> None:
    found = scores(reading([(0, 20, "가")], [(0, 20, "가")], dont_care=(0,)))
    assert msgspec.to_builtins(found) == NOTHING | {"pages": 1, "end_to_end_seed": {"f1_page_mean": 0.0}}
