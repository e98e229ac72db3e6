from __future__ import annotations

import hashlib

import numpy as np
import pytest

from ocr.charset import Charset, num_ctc_steps
from ocr.errors import UsageError
from ocr.weights import charset_of


def test_korean_g2_is_the_published_alphabet() -> None:
    charset = charset_of("korean_g2")
    assert charset.num_classes == 1_009
    assert charset.encode(" !가힘") == [1, 2, 96, 1008]
    assert hashlib.sha256(charset.characters.encode()).hexdigest().startswith("426ab12b9217f783")


def test_encode_and_decode_are_each_others_inverse() -> None:
    charset = Charset("가나다 ,")
    assert charset.decode(charset.encode("나, 가")) == "나, 가"


def test_missing_names_the_characters_outside_in_order() -> None:
    assert Charset("가나").missing("가를㎡나를") == "를㎡를"


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ([0, 0, 0], ""),
        ([1, 1, 1], "가"),
        ([1, 0, 1], "가가"),
        ([1, 2, 0, 2, 2], "가나나"),
        ([0, 3, 3, 0], "다"),
    ],
)
def test_greedy_collapses_repeats_then_drops_blanks(classes: list[int], text: str) -> None:
    assert Charset("가나다").decode_greedy(np.array([classes])) == [text]


@pytest.mark.parametrize(
    ("characters", "message"),
    [("", "empty"), ("가나가", "'가' stands in the alphabet more than once"), ("가\u212b", "NFC")],
)
def test_an_alphabet_that_cannot_work_is_refused(characters: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Charset(characters)


@pytest.mark.parametrize(("text", "steps"), [("", 0), ("가", 1), ("가나", 2), ("가가", 3), ("111", 5), ("1,100", 6)])
def test_ctc_needs_a_blank_between_equal_neighbors(text: str, steps: int) -> None:
    assert num_ctc_steps(text) == steps
