from __future__ import annotations

import numpy as np
import pytest

from evaluator.metrics.figures import FIGURES, Sums, page_sums, total
from evaluator.metrics.significance import (
    Interval,
    bootstrap,
    differences,
    interaction,
    interval,
    intervals,
    p_value,
    swap,
    table,
)
from tests.evaluator.made_words import reading

RIGHT = page_sums(reading([(0, 20, "가나")], [(0, 20, "가나")]))
WRONG = page_sums(reading([(0, 20, "가나")], [(0, 20, "다라")]))
MISSED = page_sums(reading([(0, 20, "가나")], []))
BLANK = page_sums(reading([], []))


def pages(*counts: tuple[Sums, int]) -> list[Sums]:
    return [page for page, number in counts for _ in range(number)]


def test_a_resample_is_a_sum_over_as_many_pages_drawn_with_replacement() -> None:
    drawn = bootstrap(pages((RIGHT, 30), (WRONG, 10)), seed=1, num_resamples=2000)
    assert (np.asarray(drawn.pages) == 40).all()
    right = np.asarray(drawn.num_equal)
    assert right.mean() == pytest.approx(30, abs=0.3)
    assert right.std() == pytest.approx((40 * 0.75 * 0.25) ** 0.5, rel=0.1)
    assert (np.asarray(drawn.num_edits) == 2 * (40 - right)).all()


def test_the_interval_of_a_share_is_the_binomial_one() -> None:
    found = intervals(pages((RIGHT, 300), (WRONG, 100)), seed=1)["recognition.accuracy"]
    assert found is not None
    half = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.005)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    some = pages((RIGHT, 7), (WRONG, 5), (MISSED, 3))
    assert intervals(some, 1, 500) == intervals(some, 1, 500)
    assert intervals(some, 1, 500) != intervals(some, 2, 500)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resamples are drawn in blocks to save memory: the generator goes on from one to the next."""
    some = pages((RIGHT, 7), (WRONG, 5))
    whole = table([bootstrap(some, 3, 100)])
    monkeypatch.setattr("evaluator.metrics.significance.BLOCK_ELEMENTS", 12 * 7)
    assert (table([bootstrap(some, 3, 100)]) == whole).all()


def test_every_figure_has_an_interval_that_holds_it() -> None:
    some = pages((RIGHT, 20), (WRONG, 10), (MISSED, 5), (BLANK, 3))
    found = intervals(some, 1, 1000)
    assert list(found) == list(FIGURES)
    for name, figure in FIGURES.items():
        limits = found[name]
        assert limits is not None
        assert limits.low <= float(figure(total(some))) <= limits.high


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], None, id="no resample"),
        pytest.param([np.nan, np.nan], None, id="defined in none"),
        pytest.param([np.nan, 0.5, 0.5], Interval(0.5, 0.5), id="defined in some"),
        pytest.param(list(range(41)), Interval(1.0, 39.0), id="the middle 95 %"),
    ],
)
def test_interval(values: list[float], expected: Interval | None) -> None:
    assert interval(np.array(values, float)) == expected


@pytest.mark.parametrize(
    ("observed", "others", "expected"),
    [
        pytest.param(0.3, [0.1, -0.1, 0.2], 1 / 4, id="larger than any: never 0"),
        pytest.param(0.3, [0.3, -0.4, 0.2], 3 / 4, id="on both sides, ties included"),
        pytest.param(-0.3, [0.3 - 1e-15, 0.1, 0.1], 2 / 4, id="equal but for rounding is a tie"),
        pytest.param(0.0, [0.1, 0.0], 1, id="no difference"),
        pytest.param(0.3, [np.nan, 0.1, 0.1], 2 / 4, id="an undefined one speaks against it"),
        pytest.param(np.nan, [0.1], None, id="nothing observed"),
    ],
)
def test_p_value(observed: float, others: list[float], expected: float | None) -> None:
    assert p_value(observed, np.array(others)) == expected


def test_swapping_keeps_the_sum_of_both() -> None:
    baseline, other = swap(pages((WRONG, 20)), pages((RIGHT, 20)), seed=1, num_resamples=500)
    swapped = np.asarray(baseline.num_equal)
    assert (swapped + np.asarray(other.num_equal) == 20).all()
    assert swapped.mean() == pytest.approx(10, abs=0.5)


def test_a_clear_difference_and_none() -> None:
    weak, strong = pages((RIGHT, 20), (WRONG, 20)), pages((RIGHT, 30), (WRONG, 10))
    found = differences([(weak, strong)], seed=1)["recognition.accuracy"]
    assert found.difference == 0.25
    assert found.interval is not None and found.interval.low > 0.1
    # 10 pages differ, all in one direction: 2 of the 1,024 ways to swap them are as extreme.
    assert found.p_value == pytest.approx(2 / 1024, abs=0.001)
    same = differences([(weak, weak)], seed=1)["recognition.accuracy"]
    assert (same.difference, same.interval, same.p_value) == (0.0, Interval(0.0, 0.0), 1.0)


def test_pages_are_paired() -> None:
    """Pages differ much more than systems do; only with the same pages on both sides does the difference show."""
    weak, strong = pages((RIGHT, 1), (WRONG, 200), (MISSED, 200)), pages((RIGHT, 12), (WRONG, 189), (MISSED, 200))
    found = differences([(weak, strong)], seed=1)["end_to_end.f1"]
    alone = intervals(weak, seed=1)["end_to_end.f1"], intervals(strong, seed=1)["end_to_end.f1"]
    assert found.interval is not None and alone[0] is not None and alone[1] is not None
    assert found.p_value is not None and found.p_value < 0.01
    assert found.interval.low > 0


def test_a_figure_over_nothing_has_no_difference() -> None:
    found = differences([(pages((MISSED, 3)), pages((RIGHT, 3)))], seed=1)["recognition.accuracy"]
    assert (found.difference, found.interval, found.p_value) == (None, None, None)


def test_no_page_at_all() -> None:
    assert set(intervals([], seed=1, num_resamples=10).values()) == {None}


def test_other_numbers_of_pages_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="2 and 3 pages"):
        differences([(pages((RIGHT, 3)), pages((RIGHT, 2)))], seed=1)


def test_the_mean_of_several_pairs_is_swapped_on_whole_pages() -> None:
    """Two pairs that are the same say no more than one does."""
    weak, strong = pages((RIGHT, 20), (WRONG, 20)), pages((RIGHT, 30), (WRONG, 10))
    assert differences([(weak, strong)] * 2, seed=1) == differences([(weak, strong)], seed=1)
    half = differences([(weak, strong), (weak, weak)], seed=1)["recognition.accuracy"]
    assert half.difference == 0.125
    assert half.p_value == pytest.approx(2 / 1024, abs=0.001)


def test_an_interaction_is_a_difference_of_differences() -> None:
    weak, strong = pages((RIGHT, 20), (WRONG, 20)), pages((RIGHT, 30), (WRONG, 10))
    found = interaction((weak, weak), (weak, strong), seed=1)["recognition.accuracy"]
    alone = differences([(weak, strong)], seed=1)["recognition.accuracy"]
    assert (found.difference, found.interval, found.p_value) == (0.25, alone.interval, None)
    none = interaction((weak, strong), (weak, strong), seed=1)["recognition.accuracy"]
    assert (none.difference, none.interval) == (0.0, Interval(0.0, 0.0))
