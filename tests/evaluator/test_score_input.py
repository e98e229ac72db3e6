"""`python -m evaluator.score` and every input that is not as it should be: a defined result, or one line."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.evaluator.scored_pages import GOOD, PRICE, TITLE, Pages, lines, run_score, scores_of


def changed(pages: Pages, **changes: Any) -> Pages:
    """The pages with the first word of the first page changed."""
    name, (first, *others) = next(iter(pages.items()))
    return pages | {name: [{key: value for key, value in (first | changes).items() if value is not None}, *others]}


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        pytest.param(
            changed(GOOD, text=unicodedata.normalize("NFD", "김해시")),
            GOOD,
            {"recognition.accuracy": 1.0, "cleval.end_to_end.hmean": 1.0},
            id="NFD in the reference",
        ),
        pytest.param(
            GOOD,
            changed(GOOD, text=unicodedata.normalize("NFD", "김해시")),
            {"recognition.cer": 0.0, "end_to_end_seed.f1_page_mean": 1.0},
            id="NFD in the prediction",
        ),
        pytest.param(
            {unicodedata.normalize("NFD", "쪽"): [TITLE]},
            {"쪽": [TITLE]},
            {"detection.f1": 1.0},
            id="NFD in a page's name",
        ),
        pytest.param(
            {"a": []},
            {"a": [TITLE]},
            {"detection.precision": 0.0, "detection.recall": None, "end_to_end.f1": 0.0, "recognition.cer": None},
            id="no word in the reference",
        ),
        pytest.param(
            {"a": [TITLE]},
            {"a": []},
            {"detection.precision": None, "detection.recall": 0.0, "end_to_end.f1": 0.0, "recognition.cer": None},
            id="no word in the prediction",
        ),
        pytest.param(
            {"a": []},
            {"a": []},
            {"pages": 1, "detection.f1": None, "end_to_end.f1_page_mean": None, "end_to_end_seed.f1_page_mean": 0.0},
            id="no word anywhere",
        ),
        pytest.param(
            {"a": [TITLE], "b": []},
            {"a": [TITLE], "b": []},
            {"pages": 2, "end_to_end.f1_page_mean": 1.0, "end_to_end_seed.f1_page_mean": 0.5},
            id="a blank page read as blank",
        ),
        pytest.param(
            {"a": [TITLE], "b": [PRICE]},
            {"a": [TITLE]},
            {"pages": 2, "detection.recall": 0.5, "end_to_end.f1_page_mean": 0.5},
            id="a page that was not predicted",
        ),
        pytest.param(
            {"a": [TITLE, PRICE | {"dont_care": True}]},
            {"a": [TITLE]},
            {"detection.num_reference": 1, "detection.f1": 1.0, "cleval.end_to_end.hmean": 1.0},
            id="a don't-care word missed",
        ),
        pytest.param(
            {"a": [TITLE, PRICE | {"dont_care": True}]},
            {"a": [TITLE, PRICE]},
            {"detection.num_prediction": 1, "detection.f1": 1.0, "cleval.end_to_end.hmean": 1.0},
            id="a don't-care word read",
        ),
        pytest.param(
            {"a": [TITLE, PRICE | {"text": "###"}]},
            {"a": [TITLE, PRICE]},
            {"detection.num_reference": 1, "detection.f1": 1.0},
            id="### is a don't-care word",
        ),
        pytest.param(
            {"a": [TITLE | {"dont_care": True}]},
            {"a": [TITLE]},
            {"detection.f1": None, "end_to_end.f1": None, "cleval.detection.recall": None},
            id="nothing but don't-care words",
        ),
        pytest.param(
            GOOD,
            changed(GOOD, text=""),
            {"detection.f1": 1.0, "recognition.accuracy": 0.5, "end_to_end.f1": 0.5},
            id="an empty text in the prediction",
        ),
        pytest.param(
            changed(GOOD, text=""),
            GOOD,
            {"detection.f1": 1.0, "recognition.cer_macro": 0.5, "recognition.cer": 3 / 5, "end_to_end.f1": 0.5},
            id="an empty text in the reference",
        ),
        pytest.param(
            changed(GOOD, text=""),
            changed(GOOD, text=""),
            {"recognition.accuracy": 1.0, "end_to_end.f1": 1.0},
            id="in both",
        ),
        pytest.param(
            GOOD,
            changed(GOOD, box=[30, 10, 30, 10]),
            {"detection.num_prediction": 2, "detection.num_matched": 1},
            id="a box without area is a false one",
        ),
        pytest.param(
            changed(GOOD, box=[0, 0, 60, 0]),
            GOOD,
            {"detection.num_reference": 2, "detection.num_matched": 1},
            id="a reference without area is missed",
        ),
        pytest.param(
            changed(GOOD, box=[-60, -20, 0, 0]),
            changed(GOOD, box=[-60, -20, 0, 0]),
            {"detection.f1": 1.0},
            id="off the page",
        ),
        pytest.param(
            GOOD,
            changed(GOOD, box=None, quad=[0, 0, 60, 0, 0, 20, 60, 20]),
            {"detection.f1": 1.0, "cleval.end_to_end.hmean": 1.0},
            id="a quad that crosses itself",
        ),
        pytest.param(
            GOOD,
            changed(GOOD, box=None, quad=[0, 0, 0, 20, 60, 20, 60, 0]),
            {"detection.f1": 1.0, "cleval.end_to_end.hmean": 1.0},
            id="a counterclockwise quad",
        ),
        pytest.param(
            GOOD,
            changed(GOOD, box=None, quad=[0, 3, 60, 0, 60, 17, 0, 20]),
            {"detection.f1": 1.0, "cleval.end_to_end.hmean": 1.0},
            id="a tilted quad",
        ),
        pytest.param(
            GOOD,
            changed(GOOD, quad=[0, 0, 60, 0, 60, 20, 0, 20], box=[0, 0, 1, 1]),
            {"detection.f1": 1.0},
            id="of quad and box the quad counts",
        ),
        pytest.param(
            GOOD,
            {"a": [TITLE, TITLE, PRICE]},
            {"detection.num_matched": 2, "detection.num_prediction": 3, "cleval.num_overlapped": 3},
            id="the same word twice",
        ),
    ],
)
def test_a_defined_result(tmp_path: Path, reference: Pages, prediction: Pages, expected: dict[str, Any]) -> None:
    scores = scores_of(tmp_path, reference, prediction)

    def at(place: str) -> Any:
        value: Any = scores
        for name in place.split("."):
            value = value[name]
        return value

    assert {place: at(place) for place in expected} == expected
    assert scores_of(tmp_path, reference, prediction, "--polygon") == scores


BAD_LINES = [
    pytest.param('{"page": "b", "words": [{"box": [0, 0, NaN, 9], "text": ""}]}', "NaN is no number of JSON", id="NaN"),
    pytest.param(
        '{"page": "b", "words": [{"box": [0, 0, -Infinity, 9], "text": ""}]}', "-Infinity is no", id="-Infinity"
    ),
    pytest.param(
        '{"page": "b", "words": [{"box": [0, 0, 1e999, 9], "text": ""}]}', "word 1: Number out of", id="1e999"
    ),
    pytest.param(
        '{"page": "b", "words": [{"box": [0, 0, 1e9, 9], "text": ""}]}', r"word 1: .*1000000\.0 in box\[2\]", id="1e9"
    ),
    pytest.param(
        '{"page": "b", "words": [{"box": [886, 273, 143, 137], "text": ""}]}', "word 1: the box .* inverted", id="xywh"
    ),
    pytest.param(
        '{"page": "b", "words": [{"box": [0, 0, null, 9], "text": ""}]}', "word 1: Expected `float`, got", id="null"
    ),
    pytest.param(
        '{"page": "b", "words": [{"quad": [0, 0, 9, 9], "text": ""}]}', "word 1: .* length 8.* in quad", id="4 of 8"
    ),
    pytest.param('{"page": "b", "words": [{"text": ""}]}', "word 1 has neither a quad nor a box", id="no box"),
    pytest.param(
        '{"page": "b", "words": [{"box": [0, 0, 9, 9]}]}', "word 1: .*missing required field `text`", id="no text"
    ),
    pytest.param(
        '{"page": "b", "words": [{"box": [0, 0, 9, 9], "text": 7}]}', "word 1: Expected `str`, got `int`", id="7"
    ),
    pytest.param('{"page": "b", "words": null}', "Expected `array`, got `null`", id="no list"),
    pytest.param('{"page": 7, "words": []}', r"Expected `str`, got `int` - at `\$\.page`", id="a number for a name"),
    pytest.param('{"words": []}', "missing required field `page`", id="no name"),
    pytest.param('{"page": "b", "wor', "truncated", id="cut off"),
    pytest.param('{"page": "a", "words": []}', "page 'a' came before, in .*: line 1; keep one", id="twice"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
@pytest.mark.parametrize("side", ["R.jsonl", "P.jsonl"])
def test_one_line_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, reason: str, side: str
) -> None:
    bad, good = f"{lines(GOOD)}\n{line}\n", lines(GOOD)
    code = run_score(tmp_path, *((bad, good) if side == "R.jsonl" else (good, bad)))
    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert said.err.startswith(f"error: {tmp_path / side}: line 3: ")
    assert said.err.count("\n") == 1
    assert re.search(reason, said.err)


@pytest.mark.parametrize(
    ("reference", "prediction", "reason"),
    [
        pytest.param("", lines(GOOD), "R.jsonl: is empty", id="an empty reference file"),
        pytest.param(lines(GOOD), "\n", "P.jsonl: is empty", id="an empty prediction file"),
        pytest.param(
            lines(GOOD),
            lines({"a": [], "a.jpg": [], "b.jpg": []}),
            "P.jsonl: line 2: page 'a.jpg' is not in the reference (2 such pages); score the same pages under the same "
            "names, such as 'a'",
            id="predictions for unknown pages",
        ),
    ],
)
def test_a_file_that_cannot_be_scored_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: str, prediction: str, reason: str
) -> None:
    assert run_score(tmp_path, reference, prediction) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {tmp_path}/{reason}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        pytest.param('{"page": "a", "words": [', "truncated", id="the first of many lines is cut off"),
        pytest.param(
            '{"page": "a",\n"words": [{"box": [9, 0, 0, 9],\n"text": ""}]}', "word 1: the box", id="over many lines"
        ),
        pytest.param(
            '{"page": "a",\n"words": [{"box": [0, 0, 9],\n"text": ""}]}', "word 1: .* in box", id="box of three"
        ),
    ],
)
def test_a_broken_first_object(tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str, reason: str) -> None:
    assert run_score(tmp_path, lines(GOOD), first) == 1
    assert re.match(rf"error: {tmp_path}/P\.jsonl: line 1: .*{reason}", capsys.readouterr().err)
