"""`python -m evaluator.tune` on whole validation pages: the saved file is what the evaluation will load."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluator import tune
from evaluator.detection.craft import load_craft, maps_of
from evaluator.detection.easyocr_boxes import SETTINGS
from evaluator.detection.thresholds import DEFAULTS, load_thresholds, thresholds_path
from evaluator.evaluation_pages import decode_page
from evaluator.recognizers import load_finetuned
from ocr.errors import DataError
from ocr.page import Page, Word, page_to_json
from ocr.shards.manifest import write_shard
from tests.evaluator.conftest import draw_page


@pytest.fixture(scope="module")
def pages(easyocr_dir: Path) -> list[tune.TunedPage]:
    """The same drawn page twice, so that CRAFT runs once."""
    jpg, label = draw_page("page_0", ["Hello World 2024", "No. 42-7 Seoul"])
    rgb = decode_page(jpg, label).rgb
    (maps,) = maps_of(load_craft(easyocr_dir, "cpu"), [rgb], int(SETTINGS["canvas_size"]), SETTINGS["mag_ratio"])
    return [tune.TunedPage(jpg, label, maps)] * 2


def test_a_search_finds_what_labels_ask_for(pages: list[tune.TunedPage]) -> None:
    """Labels that leave much room around the ink ask for a wider margin."""
    loose = [wider(page, 9) for page in pages]
    found = tune.search(loose)
    assert found.margin > DEFAULTS.margin
    assert tune.count(loose, found).f1 > tune.count(loose, DEFAULTS).f1


def wider(page: tune.TunedPage, room: int) -> tune.TunedPage:
    words = []
    for word in page.label.words:
        x0, y0, x1, y1 = word.box
        words.append(Word((max(x0 - room, 0), y0 - room, x1 + room, y1 + room), word.text))
    label = Page(page.label.stem, page.label.category, page.label.width, page.label.height, tuple(words))
    return tune.TunedPage(page.jpg, label, page.maps)


def test_thresholds_that_do_not_hold_on_other_pages_are_not_taken(
    pages: list[tune.TunedPage], capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune.tune([wider(pages[0], 9), wider(pages[1], -7)]) == DEFAULTS
    assert "detected worse: the defaults stay" in capsys.readouterr().out


def test_the_command_saves_what_it_found(
    easyocr_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = [draw_page(f"page_{number}", ["Hello"]) for number in range(2)]
    samples = [(label.stem, {"jpg": jpg, "json": page_to_json(label)}) for jpg, label in drawn]
    write_shard(tmp_path / "validation_pages" / "000000.tar", iter(samples))
    shutil.copytree(easyocr_dir, tmp_path / "EasyOCR")
    arguments = ["--val_set", str(tmp_path / "validation_pages"), "--easyocr-dir", str(tmp_path / "EasyOCR")]
    monkeypatch.setattr(sys, "argv", ["tune", *arguments])
    tune.main()
    path = thresholds_path(tmp_path / "EasyOCR", "finetuned")
    assert path.is_file() and load_thresholds(path).tall_words == "split"
    printed = capsys.readouterr().out
    assert "1 pages that were not           " in printed and f"Saved: {path}" in printed


def test_pages_that_cannot_be_read_are_too_few(easyocr_dir: Path, tmp_path: Path) -> None:
    label = Page("blank", "일반행정", 96, 64, ())
    write_shard(tmp_path / "000000.tar", iter([("blank", {"jpg": b"", "json": page_to_json(label)})]))
    with pytest.raises(DataError, match=r"0 page\(s\) to tune on; name a folder with more, 20 at least"):
        tune.read_pages(str(tmp_path), easyocr_dir, "cpu")


def test_tall_words_are_read_in_the_way_with_the_fewest_edits(easyocr_dir: Path, pages: list[tune.TunedPage]) -> None:
    """A word turned on its side is read when it is turned back."""
    jpg, label = draw_page("page", ["Minister 1999"])
    image = decode_page(jpg, label).grey
    turned = np.ascontiguousarray(np.rot90(image))
    height, width = image.shape
    boxes = [(y0, width - x1, y1, width - x0) for x0, y0, x1, y1 in (word.box for word in label.words)]
    words = tuple(Word(box, word.text) for box, word in zip(boxes, label.words, strict=True))
    page = Page("turned", label.category, height, width, words)
    encoded = cv2.imencode(".jpg", turned)[1].tobytes()
    recognizer = load_finetuned("finetuned", easyocr_dir, "cpu").recognizer
    assert tune.choose_way([tune.TunedPage(encoded, page, pages[0].maps)], recognizer) == "turn"
