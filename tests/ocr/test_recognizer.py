from __future__ import annotations

from pathlib import Path

import cv2
import easyocr
import numpy as np
import pytest
import torch
from easyocr_en_models import model_dir

from ocr.errors import DataError, UsageError
from ocr.recognizer import Network, Recognizer, build_model, read_weights, save_weights
from ocr.weights import RECOGNIZERS, find_weights

ENGLISH = Path(model_dir()) / "english_g2.pth"


@pytest.mark.parametrize(("num_classes", "num_parameters"), [(1_009, 4_015_729), (97, 3_781_345)])
def test_parameter_counts_are_easyocrs(num_classes: int, num_parameters: int) -> None:
    assert sum(parameter.numel() for parameter in build_model(Network(), num_classes).parameters()) == num_parameters


def test_texts_and_confidences_are_the_readers() -> None:
    page = np.full((700, 900), 225, np.uint8)
    words = ["Hello", "No. 42-7", "3,000", "(02) 123-4567", "The quick brown fox jumps", "l", "...", "2001. 3. 15."]
    boxes = []
    for index, word in enumerate(words):
        shade = 30 if index % 3 else 205  # every third word is faint enough for the second pass
        cv2.putText(page, word, (20, 60 + 80 * index), cv2.FONT_HERSHEY_SIMPLEX, 1.4, shade, 2)
        boxes.append((10, 15 + 80 * index, 60 + 26 * len(word), 75 + 80 * index))
    reader = easyocr.Reader(
        ["en"], gpu=False, model_storage_directory=model_dir(), download_enabled=False, quantize=False, detector=False
    )
    theirs = [reader.recognize(page, [[x0, x1, y0, y1]], [], reformat=False)[0] for x0, y0, x1, y1 in boxes]

    ours = Recognizer.load(ENGLISH).read([page[y0:y1, x0:x1] for x0, y0, x1, y1 in boxes])

    assert [text for text, _ in ours] == [text for _, text, _ in theirs]
    assert [confidence for _, confidence in ours] == pytest.approx([sure for _, _, sure in theirs], abs=1e-4)


def test_weights_survive_a_file(tmp_path: Path) -> None:
    weights = read_weights(ENGLISH)
    save_weights(weights, tmp_path / "mine.pth")
    again = read_weights(tmp_path / "mine.pth")
    assert (again.network, again.character) == (weights.network, RECOGNIZERS["english_g2"]["characters"])
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in weights.tensors.items())


def not_a_file(path: Path) -> None:
    pass


def text_file(path: Path) -> None:
    path.write_text("not weights")


def cut_file(path: Path) -> None:
    path.write_bytes(ENGLISH.read_bytes()[:100_000])


def foreign_file(path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, path)


def a_list(path: Path) -> None:
    torch.save([1, 2], path)


def code(path: Path) -> None:
    torch.save({"weights": Path("x")}, path)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (not_a_file, UsageError, "no such weight file"),
        (text_file, DataError, "cannot be read as weights"),
        (cut_file, DataError, "cannot be read as weights"),
        (foreign_file, DataError, "not a VGG-BiLSTM-CTC recognizer"),
        (a_list, DataError, "holds a list"),
        (code, DataError, "cannot be read as weights"),
    ],
)
def test_a_file_that_is_no_recognizer_is_named(
    tmp_path: Path, make: object, error: type[Exception], message: str
) -> None:
    path = tmp_path / "some.pth"
    make(path)  # type: ignore[operator]
    with pytest.raises(error, match=message) as raised:
        read_weights(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unknown_alphabet_is_not_guessed(tmp_path: Path) -> None:
    torch.save({f"module.{name}": tensor for name, tensor in read_weights(ENGLISH).tensors.items()}, tmp_path / "a.pth")
    with pytest.raises(UsageError, match="its alphabet is unknown"):
        Recognizer.load(tmp_path / "a.pth")


def test_a_missing_easyocr_file_comes_from_the_offline_package(tmp_path: Path) -> None:
    path = find_weights("english_g2", tmp_path)
    assert path == tmp_path / "model" / "english_g2.pth"
    assert path.read_bytes() == ENGLISH.read_bytes()


def test_a_damaged_easyocr_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "english_g2.pth").write_bytes(b"half")
    with pytest.raises(DataError, match=r"english_g2.pth: md5 .* not EasyOCR's .*; remove it and put the file of"):
        find_weights("english_g2", tmp_path)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"hungul_g2: no such file and no EasyOCR model of that name; there are .*korean_g2"
    ):
        find_weights("hungul_g2", tmp_path)


def test_what_cannot_be_downloaded_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_listens = "http://127.0.0.1:9/korean_g2.zip"
    monkeypatch.setitem(RECOGNIZERS, "korean_g2", RECOGNIZERS["korean_g2"] | {"url": nobody_listens})
    with pytest.raises(UsageError, match=f"korean_g2.pth: missing, and the download failed .*; get {nobody_listens}"):
        find_weights("korean_g2", tmp_path)
    assert list((tmp_path / "model").iterdir()) == []
