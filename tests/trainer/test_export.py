"""An exported recognizer is the recognizer: EasyOCR's Reader gives its texts and its logits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.patch import to_input
from ocr.reader import load_reader
from ocr.recognizer import Recognizer
from ocr.weight_files import Weights, load_model, save_weights
from ocr.weights import RECOGNIZERS, charset_of
from tests.trainer.conftest import changed, drawn
from trainer import export as export_module
from trainer.checkpoint import starting_model, weights_of
from trainer.export import export
from trainer.export_proof import LANGUAGES

KOREAN = str(RECOGNIZERS["korean_g2"]["characters"])


@pytest.fixture(autouse=True)
def no_trace_of_readers() -> Iterator[None]:
    """A Reader adds its folder to the search path and its network to the modules, for the life of the process."""
    search_path = list(sys.path)
    yield
    sys.path[:] = search_path
    sys.modules.pop("fine", None)


def korean_weights(path: Path, character: str = KOREAN, **values: object) -> Weights:
    """english_g2's network with another last layer, so that logits are those of a network that has learned."""
    torch.manual_seed(0)
    config = changed(Config(continue_from="english_g2", new_prediction=True, character=character), **values)
    charset = charset_of(character)
    weights = weights_of(starting_model(config, charset, path.parent), config, charset)
    save_weights(weights, path)
    return weights


def test_the_reader_reads_what_the_recognizer_reads(tmp_path: Path) -> None:
    weights = korean_weights(tmp_path / "best.pth")
    files, compared = export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR")
    assert compared.startswith("The Reader gives our logits and texts on 7 sample patches; with its default, int8,")
    assert [path.relative_to(tmp_path / "EasyOCR").as_posix() for path in files] == [
        "model/fine.pth",
        "user_network/fine.py",
        "user_network/fine.yaml",
    ]
    reader = load_reader("fine", LANGUAGES, tmp_path / "EasyOCR")
    patch = drawn("3,000")
    inputs = to_input(torch.from_numpy(np.stack([np.pad(patch, ((12, 12), (0, 0)))])))
    with torch.inference_mode():
        assert torch.equal(reader.recognizer.eval()(inputs, None), load_model(weights)(inputs, None))
    assert reader.character == KOREAN  # the space that begins it survived
    ((ours, our_confidence),) = Recognizer.load(tmp_path / "EasyOCR" / "model" / "fine.pth").read([patch])
    ((_, theirs, their_confidence),) = reader.recognize(patch)
    assert ours == theirs
    assert our_confidence == pytest.approx(their_confidence, abs=1e-4)


def test_names_begin_with_module_and_nothing_is_left_beside(tmp_path: Path) -> None:
    korean_weights(tmp_path / "best.pth")
    export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR")
    tensors = torch.load(tmp_path / "EasyOCR" / "model" / "fine.pth", weights_only=True)
    assert len(tensors) == 44
    assert all(name.startswith("module.") for name in tensors)
    assert sorted(path.name for path in (tmp_path / "EasyOCR").iterdir()) == ["model", "user_network"]


def test_an_older_export_is_kept(tmp_path: Path) -> None:
    korean_weights(tmp_path / "best.pth")
    for _ in range(2):
        export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR")
    assert (tmp_path / "EasyOCR" / "model" / "fine.pth.bak").exists()


def test_a_difference_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    korean_weights(tmp_path / "best.pth")
    wrong_network = (
        "from easyocr.model.vgg_model import Model as Right\n\n\nclass Model(Right):\n"
        "    def forward(self, image, text):\n        return super().forward(-image, text)\n"
    )
    monkeypatch.setattr(export_module, "network_file", lambda network: wrong_network)
    with pytest.raises(DataError, match="the Reader's logits differ from ours by .*; nothing was installed"):
        export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR")
    assert list((tmp_path / "EasyOCR").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fine-tuned", "must be a Python name"),
        ("korean_g2", "none of EasyOCR's own models"),
        ("standard", "none of EasyOCR's own models"),
        ("yaml", "the Python module .*yaml/__init__.py would be loaded instead"),
    ],
)
def test_a_name_that_easyocr_would_take_for_another_is_refused(tmp_path: Path, name: str, message: str) -> None:
    korean_weights(tmp_path / "best.pth", character="가나")
    with pytest.raises(UsageError, match=message):
        export(tmp_path / "best.pth", name, tmp_path / "EasyOCR")


def test_color_weights_cannot_go_into_the_reader(tmp_path: Path) -> None:
    korean_weights(tmp_path / "best.pth", character="가나", rgb=True, input_channel=3, strict=False)
    with pytest.raises(UsageError, match="reads color"):
        export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR")


def test_the_alphabet_is_written_by_a_yaml_writer(tmp_path: Path) -> None:
    character = " !\"#'\\:가나%@"
    korean_weights(tmp_path / "best.pth", character=character)
    _, _, settings = export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR").files
    assert yaml.safe_load(settings.read_text(encoding="utf-8"))["character_list"] == character


def test_another_height_travels_in_the_export(tmp_path: Path) -> None:
    korean_weights(tmp_path / "best.pth", character="0123456789,.", img_height=32)
    _, _, settings = export(tmp_path / "best.pth", "low", tmp_path / "EasyOCR").files
    assert yaml.safe_load(settings.read_text(encoding="utf-8"))["imgH"] == 32
    assert Recognizer.load(tmp_path / "EasyOCR" / "model" / "low.pth").engine.network.img_height == 32


def test_a_folder_of_the_name_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fine").mkdir()  # the seed project has a folder `finetuned`
    monkeypatch.syspath_prepend(str(tmp_path))
    korean_weights(tmp_path / "best.pth", character="가나")
    assert len(export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR").files) == 3
