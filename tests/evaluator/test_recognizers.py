from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import easyocr
import numpy as np
import pytest

from evaluator.detector import SETTINGS, Detection, detect, load_detector
from evaluator.pages import decode_page
from evaluator.recognizers import load_baseline, load_finetuned, read_boxes
from evaluator.words import hulls
from ocr.errors import DataError, UsageError
from tests.evaluator.conftest import draw_page, export_english

NO_QUADS = np.empty((0, 4, 2), np.float32)


def test_boxes_and_texts_are_those_of_readtext(easyocr_dir: Path, tmp_path: Path) -> None:
    jpg, label = draw_page("page_0", ["Hello World 2024", "No. 42-7 Seoul"], tilted="Tilted")
    (tmp_path / "page.jpg").write_bytes(jpg)
    reader = easyocr.Reader(
        ["en"],
        gpu=False,
        model_storage_directory=str(easyocr_dir / "model"),
        recog_network="english_g2",
        quantize=False,
        download_enabled=False,
        verbose=False,
    )
    theirs = reader.readtext(str(tmp_path / "page.jpg"), **SETTINGS)

    image = decode_page(jpg, label)
    detection = detect(load_detector(easyocr_dir, "cpu"), image.rgb)
    read = read_boxes(load_baseline("english_g2", easyocr_dir, "cpu"), image.grey, detection)
    texts = [text for text, _ in read]

    assert texts == [text for _, text, _ in theirs]
    assert [confidence for _, confidence in read] == pytest.approx([sure for _, _, sure in theirs])
    corners = [np.array(quad) for quad, _, _ in theirs]
    assert hulls(detection.words_P42) == pytest.approx(
        np.array([[*quad.min(axis=0), *quad.max(axis=0)] for quad in corners])
    )
    assert len(detection.quads_M42) == 1
    assert {"Hello", "World", "2024", "Seoul", "Tilted"} <= set(texts)


def test_a_blank_page_holds_no_word(easyocr_dir: Path) -> None:
    detection = detect(load_detector(easyocr_dir, "cpu"), np.full((96, 128, 3), 255, np.uint8))
    assert (detection.boxes_N4.shape, detection.quads_M42.shape) == ((0, 4), (0, 4, 2))
    assert detection.words_P42.shape == (0, 4, 2)


def test_no_box_is_lost_whatever_its_shape(easyocr_dir: Path) -> None:
    """The Reader sorts its readings by height on the page, and stumbles over patches without area."""
    grey = np.full((200, 300), 240, np.uint8)
    cv2.putText(grey, "low", (20, 180), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 20, 2)
    cv2.putText(grey, "high", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 20, 2)
    low, high = (15, 145, 95, 190), (15, 25, 120, 75)
    detection = Detection(
        boxes_N4=np.array([low, (300, 0, 300, 20), (50, 100, 50, 110), high]),
        quads_M42=np.array(
            [[(5, 5), (5, 5), (5, 5), (5, 5)], [(15, 145), (95, 145), (95, 190), (15, 190)]], dtype=np.float32
        ),
    )
    read = read_boxes(load_baseline("english_g2", easyocr_dir, "cpu"), grey, detection)
    assert [text for text, _ in read] == ["low", "", "", "high", "", "low"]
    assert [confidence > 0 for _, confidence in read] == [True, False, False, True, False, True]


def test_a_recognizer_of_another_height_changes_no_other(easyocr_dir: Path, tmp_path: Path) -> None:
    """EasyOCR holds the height of the network that was loaded last in a global."""
    grey = np.full((60, 300), 240, np.uint8)
    cv2.putText(grey, "Minister 1999", (10, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 20, 2)
    detection = Detection(boxes_N4=np.array([(0, 0, 300, 60)]), quads_M42=NO_QUADS)
    baseline = load_baseline("english_g2", easyocr_dir, "cpu")
    alone = read_boxes(baseline, grey, detection)

    export_english(tmp_path, "low_english", imgH=32)
    low = load_finetuned("low_english", tmp_path, "cpu")

    assert read_boxes(low, grey, detection) != alone
    assert read_boxes(baseline, grey, detection) == alone
    assert [text for text, _ in alone] == ["Minister 1999"]


def test_the_alphabet_is_what_the_reader_lets_a_recognizer_write(easyocr_dir: Path) -> None:
    """The Reader holds back the characters that its network knows and none of its languages has."""
    grey = np.full((60, 300), 240, np.uint8)
    cv2.putText(grey, "Cabbage 12", (10, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 20, 2)
    detection = Detection(boxes_N4=np.array([(0, 0, 300, 60)]), quads_M42=NO_QUADS)
    baseline = load_baseline("english_g2", easyocr_dir, "cpu")
    assert baseline.alphabet == set(baseline.reader.character)
    baseline.reader.lang_char = "abg12한"
    assert baseline.alphabet == set("abg12")
    ((text, _),) = read_boxes(baseline, grey, detection)
    assert text and baseline.alphabet.issuperset(text)


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
