"""Weights survive their file, and a file that holds none says what it is and what to do."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from easyocr.model.model import Model as FirstGeneration
from easyocr_en_models import model_dir
from torch import nn
from torch.ao.quantization import quantize_dynamic

from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS
from ocr.networks.network import Network
from ocr.networks.weight_files import Weights, load_model, read_weights, save_weights
from ocr.recognizer import Recognizer

ENGLISH = Path(model_dir()) / "english_g2.pth"


def test_weights_survive_a_file(tmp_path: Path) -> None:
    weights = read_weights(ENGLISH)
    save_weights(weights, tmp_path / "mine.pth")
    again = read_weights(tmp_path / "mine.pth")
    assert (again.network, again.character) == (Network(), EASYOCR_RECOGNIZERS["english_g2"]["characters"])
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in weights.tensors.items())


def test_half_precision_and_missing_counters_are_read_as_easyocr_does(tmp_path: Path) -> None:
    """num_batches_tracked has a default in torch; fp16 tensors are widened."""
    weights = read_weights(ENGLISH)
    half = {name: tensor.half() for name, tensor in weights.tensors.items() if tensor.is_floating_point()}
    torch.save(half, tmp_path / "half.pth")
    model = load_model(Weights(weights.network, weights.character, read_weights(tmp_path / "half.pth").tensors))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_easyocrs_first_generation_is_known_by_its_names(tmp_path: Path) -> None:
    """korean.pth is a ResNet; here one of fewer channels, as EasyOCR's own module writes it."""
    character = str(EASYOCR_RECOGNIZERS["korean_g1"]["characters"])
    torch.manual_seed(0)
    theirs = FirstGeneration(1, 32, 16, len(character) + 1).eval()
    torch.save({f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}, tmp_path / "korean.pth")
    weights, inputs = read_weights(tmp_path / "korean.pth"), torch.randn(2, 1, 64, 130)
    assert (weights.network.stages, weights.character) == ("None-ResNet-BiLSTM-CTC", character)
    with torch.inference_mode():
        assert torch.equal(load_model(weights)(inputs), theirs(inputs, None))


def not_a_file(path: Path) -> None:
    pass


def text_file(path: Path) -> None:
    path.write_text("not weights")


def empty_file(path: Path) -> None:
    path.touch()


def cut_file(path: Path) -> None:
    path.write_bytes(ENGLISH.read_bytes()[:100_000])


def foreign_file(path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, path)


def detector(path: Path) -> None:
    path.write_bytes((Path(model_dir()) / "craft_mlt_25k.pth").read_bytes())


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ENGLISH, "english_g2.pth")


def a_list(path: Path) -> None:
    torch.save([1, 2], path)


def no_tensors(path: Path) -> None:
    torch.save({"epoch": 3, "loss": 0.1}, path)


def code(path: Path) -> None:
    torch.save({"weights": Path("x")}, path)


def whole_model(path: Path) -> None:
    torch.save(load_model(read_weights(ENGLISH)), path)


def torchscript(path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(path))  # type: ignore[no-untyped-call]


def wrapped(path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": read_weights(ENGLISH).tensors}, path)


def quantized(*layers: type[nn.Module]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        model = load_model(read_weights(ENGLISH))
        rounded = quantize_dynamic(model, set(layers), dtype=torch.qint8)  # type: ignore[no-untyped-call]
        torch.save(rounded.state_dict(), path)

    return write


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (not_a_file, UsageError, "no such weight file"),
        (text_file, DataError, "cannot be read as weights .*; give another file"),
        (empty_file, DataError, "cannot be read as weights .*; give another file"),
        (cut_file, DataError, "cannot be read as weights .*; give another file"),
        (foreign_file, DataError, "not a VGG, RCNN or ResNet recognizer with CTC or attention: it has conv.weight"),
        (detector, DataError, "CRAFT, EasyOCR's detector, not a recognizer; give one such as korean_g2.pth"),
        (zipped, DataError, "a zip that holds english_g2.pth; unzip it and give that"),
        (a_list, DataError, "holds a list, not weights by name"),
        (no_tensors, DataError, "holds epoch, loss, no tensors; give another file"),
        (
            code,
            DataError,
            r"holds Python objects \(pathlib\S*\), which would run code; .* `model.state_dict\(\)` alone",
        ),
        (
            whole_model,
            DataError,
            r"holds Python objects \(ocr.networks.architectures.RecognitionNetwork\), which would run code",
        ),
        (torchscript, DataError, "a TorchScript program, not weights; give the weights it was made from"),
        (wrapped, DataError, r"wraps its weights under 'state_dict'; write them flat .*\['state_dict'\], 'flat.pth'\)"),
        (quantized(nn.LSTM, nn.Linear), DataError, "quantized to int8 for the CPU, .* give the float weights"),
        (quantized(nn.Linear), DataError, "quantized to int8 for the CPU, .* give the float weights"),
    ],
)
def test_a_file_that_is_no_recognizer_is_named(
    tmp_path: Path, make: Callable[[Path], None], error: type[Exception], message: str
) -> None:
    path = tmp_path / "some.pth"
    make(path)
    with pytest.raises(error, match=message) as raised:
        read_weights(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_another_files_alphabet_is_named_with_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "user_network").mkdir()
    (tmp_path / "model" / "mine.pth").write_bytes(ENGLISH.read_bytes())
    settings = {"character_list": "0123456789", "imgH": 64}
    (tmp_path / "user_network" / "mine.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(DataError, match=r"has 97 classes, but .*mine.yaml has an alphabet of 10 characters, 11"):
        read_weights(tmp_path / "model" / "mine.pth")
    (tmp_path / "model" / "korean_g2.pth").write_bytes(ENGLISH.read_bytes())
    with pytest.raises(DataError, match=r"has 97 classes, but EasyOCR's korean_g2 has an alphabet of 1,008 characters"):
        read_weights(tmp_path / "model" / "korean_g2.pth")


def test_a_tensor_that_is_missing_or_misshapen_is_named(tmp_path: Path) -> None:
    weights = read_weights(ENGLISH)
    tensors = dict(weights.tensors)
    del tensors["SequenceModeling.0.linear.bias"]
    tensors["SequenceModeling.1.linear.bias"] = torch.zeros(7)
    save_weights(Weights(weights.network, weights.character, tensors), tmp_path / "cut.pth")
    with pytest.raises(
        DataError,
        match=r"no whole None-VGG-BiLSTM-CTC: SequenceModeling.0.linear.bias is missing in the file, \(256,\) wanted; "
        r"SequenceModeling.1.linear.bias is \(7,\) in the file, \(256,\) wanted; give another file",
    ):
        Recognizer.load(tmp_path / "cut.pth")
