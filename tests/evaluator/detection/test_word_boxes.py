"""Words from the hills of a text map and the ink of a page, drawn here: the table says what belongs together."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from evaluator.detection.characters import find_characters
from evaluator.detection.craft import Craft, Maps, load_craft, maps_of
from evaluator.detection.tall_words import joined, patches_to_read, split
from evaluator.detection.text_ink import find_pieces
from evaluator.detection.thresholds import DEFAULTS, Thresholds, load_thresholds, save_thresholds
from evaluator.detection.word_boxes import gap_between_words, word_boxes
from evaluator.evaluation_pages import label_words
from evaluator.metrics.matching import iou, match
from ocr.errors import DataError
from tests.evaluator.conftest import draw_page

Boxes = list[tuple[int, int, int, int]]
WHITE = (240, 240, 240)
BLACK, RED = (30, 30, 30), (210, 50, 60)
SIZE = 24  # of a character, in pixels of a page at `zoom` 1
ROOM = 2  # around the ink, as labels have it


def page_of(ink: Boxes, hills: Boxes, zoom: int = 1, seal: bool = False) -> tuple[Maps, np.ndarray]:
    """A page of 300 x 200 pixels times `zoom`, with frames of ink, and hills around the middles of boxes."""
    height, width = 200 * zoom, 300 * zoom
    rgb: np.ndarray = np.full((height, width, 3), WHITE, np.uint8)
    for x0, y0, x1, y1 in (np.array(ink) * zoom).tolist():
        rgb[y0:y1, x0:x1] = BLACK
        if x1 - x0 > 9 * zoom and y1 - y0 > 9 * zoom:
            rgb[y0 + 3 * zoom : y1 - 3 * zoom, x0 + 3 * zoom : x1 - 3 * zoom] = WHITE
    if seal:
        cv2.rectangle(rgb, (150 * zoom, 60 * zoom), (230 * zoom, 140 * zoom), RED, 3 * zoom)
    rows, columns = np.mgrid[: height // 2, : width // 2] * 2 / zoom
    text_HW = np.zeros((height // 2, width // 2), np.float32)
    for x0, y0, x1, y1 in hills:
        x, y, reach = (x0 + x1) / 2, (y0 + y1) / 2, 0.21 * SIZE
        hill = np.exp(-0.5 * (((columns - x) / (x1 - x0) * SIZE) ** 2 + (rows - y) ** 2) / reach**2)
        text_HW = np.maximum(text_HW, hill.astype(np.float32))
    return Maps(text_HW, np.zeros_like(text_HW), 2.0, width, height), rgb


def row(*lefts: int, y: int = 60) -> Boxes:
    return [(x, y, x + SIZE, y + SIZE) for x in lefts]


WORD, NEXT, SPACED = row(20, 46, 72), row(110, 136), row(20, 70, 120)
COLUMN = [(40, y, 64, y + SIZE) for y in (30, 58, 86)]
SEALED = row(60, 110, 160, y=88)


@pytest.mark.parametrize("zoom", [1, 2, 4])
@pytest.mark.parametrize(
    ("ink", "hills", "words"),
    [
        pytest.param(WORD, WORD, [(20, 60, 96, 84)], id="touching hills are one word"),
        pytest.param(WORD + NEXT, WORD + NEXT, [(20, 60, 96, 84), (110, 60, 160, 84)], id="a gap parts two words"),
        pytest.param(SPACED, SPACED, SPACED, id="each letter of a spaced title is a word"),
        pytest.param([*WORD, (99, 80, 103, 86)], WORD, [(20, 60, 103, 86)], id="a comma without a hill joins its word"),
        pytest.param(
            [*WORD, (118, 71, 127, 74)], WORD, [(20, 60, 96, 84), (118, 71, 127, 74)], id="a dash stands alone"
        ),
        pytest.param(COLUMN, COLUMN, [(40, 30, 64, 110)], id="characters close below one another are a tall word"),
        pytest.param(
            [(120, 171, 129, 174), (140, 164, 150, 182), (161, 171, 170, 174), *WORD],
            WORD,
            [(20, 60, 96, 84), (140, 164, 150, 182), (120, 171, 129, 174), (161, 171, 170, 174)],
            id="a page number between dashes needs no hill",
        ),
        pytest.param(
            [*WORD, (200, 71, 209, 74)], WORD, [(20, 60, 96, 84), (200, 71, 209, 74)], id="a dash far from all text"
        ),
        pytest.param([*WORD, (200, 121, 209, 124)], WORD, [(20, 60, 96, 84)], id="a dash at the height of no text"),
        pytest.param(
            [*WORD, (200, 71, 209, 74), (200, 60, 206, 66)], WORD, [(20, 60, 96, 84)], id="a dash with a blot over it"
        ),
        pytest.param([*WORD, (150, 62, 190, 82)], WORD + row(158), [(20, 60, 96, 84)], id="a pen's stroke is no text"),
        pytest.param(
            [*WORD, (150, 60, 200, 84)],
            WORD + row(150, 176),
            [(20, 60, 96, 84), (150, 60, 200, 84)],
            id="two characters that touch are",
        ),
        pytest.param([*WORD, (10, 92, 290, 95)], WORD, [(20, 60, 96, 84)], id="a rule is no text"),
        pytest.param([], row(20), row(20), id="a hill without ink counts"),
        pytest.param([], [], [], id="an empty page"),
    ],
)
def test_words_are_what_stands_together(ink: Boxes, hills: Boxes, words: Boxes, zoom: int) -> None:
    found = word_boxes(*page_of(ink, hills, zoom)).boxes_N4 / zoom
    assert len(found) == len(words)
    labels = np.array(words, float).reshape(-1, 4) + ROOM * np.array([-1, -1, 1, 1])
    assert len(match(iou(labels, found), at_least=0.6)) == len(words)


def test_a_seal_is_no_ink() -> None:
    found = word_boxes(*page_of(SEALED, SEALED, seal=True)).boxes_N4
    assert len(match(iou(np.array(SEALED, float), found.astype(float)))) == len(found) == len(SEALED)


def test_letters_below_a_seal_stay_apart() -> None:
    maps, rgb = page_of(SEALED, SEALED, seal=True)
    tall = np.zeros_like(maps.text_HW)
    tall[32:68, 80:92] = 0.9  # a seal's stroke and the letter on it are one hill
    found = word_boxes(msgspec.structs.replace(maps, text_HW=np.maximum(maps.text_HW, tall)), rgb).boxes_N4
    assert len(match(iou(np.array(SEALED, float), found.astype(float)))) == len(found) == len(SEALED)


def test_a_hill_whose_ink_is_its_neighbors_is_not_bare() -> None:
    """Or the place that was kept for its ink would reach into the gap before the next word."""
    maps, rgb = page_of([(30, 60, 62, 84)], row(22, 46))
    pieces = find_pieces(maps, rgb, find_characters(maps, DEFAULTS), DEFAULTS)
    assert pieces.boxes_M4.tolist() == [[30, 60, 62, 84]]


def test_a_low_hill_without_ink_is_nothing() -> None:
    maps, rgb = page_of(WORD, WORD + row(110))
    low = maps.text_HW.copy()
    low[:, 55:] *= 0.65
    assert len(word_boxes(maps, rgb).boxes_N4) == 2
    assert len(word_boxes(msgspec.structs.replace(maps, text_HW=low), rgb).boxes_N4) == 1


def test_a_page_with_nothing_but_a_seal_is_empty() -> None:
    assert len(word_boxes(*page_of([], row(178, y=88), seal=True)).boxes_N4) == 0


def test_low_hills_alone_are_no_word() -> None:
    maps, rgb = page_of(WORD, WORD)
    low = msgspec.structs.replace(maps, text_HW=maps.text_HW * 0.6)
    assert len(word_boxes(low, rgb).boxes_N4) == 0
    assert len(word_boxes(low, rgb, Thresholds(peak=0.5)).boxes_N4) > 0


def test_the_margin_is_a_share_of_the_shorter_side() -> None:
    maps, rgb = page_of(WORD, WORD)
    tight, loose = (word_boxes(maps, rgb, Thresholds(margin=margin)).boxes_N4[0] for margin in (0.0, 0.25))
    assert (loose - tight).tolist() == [-6, -6, 6, 6]


@pytest.mark.parametrize(
    ("inside", "between", "expected"),
    [
        pytest.param(0.1, 0.9, 0.6, id="the usual gap where it parts"),
        pytest.param(0.1, 0.58, 0.4, id="a narrower one where words stand close"),
        pytest.param(0.62, 1.2, 0.8, id="a wider one where letters are spaced"),
    ],
)
def test_a_page_has_its_own_gap(inside: float, between: float, expected: float) -> None:
    gap = gap_between_words(np.array([inside] * 50 + [between] * 20), 0.6)
    assert inside < gap < between
    assert gap == pytest.approx(expected, abs=0.16)


@pytest.fixture(scope="module")
def craft(easyocr_dir: Path) -> Craft:
    return load_craft(easyocr_dir, "cpu")


def test_words_of_a_drawn_page_are_found(craft: Craft) -> None:
    jpg, label = draw_page("page", ["Hello World 2024", "Minister, No. 42"])
    rgb = cv2.cvtColor(np.asarray(cv2.imdecode(np.frombuffer(jpg, np.uint8), 1)), cv2.COLOR_BGR2RGB)[:160]
    (maps,) = maps_of(craft, [np.asarray(rgb)], 2560, 1.0)
    found = word_boxes(maps, np.asarray(rgb)).boxes_N4
    assert len(match(iou(label_words(label).boxes_N4, found))) == len(label.words) == len(found)


def test_thresholds_come_back_as_they_were_saved(tmp_path: Path) -> None:
    thresholds = Thresholds(gap=0.7, tall_words="turn back")
    save_thresholds(thresholds, tmp_path / "x.yaml")
    assert load_thresholds(tmp_path / "x.yaml") == thresholds
    assert load_thresholds(tmp_path / "absent.yaml") == DEFAULTS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("gap: wide", "Expected `float`, got `str` - at `$.gap`", id="a word for a number"),
        pytest.param("peak: 2", "Expected `float` < 1.0 - at `$.peak`", id="a hill higher than any"),
        pytest.param("pake: 0.5", "Object contains unknown field `pake`", id="a typing mistake"),
        pytest.param("a: [", "while parsing a flow node", id="no YAML"),
        pytest.param("", "Expected `object`, got `null`", id="an empty file"),
    ],
)
def test_a_file_that_holds_no_thresholds_is_one_line(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "finetuned.detector.yaml"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        load_thresholds(path)
    assert str(caught.value).startswith(f"{path}: not a word detector's thresholds: ")
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def tall_patch(number: int, gap: int) -> np.ndarray:
    """A patch of `number` characters below one another, each two bars with a gap between, as 금 has."""
    patch = np.full((number * (SIZE + gap) + 6, SIZE + 6), 240, np.uint8)
    for index in range(number):
        top = 4 + index * (SIZE + gap)
        patch[top : top + 9, 4:26] = patch[top + 14 : top + SIZE, 4:26] = 30
    return patch


@pytest.mark.parametrize("gap", [3, 8])
@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_a_tall_word_is_cut_between_its_characters(number: int, gap: int) -> None:
    parts = patches_to_read(tall_patch(number, gap), "split")
    assert len(parts) == number
    assert sum(len(part) for part in parts) == len(tall_patch(number, gap))
    assert all((part.min(axis=1) < 100).sum() in (19, 20) for part in parts)


def test_tall_words_are_read_as_asked_and_others_as_they_are() -> None:
    patch = tall_patch(3, 4)
    (turned,), (back,) = patches_to_read(patch, "turn"), patches_to_read(patch, "turn back")
    assert np.array_equal(np.rot90(turned), patch) and np.array_equal(np.rot90(back, -1), patch)
    assert patches_to_read(patch, "as they are") == [patch]
    flat = patch.T
    assert all(patches_to_read(flat, way)[0] is flat for way in ("split", "turn", "turn back"))
    assert joined([("결", 0.9), ("재", 0.4)]) == ("결재", 0.4)


def test_a_column_of_one_pixel_is_split_into_parts_with_area() -> None:
    for number in range(2, 1 << 9):
        column = np.array([[255 * int(bit)] for bit in f"{number:b}"], np.uint8)
        assert all(part.size for part in split(column)), column.ravel()
