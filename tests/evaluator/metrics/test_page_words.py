from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from evaluator.metrics.page_words import in_turn, page_words, quads_of, signed_areas

TOP_LEFT, TOP_RIGHT, BOTTOM_RIGHT, BOTTOM_LEFT = (0, 0), (60, 0), (60, 20), (0, 20)
CLOCKWISE = [TOP_LEFT, TOP_RIGHT, BOTTOM_RIGHT, BOTTOM_LEFT]


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param(CLOCKWISE, id="in turn"),
        pytest.param([TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT], id="rows of a Z"),
        pytest.param([TOP_LEFT, BOTTOM_LEFT, TOP_RIGHT, BOTTOM_RIGHT], id="columns"),
        pytest.param([TOP_LEFT, BOTTOM_LEFT, BOTTOM_RIGHT, TOP_RIGHT], id="counterclockwise"),
        pytest.param([TOP_LEFT, BOTTOM_RIGHT, TOP_RIGHT, BOTTOM_LEFT], id="the other bow tie"),
        pytest.param([TOP_LEFT, BOTTOM_RIGHT, BOTTOM_LEFT, TOP_RIGHT], id="the other bow tie, backward"),
    ],
)
def test_corners_in_any_order_are_put_in_turn_from_the_first_one(corners: list[tuple[int, int]]) -> None:
    quads, changed = in_turn(np.array([corners], dtype=float))
    assert quads.tolist() == [[list(corner) for corner in CLOCKWISE]]
    assert changed.tolist() == [corners != CLOCKWISE]


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param([BOTTOM_RIGHT, BOTTOM_LEFT, TOP_LEFT, TOP_RIGHT], id="text upside down"),
        pytest.param([(0, 10), (60, 0), (63, 20), (3, 30)], id="tilted"),
        pytest.param([(0, 0), (60, 0), (60, 20), (50, 5)], id="an arrow head"),
        pytest.param([(5, 5)] * 4, id="a point"),
        pytest.param([(0, 0), (60, 0), (60, 0), (0, 0)], id="a line"),
    ],
)
def test_other_quads_stay_as_they_are(corners: list[tuple[int, int]]) -> None:
    quads, changed = in_turn(np.array([corners], dtype=float))
    assert (quads.tolist(), changed.tolist()) == ([[list(corner) for corner in corners]], [False])


def test_areas_are_positive_clockwise() -> None:
    quads = np.array([CLOCKWISE, CLOCKWISE[::-1], [TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT]], dtype=float)
    assert signed_areas(quads).tolist() == [1200, -1200, 0]


def test_words_are_nfc_arrays_of_one_length() -> None:
    words = page_words(quads_of(np.array([(1, 2, 3, 4)])), [unicodedata.normalize("NFD", "를")])
    assert words.texts == ("를",)
    assert words.boxes_N4.tolist() == [[1, 2, 3, 4]]
    assert (words.dont_care_N.tolist(), words.confidences_N.tolist()) == ([False], [1.0])


@pytest.mark.parametrize("coordinate", [float("nan"), float("inf"), -float("inf"), 1e300, -1e7])
def test_what_is_no_page_pixel_is_refused(coordinate: float) -> None:
    quads = quads_of(np.array([(0, 0, 9, 9), (0, 0, 9, coordinate)]))
    with pytest.raises(ValueError, match=r"word 2: \[0\.0, 0\.0, .* are no page pixels"):
        page_words(quads, ["가", "나"])
