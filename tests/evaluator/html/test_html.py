"""What is written for the browser; `test_html_browser.py` opens it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from evaluator.html.outcomes import count_fates, prediction_fates, reference_fates
from evaluator.html.page_data import corners
from evaluator.html.plots import groups_plot, histogram_plot, interval_plot
from evaluator.html.scans import shrunk, write_scan
from evaluator.html.worst_words import worst_words
from evaluator.html.write import HERE, check_replaceable, read_strings, to_script
from evaluator.metrics.end_to_end import PageReading, compare_page
from evaluator.metrics.page_words import quads_of
from evaluator.metrics.significance import Interval
from ocr.errors import UsageError
from tests.evaluator.made_report import (
    FINETUNED,
    HOSTILE,
    made_images,
    made_labels,
    write_made_report,
)
from tests.evaluator.made_words import Line, line

WORDS: Line = [(0, 60, "가나"), (100, 160, "다"), (200, 260, "라")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report."""
    return write_made_report(tmp_path_factory.mktemp("report")).parent


def data_of(script: Path) -> Any:
    """The JSON in a script of the report."""
    return json.loads(re.sub(r"^const REPORT = |^store\.receive\('[^']*', |\)?;\n$", "", script.read_text("utf-8")))


@pytest.mark.parametrize(
    ("predictions", "dont_care", "references", "found"),
    [
        pytest.param(WORDS, (), ["right"] * 3, ["right"] * 3, id="all right"),
        pytest.param([], (), ["missed"] * 3, [], id="a page read as blank"),
        pytest.param([(0, 60, "가라")], (), ["wrong", "missed", "missed"], ["wrong"], id="a wrong text"),
        pytest.param([(300, 360, "가")], (), ["missed"] * 3, ["false"], id="a false box"),
        pytest.param(
            [(0, 60, "x"), (100, 160, "다")],
            (0,),
            ["ignored", "right", "missed"],
            ["ignored", "right"],
            id="don't care",
        ),
    ],
)
def test_every_word_has_one_fate(
    predictions: Line, dont_care: tuple[int, ...], references: list[str], found: list[str]
) -> None:
    page = compare_page(line(WORDS, dont_care), line(predictions))
    assert (reference_fates(page), prediction_fates(page)) == (references, found)
    fates = count_fates(page)
    assert fates["right"] + fates["wrong"] + fates["missed"] == page.num_reference
    assert fates["right"] + fates["wrong"] + fates["false"] == page.num_prediction


def test_upright_boxes_are_four_numbers_and_other_quads_eight() -> None:
    upright, tilted = quads_of(np.array([(1, 2.04, 30, 40)])), np.array([[(0, 10), (60, 0), (63, 20), (3, 30)]], float)
    upside_down = upright[:, [2, 3, 0, 1]]
    assert corners(np.concatenate([upright, tilted, upside_down])) == [
        [1, 2, 30, 40],
        [0, 10, 60, 0, 63, 20, 3, 30],
        [30, 40, 1, 40, 1, 2, 30, 2],
    ]


def test_the_worst_words_come_first_and_of_equal_ones_the_surer() -> None:
    predictions = line([(0, 60, "가라"), (100, 160, "마"), (200, 260, "바사아")], confidences=[0.5, 0.9, 0.1])
    reading: dict[str, PageReading] = {"mixed": compare_page(line(WORDS), predictions)}
    labels = {"mixed": made_labels()["mixed"]}
    assert [word.text for word in worst_words(labels, reading)] == ["바사아", "마", "가라"]


def test_a_page_of_its_own_for_every_page(written: Path) -> None:
    report = data_of(written / "html" / "data.js")
    assert [row[0] for row in report["pages"]] == list(made_labels())
    page = data_of(written / "html" / "pages" / "00000.js")
    assert [word[1] for word in page["references"]] == ["가나다", "서울", "2024년", "끝."]
    finetuned = [
        dict(zip(report["places"]["PredictedWord"], word, strict=True)) for word in page["systems"][1]["words"]
    ]
    assert [(report["fates"][word["fate"]], word["reference"], word["edits"]) for word in finetuned] == [
        ("right", 0, 0),
        ("wrong", 1, 2),
        ("false", None, 0),
    ]
    assert (page["scan"], data_of(written / "html" / "pages" / "00002.js")["scan"]) == (True, False)


def test_the_row_of_a_page(written: Path) -> None:
    report = data_of(written / "html" / "data.js")
    mixed = dict(zip(report["places"]["ListedPage"], report["pages"][0], strict=True))
    finetuned = dict(zip(report["places"]["ListedSystem"], mixed["systems"][1], strict=True))
    # Credit 1 for the right word and 0 for the one with as many edits as characters, over 3 boxes and 4 words.
    assert finetuned == {"f1": round(2 / 7, 4), "cer": 2 / 5, "right": 1, "wrong": 1, "missed": 2, "false": 1}
    assert report["pages"][2][3].startswith("cannot be decoded")


def test_every_image_that_is_named_is_there(written: Path) -> None:
    folder = written / "html"
    named = {
        "-".join(["%05d" % word[0], *map(str, word[7])]) + ".jpg"  # noqa: UP031
        for number in range(2)
        for word in data_of(folder / f"worst-{number}.js")
    }
    assert {path.name for path in (folder / "patches").iterdir()} == named
    for kind in ("scans", "thumbnails"):
        assert sorted(path.stem for path in (folder / kind).iterdir()) == ["00000", "00001", "00003"]


def test_the_same_input_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_made_report(tmp_path)
    files = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [path for path in files if (written / path).read_bytes() != (tmp_path / path).read_bytes()] == []


def test_a_second_report_replaces_the_first_and_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    index = write_made_report(tmp_path)
    stale = tmp_path / "html" / "pages" / "00099.js"
    stale.write_text("")
    write_made_report(tmp_path)
    assert not stale.exists()
    before = index.read_bytes()
    with pytest.raises(KeyError):
        write_made_report(tmp_path, images={"unknown": None})
    assert index.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html", "index.html"]


@pytest.mark.parametrize("name", ["html/mine.txt", "index.html"])
def test_what_is_no_report_is_not_replaced(tmp_path: Path, name: str) -> None:
    write_made_report(tmp_path / "report")
    check_replaceable(tmp_path / "report")
    check_replaceable(tmp_path / "new")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name.partition('/')[0]}: is not of a report, and would be replaced"):
        check_replaceable(tmp_path)


@pytest.mark.parametrize(
    ("given_boxes", "first_shown", "num_best"),
    [
        pytest.param((), 1, 2, id="the last of all systems"),
        pytest.param((FINETUNED,), 0, 0, id="the last that found its own words, and a single one is not the best"),
    ],
)
def test_a_system_that_was_given_the_boxes_is_no_rival(
    tmp_path: Path, given_boxes: tuple[str, ...], first_shown: int, num_best: int
) -> None:
    index = write_made_report(tmp_path, given_boxes=given_boxes)
    assert data_of(tmp_path / "html" / "data.js")["first_shown"] == first_shown
    rows = re.findall(r"<tr>.*?</tr>", index.read_text("utf-8").split('id="result"')[1].split("</table>")[0], re.DOTALL)
    assert [bool(re.search('class="best"', row)) for row in rows[1:]].count(True) == num_best


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_its_place_in_a_script(text: str) -> None:
    script = to_script([text])
    assert json.loads(script) == [text]
    assert not re.search("[<>&\u2028\u2029]", script)


def test_no_text_becomes_markup(written: Path) -> None:
    html = (written / "index.html").read_text("utf-8")
    assert "<img" not in html.replace('<img id="scan"', "")
    assert "<b onmouseover" not in html and "<script>" not in html
    assert "&lt;b onmouseover=window.hacked=1&gt;" in html
    for script in sorted((HERE / "assets").glob("*.js")):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.read_text("utf-8")
        )


def test_every_string_is_there_in_both_languages_and_used() -> None:
    strings = read_strings()
    assert all(len(pair) == 2 and all(pair) for pair in strings.values())
    code = "\n".join(path.read_text("utf-8") for part in ("assets", "templates") for path in (HERE / part).iterdir())
    named = set(re.findall(r"""\bt\(["']([\w.]+)["']|data-t(?:-\w+)?="([\w.]+)\"""", code))
    asked = {key for pair in named for key in pair if key and not key.endswith(".")}  # the others are put together
    assert asked <= set(strings)
    computed = ("effect.", "fate.", "figure.", "define.", "plot.", "group.", "key.", "reason.")
    assert {key for key in strings if not key.startswith(computed)} - asked - set(re.findall(r'"(\w+)"', code)) == set()


def test_plots_take_their_colors_from_the_page() -> None:
    names = ["한글 <b>", "$a$ & b"]
    drawings = [
        interval_plot({"detection.f1": {names[0]: (0.5, Interval(0.4, 0.6)), names[1]: (None, None)}}),
        histogram_plot({names[0]: [0.1, 0.9], names[1]: []}),
        groups_plot({name: {"one": 0.5, "two": None} for name in names}, dict.fromkeys(names, 1234)),
    ]
    for drawing in drawings:
        assert drawing.startswith("<svg") and "한글 &lt;b&gt;" in drawing and "$a$ &amp; b" in drawing
        assert "var(--series-0)" in drawing
        assert re.findall(r"#0[1-4]0[0-9]0[0-9]", drawing) == []
    assert 'data-t="figure.detection.f1"' in drawings[0]
    assert "1,234" in drawings[2]


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((3508, 2480), 1754, (1754, 1240)),
        ((100, 50), 1754, (100, 50)),
        ((10, 9000), 900, (1, 900)),
        ((9000, 1), 9, (9, 1)),
    ],
)
def test_images_shrink_and_never_grow(shape: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert shrunk(np.zeros(shape, np.uint8), side).shape == expected


def test_a_page_image_that_cannot_be_decoded_leaves_no_file(tmp_path: Path) -> None:
    for folder in ("scans", "thumbnails", "patches"):
        (tmp_path / folder).mkdir()
    assert not write_scan(b"no image", "00000", {}, tmp_path)
    assert not write_scan(None, "00000", {}, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert write_scan(made_images()["mixed"], "00000", {"00000-0-0-60-40": (0, 0, 60, 40)}, tmp_path)
    patch = cv2.imread(str(tmp_path / "patches" / "00000-0-0-60-40.jpg"), cv2.IMREAD_UNCHANGED)
    assert patch is not None and patch.shape == (40, 60)
