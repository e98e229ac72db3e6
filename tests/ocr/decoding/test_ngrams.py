"""The n-gram model is a probability, by Witten and Bell's formula, and survives its file."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ocr.charset import BLANK, Charset
from ocr.decoding import ngrams as language_model
from ocr.decoding.ngrams import make_language_model, read_language_model, save_language_model
from ocr.errors import DataError, UsageError

CHARSET = Charset("가나다라마바사 0123")
WORDS = ["가나", "다라마", "나나", "바사가", "2013", "가"]


def texts(number: int = 300) -> list[str]:
    order = random.Random(0)
    return [" ".join(order.choice(WORDS) for _ in range(order.randint(1, 3))) for _ in range(number)]


def test_probabilities_sum_to_one_after_every_context() -> None:
    model = make_language_model(texts(), CHARSET)
    classes = np.arange(CHARSET.num_classes)
    for state in range(len(model.backoff)):
        log_probs, _ = model.score(np.full(len(classes), state), classes)
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)


def by_formula(class_: int, context: tuple[int, ...], seen: Sequence[Sequence[int]]) -> float:
    following = Counter(
        text[place]
        for text in seen
        for place in range(1, len(text))
        if place >= len(context) and tuple(text[place - len(context) : place]) == context
    )
    shorter = by_formula(class_, context[1:], seen) if context else 1 / CHARSET.num_classes
    if not following:
        return shorter
    different = len(following)
    return (following[class_] + different * shorter) / (following.total() + different)


@pytest.mark.parametrize("text", ["가나", "가나다", "33", "", "다라마 2013", "사사사"])
def test_probabilities_are_witten_and_bells(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "MIN_COUNT", 1)
    seen = [[BLANK, *CHARSET.encode(text), BLANK] for text in texts(60)]
    model = make_language_model(texts(60), CHARSET, order=3)
    classes = [BLANK, *CHARSET.encode(text), BLANK]
    expected = sum(
        math.log(by_formula(classes[place], tuple(classes[max(0, place - 2) : place]), seen))
        for place in range(1, len(classes))
    )
    assert model.log_probs_of([CHARSET.encode(text)])[0] == pytest.approx(expected, abs=1e-4)


def test_rare_n_grams_leave_a_probability_behind() -> None:
    model = make_language_model([*texts(), "바바바바바바"], CHARSET)
    rare, common = model.log_probs_of([CHARSET.encode("바바바"), CHARSET.encode("다라마")])
    assert -math.inf < rare < common < 0


def test_a_character_outside_the_alphabet_ends_its_text() -> None:
    with_foreign, split = (
        make_language_model(source, CHARSET) for source in (["가나를다라"] * 9, ["가나", "다라"] * 9)
    )
    assert with_foreign.log_probs_of([CHARSET.encode("가나")]) == split.log_probs_of([CHARSET.encode("가나")])


def test_texts_are_scored_together_as_alone() -> None:
    model = make_language_model(texts(), CHARSET)
    some = [CHARSET.encode(text) for text in ("가나", "", "다라마 2013")]
    together, alone = model.log_probs_of(some), [model.log_probs_of([text])[0] for text in some]
    assert together == pytest.approx(alone)


def test_it_survives_its_file_byte_for_byte(tmp_path: Path) -> None:
    model = make_language_model(texts(), CHARSET)
    for name in ("first.npz", "second.npz"):
        save_language_model(model, tmp_path / name)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    again = read_language_model(tmp_path / "first.npz", CHARSET)
    for name, value in msgspec.structs.asdict(model).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lm.npz: no such language model; make it with `python -m trainer"):
        read_language_model(tmp_path / "lm.npz", CHARSET)
    (tmp_path / "lm.npz").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"lm.npz: not a language model .*; make it again"):
        read_language_model(tmp_path / "lm.npz", CHARSET)
    with pytest.raises(DataError, match="no text holds a character of the alphabet"):
        make_language_model(["xyz"], CHARSET)
