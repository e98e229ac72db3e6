from __future__ import annotations

import pytest

from evaluator.metrics.breakdown import (
    HEIGHT_EDGES,
    LENGTH_EDGES,
    CharacterCount,
    Confusion,
    WordReading,
    break_down,
    by_group,
    confusions,
    names,
    outside_alphabet,
    words_of,
)
from evaluator.metrics.end_to_end import compare_page
from evaluator.metrics.figures import page_sums, scores_of
from tests.evaluator.made_words import boxed, reading


def test_names_of_groups() -> None:
    assert names(HEIGHT_EDGES) == ["0-15", "16-23", "24-31", "32-47", "48-63", "64-95", "96+"]
    assert names(LENGTH_EDGES) == ["0", "1", "2", "3", "4", "5-6", "7-9", "10-14", "15+"]


@pytest.mark.parametrize(
    ("length", "name"), [(0, "0"), (1, "1"), (4, "4"), (5, "5-6"), (6, "5-6"), (14, "10-14"), (15, "15+"), (99, "15+")]
)
def test_each_length_falls_into_one_group(length: int, name: str) -> None:
    words = [WordReading("가" * length, None, 20)]
    assert list(by_group(words, lambda word: len(word.reference), LENGTH_EDGES)) == [name]


def test_words_by_height() -> None:
    high, low = (0.0, 0.0, 60.0, 50.0), (0.0, 100.0, 60.0, 115.5)
    missed, ignored = (200.0, 0.0, 260.0, 50.0), (300.0, 0.0, 360.0, 50.0)
    page = compare_page(
        boxed([(high, "가나다라"), (low, "마"), (missed, "바"), (ignored, "사")], dont_care=(3,)),
        boxed([(high, "가나다x"), (low, "마")]),
    )
    words = words_of(page)
    assert words == [WordReading("가나다라", "가나다x", 50), WordReading("마", "마", 15.5), WordReading("바", None, 50)]
    groups = by_group(words, lambda word: word.height, HEIGHT_EDGES)
    assert list(groups) == ["0-15", "48-63"]
    tall = groups["48-63"]
    assert (tall.num_words, tall.num_matched, tall.detection_recall) == (2, 1, 1 / 2)
    assert (tall.end_to_end_recall, tall.cer, tall.accuracy) == (0.75 / 2, 1 / 4, 0)
    assert (groups["0-15"].end_to_end_recall, groups["0-15"].cer) == (1, 0)


def test_characters() -> None:
    found = confusions(
        [
            ("를를", "름를"),
            ("를", "름"),
            ("하며,", "하며"),
            ("김해", "김 해"),
            ("○", "0"),
            ("○", "O"),
            ("같은", "같은"),
            ("㎡", ""),
        ]
    )
    assert found.substituted == [Confusion("를", "름", 2), Confusion("○", "0", 1), Confusion("○", "O", 1)]
    assert found.deleted == [CharacterCount(",", 1), CharacterCount("㎡", 1)]
    assert found.inserted == [CharacterCount(" ", 1)]
    assert found.never_read == [CharacterCount("○", 2), CharacterCount(",", 1), CharacterCount("㎡", 1)]


def test_a_character_that_was_right_once_was_read() -> None:
    assert confusions([("가", "나"), ("가", "가")]).never_read == []


@pytest.mark.parametrize(
    ("texts", "num_outside", "share", "characters"),
    [
        (["가나", "다"], 0, 0.0, []),
        (["를", "를를", "가㎡"], 3, 1.0, [CharacterCount("를", 3), CharacterCount("㎡", 1)]),
        (["가 나", "가나"], 1, 0.5, [CharacterCount(" ", 1)]),
        (["", "가"], 0, 0.0, []),
        ([], 0, None, []),
    ],
)
def test_words_outside_an_alphabet(
    texts: list[str], num_outside: int, share: float | None, characters: list[CharacterCount]
) -> None:
    found = outside_alphabet(texts, "가나다")
    assert (found.num_words, found.num_outside, found.share, found.characters) == (
        len(texts),
        num_outside,
        share,
        characters,
    )


def test_categories_split_the_pages() -> None:
    first, second = reading([(0, 20, "가")], [(0, 20, "가")]), reading([(0, 20, "가")], [])
    pages = [page_sums(first), page_sums(second), page_sums(first)]
    found = break_down([first, second, first], pages, ["인.허가", "주민자치", "인.허가"], "가")
    assert list(found.by_category) == ["인.허가", "주민자치"]
    assert found.by_category["인.허가"].end_to_end.f1 == 1
    assert found.by_category["주민자치"] == scores_of(page_sums(second))
    assert found.by_length["1"].num_words == 3
    assert (found.by_height["16-23"].num_matched, found.outside_alphabet.num_words) == (2, 3)
