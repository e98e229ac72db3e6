"""What a recognizer reads off a page is what EasyOCR's Reader reads there, box by box."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import easyocr
import easyocr.easyocr as easyocr_globals
import numpy as np
import pytest

from evaluator.detection.easyocr_boxes import Detection
from evaluator.detection.tall_words import TallWords
from evaluator.recognizers import LoadedRecognizer, load_baseline, load_finetuned, loaded
from evaluator.word_patches import patch_of, patches_of, read_patches, regions_of, texts_of
from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import find_weights
from ocr.networks.weight_files import read_weights
from ocr.reader import load_reader
from tests.evaluator.conftest import export_english

NO_QUADS = np.empty((0, 4, 2), np.float32)
WORDS = ("Hello", "No. 42-7", "3,000", "(02) 123-4567", "l", "2001. 3. 15.")


def drawn_words() -> tuple[np.ndarray, Detection]:
    """Six words in upright boxes, one too faint to be sure of, and five of them again, turned by 11 to 79 degrees.

    One quad reaches beyond the page, one box is taller than wide.
    """
    grey: np.ndarray = np.full((900, 1100), 225, np.uint8)
    boxes, quads = [], []
    for number, word in enumerate(WORDS):
        at, shade = (20, 60 + 80 * number), 210 if number == 2 else 30
        cv2.putText(grey, word, at, cv2.FONT_HERSHEY_SIMPLEX, 1.4, shade, 2, cv2.LINE_AA)
        boxes.append((10, 15 + 80 * number, 60 + 26 * len(word), 75 + 80 * number))
        if number < 5:
            layer: np.ndarray = np.full_like(grey, 225)
            center, width = (760, 120 + 150 * number), 40 + 26 * len(word)
            at = (center[0] - width // 2, center[1] + 15)
            cv2.putText(layer, word, at, cv2.FONT_HERSHEY_SIMPLEX, 1.4, 30, 2, cv2.LINE_AA)
            turn = cv2.getRotationMatrix2D(center, 11 + 17 * number, 1.0)
            grey = np.minimum(grey, cv2.warpAffine(layer, turn, (1100, 900), borderValue=225))
            corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2 + 8, 32) + center
            quads.append(cv2.transform(corners[None], turn)[0])
    quads[1] += (260, 0)
    boxes.append((20, 20, 50, 100))
    return grey, Detection(np.array(boxes), np.array(quads, np.float32))


def read(recognizer: LoadedRecognizer, grey: np.ndarray, detection: Detection) -> list[tuple[str, float]]:
    readings = read_patches(recognizer.recognizer, patches_of(grey, [(detection, "as they are")]))
    return list(zip(*texts_of(detection, "as they are", readings), strict=True))


def read_as_reader(reader: easyocr.Reader, grey: np.ndarray, detection: Detection) -> list[tuple[str, float]]:
    upright = [[x0, x1, y0, y1] for x0, y0, x1, y1 in detection.boxes_N4.tolist()]
    found = reader.recognize(grey, upright, detection.quads_M42.tolist(), reformat=False)
    return [(text, confidence) for _, text, confidence in found]


def agree(ours: list[tuple[str, float]], theirs: list[tuple[str, float]]) -> None:
    assert [text for text, _ in ours] == [text for text, _ in theirs]
    assert [sure for _, sure in ours] == pytest.approx([sure for _, sure in theirs], abs=1e-4)


def test_upright_and_tilted_words_are_read_as_the_reader_reads_them(easyocr_dir: Path) -> None:
    grey, detection = drawn_words()
    ours = read(load_baseline("english_g2", easyocr_dir, "cpu"), grey, detection)
    agree(ours, read_as_reader(load_reader("english_g2", ["en"], easyocr_dir), grey, detection))
    assert ours[0][0] == "Hello"
    assert {"Hello", "3,000"} <= {text for text, _ in ours[len(WORDS) + 1 :]}


@pytest.mark.parametrize("number", range(5))
def test_a_tilted_patch_is_the_readers_to_the_last_bit(number: int) -> None:
    grey, detection = drawn_words()
    quad = detection.quads_M42[number]
    theirs = easyocr.utils.four_point_transform(grey, quad)
    assert np.array_equal(patch_of(grey, tuple(quad.ravel().tolist())), theirs)


def test_a_region_without_area_is_read_as_nothing(easyocr_dir: Path) -> None:
    grey, detection = drawn_words()
    nothing = Detection(
        boxes_N4=np.array([(1100, 0, 1100, 20), (50, 100, 50, 110), *detection.boxes_N4[:1]]),
        quads_M42=np.array([[(5, 5)] * 4, [(5, 5), (9, 5), (9, 5.5), (5, 5.5)]], np.float32),
    )
    assert len(regions_of(nothing)) == 5
    readings = read(load_baseline("english_g2", easyocr_dir, "cpu"), grey, nothing)
    assert [text for text, _ in readings] == ["", "", "Hello", "", ""]
    assert [confidence > 0 for _, confidence in readings] == [False, False, True, False, False]


def test_a_region_of_two_detections_is_cut_once() -> None:
    grey, detection = drawn_words()
    fewer = Detection(detection.boxes_N4[:2], NO_QUADS)
    ways: list[tuple[Detection, TallWords]] = [(detection, "as they are"), (fewer, "split")]
    assert patches_of(grey, ways).keys() == patches_of(grey, ways[:1]).keys()


def test_a_tall_box_is_read_in_the_way_of_its_detection(easyocr_dir: Path) -> None:
    """The same box, as EasyOCR reads it, and turned: here it is one that lies on its side."""
    lying, _ = drawn_words()
    grey = np.rot90(lying[15:75, 10:220])
    tall = Detection(np.array([(0, 0, 60, 210)]), NO_QUADS)
    recognizer = load_baseline("english_g2", easyocr_dir, "cpu").recognizer
    patches = patches_of(grey, [(tall, "as they are"), (tall, "turn")])
    assert [len(parts) for parts in patches.values()] == [1, 1]
    readings = read_patches(recognizer, patches)
    ((turned,), _), ((as_it_is,), _) = (texts_of(tall, way, readings) for way in ("turn", "as they are"))
    assert turned == "Hello" != as_it_is


def test_a_recognizer_of_another_height_changes_no_other(easyocr_dir: Path, tmp_path: Path) -> None:
    """EasyOCR holds the height of the network that was loaded last in a global."""
    grey, detection = drawn_words()
    baseline = load_baseline("english_g2", easyocr_dir, "cpu")
    alone = read(baseline, grey, detection)
    export_english(tmp_path, "low_english", imgH=32)
    try:
        low = load_finetuned("low_english", tmp_path, "cpu")
        agree(read(low, grey, detection), read_as_reader(load_reader("low_english", ["en"], tmp_path), grey, detection))
    finally:
        easyocr_globals.imgH = 64
    assert read(low, grey, detection) != alone
    assert read(baseline, grey, detection) == alone


def test_what_the_readers_languages_forbid_is_never_written(easyocr_dir: Path) -> None:
    """The Reader holds back the characters that its network knows and none of its languages has."""
    grey, detection = drawn_words()
    reader = load_reader("english_g2", ["en"], easyocr_dir)
    reader.lang_char = "Hel0127(3,.-) 한"
    weights = read_weights(find_weights("english_g2", easyocr_dir))
    alphabet = frozenset(reader.character) & frozenset(reader.lang_char)
    ours = read(loaded("english_g2", weights, ("en",), alphabet, "", "cpu"), grey, detection)
    agree(ours, read_as_reader(reader, grey, detection))
    assert all(alphabet.issuperset(text) for text, _ in ours)
    assert ours[0][0] != "Hello"


def test_the_alphabet_is_that_of_the_languages(easyocr_dir: Path) -> None:
    baseline = load_baseline("english_g2", easyocr_dir, "cpu")
    assert (baseline.languages, len(baseline.alphabet)) == (("en",), 96)
    assert baseline.reader == "easyocr.Reader(['en'], quantize=False)"
    finetuned = load_finetuned("finetuned", easyocr_dir, "cpu")
    assert finetuned.reader == "easyocr.Reader(['en'], recog_network='finetuned', quantize=False)"


def test_a_baseline_of_another_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="baseline_model: 'zh_sim_g2' is not one of korean_g2, english_g2"):
        load_baseline("zh_sim_g2", tmp_path, "cpu")


@pytest.mark.parametrize("missing", ["model/finetuned.pth", "user_network/finetuned.yaml", "user_network/finetuned.py"])
def test_a_missing_export_says_what_to_run(tmp_path: Path, missing: str) -> None:
    export_english(tmp_path, "finetuned")
    (tmp_path / missing).unlink()
    with pytest.raises(
        UsageError, match=rf"{missing}: missing; run `python -m trainer\.export --checkpoint … --name finetuned` first"
    ):
        load_finetuned("finetuned", tmp_path, "cpu")


def cut_weights(easyocr_dir: Path) -> None:
    path = easyocr_dir / "model" / "finetuned.pth"
    path.write_bytes(path.read_bytes()[:100_000])


def short_alphabet(easyocr_dir: Path) -> None:
    export_english(easyocr_dir, "finetuned", character_list="abc")


def unknown_language(easyocr_dir: Path) -> None:
    export_english(easyocr_dir, "finetuned", lang_list=["en", "korean_g3"])


def no_languages(easyocr_dir: Path) -> None:
    (easyocr_dir / "user_network" / "finetuned.yaml").write_text("imgH: 64\n")


def no_yaml(easyocr_dir: Path) -> None:
    (easyocr_dir / "user_network" / "finetuned.yaml").write_text("a: [\n")


@pytest.mark.parametrize("spoil", [cut_weights, short_alphabet, unknown_language, no_languages, no_yaml])
def test_a_damaged_export_is_one_clear_line(tmp_path: Path, easyocr_dir: Path, spoil: object) -> None:
    shutil.copytree(easyocr_dir / "user_network", tmp_path / "user_network")
    (tmp_path / "model").mkdir()
    shutil.copy(easyocr_dir / "model" / "finetuned.pth", tmp_path / "model")
    assert callable(spoil)
    spoil(tmp_path)
    with pytest.raises(DataError, match=r"finetuned\.") as caught:
        load_finetuned("finetuned", tmp_path, "cpu")
    assert "\n" not in str(caught.value)
