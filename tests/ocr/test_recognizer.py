"""Readings are the Reader's, however they are batched; weights are found by path or by name."""

from __future__ import annotations

import runpy
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import cv2
import easyocr
import numpy as np
import pytest
import torch
from easyocr_en_models import model_dir

from ocr.decoding.beam_search import BeamSearch
from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS, default_easyocr_dir, find_weights
from ocr.networks.weight_files import read_weights
from ocr.recognizer import Recognizer
from tests.trainer.conftest import drawn
from trainer.exporting.onnx_file import export_onnx

ENGLISH = Path(model_dir()) / "english_g2.pth"


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


def test_a_batch_changes_no_reading() -> None:
    patches = [drawn(text) for text in ("one", "No. 42", "a longer line of words", "3,000", "l", "two")] * 3
    recognizer = Recognizer.load(ENGLISH)
    together, alone = recognizer.read(patches), [recognizer.read([patch])[0] for patch in patches]
    assert [text for text, _ in together] == [text for text, _ in alone]
    assert [sure for _, sure in together] == pytest.approx([sure for _, sure in alone], abs=1e-4)
    assert [text for text, _ in recognizer.read(patches, batch_size=1)] == [text for text, _ in alone]
    assert recognizer.read([]) == []


@pytest.fixture
def torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("suffix", [".pth", ".onnx"])
def test_the_number_of_threads_changes_no_reading(suffix: str, tmp_path: Path, torch_threads: None) -> None:
    path = ENGLISH
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime")
        path = tmp_path / "english.onnx"
        export_onnx(read_weights(ENGLISH), path)
    patches = [drawn(text) for text in ("one", "No. 42", "a longer line", "3,000", "l", "two", "2001. 3. 15.")]
    found = []
    for number in (1, 3):
        torch.set_num_threads(number)
        found.append(Recognizer.load(path).read(patches, batch_size=2))
        assert torch.get_num_threads() == number
    one, three = found
    assert [text for text, _ in one] == [text for text, _ in three]
    assert [sure for _, sure in one] == pytest.approx([sure for _, sure in three], abs=1e-4)


def test_many_threads_may_read_at_once(torch_threads: None) -> None:
    torch.set_num_threads(2)
    recognizer = Recognizer.load(ENGLISH)
    texts = ["one", "No. 42", "a longer line of words", "3,000", "l", "two"]
    patches = [drawn(text) for text in texts]
    alone = recognizer.read(patches)
    with ThreadPoolExecutor(4) as pool:
        for turned, found in pool.map(lambda turn: (turn, recognizer.read(patches[turn:] + patches[:turn])), range(6)):
            assert [text for text, _ in found] == [text for text, _ in alone[turned:] + alone[:turned]]
        assert set(pool.map(lambda _: torch.get_num_threads(), range(20))) == {2}


def test_a_beam_is_asked_for_when_loading() -> None:
    patch = drawn("No. 42-7 Sejong-daero 110, Jung-gu, Seoul")
    greedy, beam = (
        Recognizer.load(ENGLISH),
        Recognizer.load(ENGLISH, beam=BeamSearch(width=5, lexicon=frozenset({"x"}))),
    )
    assert beam.read([patch]) == greedy.read([patch])


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (np.zeros((40, 90, 3), np.uint8), r"patch 1: is uint8 \(40, 90, 3\), but this network reads uint8 \(h, w\)"),
        (np.zeros((40, 90), np.float32), r"patch 1: is float32 \(40, 90\)"),
        (np.zeros((0, 90), np.uint8), r"patch 1: is uint8 \(0, 90\)"),
    ],
)
def test_what_is_no_patch_is_named(patch: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recognizer.load(ENGLISH).read([drawn("fine"), patch])


def test_a_model_is_loaded_by_easyocrs_name(tmp_path: Path) -> None:
    recognizer = Recognizer.load("english_g2", easyocr_dir=tmp_path)
    assert recognizer.read([drawn("3,000")])[0][0] == "3,000"
    assert (tmp_path / "model" / "english_g2.pth").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("korean_g3", r"korean_g3: no such weight file and no EasyOCR model of that name; did you mean 'korean_g\d'\?"),
        ("nowhere.pth", "nowhere.pth: no such weight file and no EasyOCR model of that name$"),
    ],
)
def test_what_is_neither_a_file_nor_a_name_is_said(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recognizer.load(name, easyocr_dir=tmp_path)


def test_an_unknown_alphabet_is_not_guessed(tmp_path: Path) -> None:
    weights = read_weights(ENGLISH)
    torch.save({f"module.{name}": tensor for name, tensor in weights.tensors.items()}, tmp_path / "a.pth")
    with pytest.raises(UsageError, match="a.pth: its alphabet is unknown; keep ../user_network/a.yaml beside it"):
        Recognizer.load(tmp_path / "a.pth")
    told = Recognizer.load(tmp_path / "a.pth", character=weights.character)
    assert told.read([drawn("42")])[0][0] == "42"


def test_a_missing_easyocr_file_comes_from_the_offline_package(tmp_path: Path) -> None:
    path = find_weights("english_g2", tmp_path)
    assert path == tmp_path / "model" / "english_g2.pth"
    assert path.read_bytes() == ENGLISH.read_bytes()


def test_a_damaged_easyocr_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "english_g2.pth").write_bytes(b"half")
    with pytest.raises(DataError, match=r"english_g2.pth: md5 .* not EasyOCR's .*; remove it and put the file of"):
        find_weights("english_g2", tmp_path)


def test_a_missing_easyocr_file_is_downloaded_by_easyocr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EasyOCR downloads a zip; here it is one of english_g2 under the name of a model that no package holds."""
    (tmp_path / "site").mkdir()
    with zipfile.ZipFile(tmp_path / "site" / "latin.zip", "w") as archive:
        archive.write(ENGLISH, "latin_g2.pth")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    english, folder = EASYOCR_RECOGNIZERS["english_g2"], tmp_path / "EasyOCR"
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/latin.zip"
        monkeypatch.setitem(EASYOCR_RECOGNIZERS, "latin_g2", english | {"filename": "latin_g2.pth", "url": url})
        recognizer = Recognizer.load("latin_g2", easyocr_dir=folder)
        server.shutdown()
    assert [path.name for path in (folder / "model").iterdir()] == ["latin_g2.pth"]
    assert recognizer.read([drawn("3,000")])[0][0] == "3,000"


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, Path("home", ".EasyOCR")),
        ({"MODULE_PATH": "second"}, Path("second")),
        ({"MODULE_PATH": "second", "EASYOCR_MODULE_PATH": "first"}, Path("first")),
    ],
)
def test_models_are_looked_for_where_easyocr_keeps_them(
    variables: dict[str, str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder / "model").mkdir(parents=True)
    shutil.copy(ENGLISH, tmp_path / folder / "model")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("EASYOCR_MODULE_PATH", "MODULE_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert find_weights("english_g2", default_easyocr_dir()) == tmp_path / folder / "model" / "english_g2.pth"
    theirs = runpy.run_path(str(Path(easyocr.__file__).with_name("config.py")))["MODULE_PATH"]
    assert Path(theirs) == tmp_path / folder


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"hungul_g2: no such file and no EasyOCR model of that name; there are .*korean_g2"
    ):
        find_weights("hungul_g2", tmp_path)


def test_what_cannot_be_downloaded_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_listens = "http://127.0.0.1:9/korean_g2.zip"
    monkeypatch.setitem(EASYOCR_RECOGNIZERS, "korean_g2", EASYOCR_RECOGNIZERS["korean_g2"] | {"url": nobody_listens})
    with pytest.raises(UsageError, match=f"korean_g2.pth: missing, and the download failed .*; get {nobody_listens}"):
        find_weights("korean_g2", tmp_path)
    assert list((tmp_path / "model").iterdir()) == []
