"""AI-Hub's labels, one oddity a row."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import Any

import pytest

from ocr.labels.aihub import read_label
from ocr.labels.label import Label
from ocr.page import Box, Word
from shard_builder.word_selection import EMPTY_TEXT, NO_AREA, SAME_BOX, words_of
from tests.shard_builder.made_zips import label

WIDTH, HEIGHT = 200, 100
NFD = unicodedata.normalize("NFD", "를")


@pytest.mark.parametrize(
    ("xywh", "text", "box"),
    [
        pytest.param([10, 20, 30, 40], "김", (10, 20, 40, 60), id="position and size become two corners"),
        pytest.param([-5, 20, 30, 40], "김", (0, 20, 25, 60), id="starts left of the page"),
        pytest.param([10, -7, 30, 40], "김", (10, 0, 40, 33), id="starts above the page"),
        pytest.param([190, 20, 30, 40], "김", (190, 20, 200, 60), id="ends right of the page"),
        pytest.param([10, 90, 30, 40], "김", (10, 90, 40, 100), id="ends below the page"),
        pytest.param([-9, -9, 999, 999], "김", (0, 0, 200, 100), id="larger than the page"),
        pytest.param([0, 0, 1, 1], "점", (0, 0, 1, 1), id="a pixel: too small to train on, still a word"),
        pytest.param([0, 0, 10, 90], "세로", (0, 0, 10, 90), id="vertical: still a word"),
        pytest.param([0, 0, 10, 10**30], "김", (0, 0, 10, 100), id="a number beyond 64 bits"),
    ],
)
def test_a_word_is_kept(xywh: list[int], text: str, box: Box) -> None:
    words, refused = words_of(read_label(label([(xywh, text)])), WIDTH, HEIGHT)
    assert words == [(0, Word(box, text))]
    assert not refused


@pytest.mark.parametrize(
    ("xywh", "text", "reason"),
    [
        pytest.param([10, 20, 30, 40], "", EMPTY_TEXT, id="no text"),
        pytest.param([10, 20, 30, 40], " \t", EMPTY_TEXT, id="blanks only"),
        pytest.param([10, 20, 30, 40], None, EMPTY_TEXT, id="null"),
        pytest.param([10, 20, 0, 40], "김", NO_AREA, id="no width"),
        pytest.param([10, 20, 30, 0], "김", NO_AREA, id="no height"),
        pytest.param([40, 60, -30, -40], "김", NO_AREA, id="negative size"),
        pytest.param([200, 20, 30, 40], "김", NO_AREA, id="right of the page"),
        pytest.param([-30, 20, 30, 40], "김", NO_AREA, id="left of the page"),
        pytest.param([0, 0, 10, 10], "둘", SAME_BOX, id="the box of the word before"),
        pytest.param([-5, -5, 15, 15], "둘", SAME_BOX, id="the same box once clipped"),
    ],
)
def test_a_word_is_refused(xywh: list[int], text: str | None, reason: str) -> None:
    words, refused = words_of(read_label(label([([0, 0, 10, 10], "하나"), (xywh, text)])), WIDTH, HEIGHT)
    assert words == [(0, Word((0, 0, 10, 10), "하나"))]
    assert refused == Counter({reason: 1})


def test_a_refused_word_does_not_take_the_box_of_a_good_one() -> None:
    words, refused = words_of(read_label(label([([0, 0, 9, 9], ""), ([0, 0, 9, 9], "김")])), WIDTH, HEIGHT)
    assert words == [(1, Word((0, 0, 9, 9), "김"))]
    assert refused == Counter({EMPTY_TEXT: 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(NFD, "를", id="decomposed Hangul is composed"),
        *(
            pytest.param(text, text, id=text)
            for text in ("하며,", '"김해를', "경남 김해시", " 앞뒤 ", "㎡", "a\\b", "x\ty")
        ),
    ],
)
def test_a_text_stays_as_it_is(text: str, expected: str) -> None:
    assert read_label(label([([0, 0, 9, 9], text)])).words[0].text == expected


def test_the_rest_of_a_page() -> None:
    page = read_label(b"\xef\xbb\xbf" + label(category="상.하수도관리"))
    assert (page.category, page.width, page.height) == ("상.하수도관리", 200, 120)
    assert read_label(b'{"images": [], "annotations": []}') == Label("", 0, 0, ())


GOOD: dict[str, Any] = {"images": [], "annotations": [{"annotation.bbox": [0, 0, 9, 9], "annotation.text": "김"}]}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>502 Bad Gateway</html>", id="not JSON"),
        pytest.param(json.dumps(GOOD).encode()[:-3], id="cut off"),
        pytest.param(json.dumps(GOOD).encode("utf-16"), id="UTF-16"),
        pytest.param(json.dumps(GOOD, ensure_ascii=False).encode("cp949"), id="CP949"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"images": []}', id="no annotations"),
        pytest.param(label([([0, 0, 9], "김")]), id="a box of three numbers"),
        pytest.param(label([(["0", 0, 9, 9], "김")]), id="a box of texts"),
        pytest.param(label([([0, 0, 9, 9], 7)]), id="a text that is a number"),
    ],
)
def test_what_is_no_label_is_refused_whole(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_label(content)
