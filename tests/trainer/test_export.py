"""An exported recognizer is the recognizer: EasyOCR's Reader gives its texts and its logits."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
import yaml

from ocr.backends import TorchBackend
from ocr.config import Config
from ocr.decoding.beam_search import BeamSearch
from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS, charset_of, find_weights
from ocr.networks.network import Network, build_model
from ocr.networks.weight_files import Weights, load_model, read_weights, save_weights
from ocr.patch import to_input
from ocr.reader import load_reader
from ocr.recognizer import Recognizer
from tests.trainer.conftest import changed, drawn
from trainer import export as export_module
from trainer.checkpoint import starting_model, weights_of
from trainer.export import export
from trainer.exporting import onnx_file as export_onnx_module
from trainer.exporting.onnx_file import export_onnx
from trainer.exporting.reader_proof import LANGUAGES
from trainer.exporting.weights_info import describe

ROOT = Path(__file__).parents[2]
KOREAN = str(EASYOCR_RECOGNIZERS["korean_g2"]["characters"])


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
    config = changed(Config(continue_from="english_g2", character=character), **values)
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


def test_the_reader_reads_an_extended_alphabet_and_at_first_what_was_read_before(tmp_path: Path) -> None:
    character = str(EASYOCR_RECOGNIZERS["english_g2"]["characters"]) + "를㎡①·漢"
    korean_weights(tmp_path / "best.pth", character)
    export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR")
    reader = load_reader("fine", LANGUAGES, tmp_path / "EasyOCR")
    assert reader.character == character
    english = Recognizer.load("english_g2", easyocr_dir=tmp_path / "EasyOCR")
    for patch in map(drawn, ("3,000", "No. 42-7", "Kim")):
        ((_, text, confidence),) = reader.recognize(patch)
        ((english_text, english_confidence),) = english.read([patch])
        assert text == english_text
        assert confidence == pytest.approx(english_confidence, abs=1e-3)


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


def random_weights(path: Path, stages: str, character: str = "0123456789abc") -> Weights:
    """A small network of some stages; its last layer is scaled up, so that it writes texts and not only blanks."""
    torch.manual_seed(0)
    transformation, features, sequence, prediction = stages.split("-")
    network = msgspec.convert(
        {
            "output_channel": 32,
            "hidden_size": 16,
            "Transformation": transformation,
            "FeatureExtraction": features,
            "SequenceModeling": sequence,
            "Prediction": prediction,
        },
        Network,
    )
    tensors = build_model(network, len(character) + 1).state_dict()
    last = "Prediction.generator.weight" if prediction == "Attn" else "Prediction.weight"
    tensors[last] *= 40
    weights = Weights(network, character, tensors)
    save_weights(weights, path)
    return weights


@pytest.mark.parametrize(
    ("stages", "file_says"),
    [
        ("None-VGG-BiLSTM-CTC", "from easyocr.model.vgg_model import Model"),
        ("None-ResNet-BiLSTM-CTC", "from easyocr.model.model import Model"),
        ("None-VGG-None-CTC", "class Model(RecognitionNetwork)"),
        ("None-RCNN-BiLSTM-CTC", "class Model(RecognitionNetwork)"),
        ("TPS-VGG-BiLSTM-CTC", "class Model(RecognitionNetwork)"),
        ("None-VGG-BiLSTM-Attn", "class Model(RecognitionNetwork)"),
        ("TPS-ResNet-BiLSTM-Attn", "class Model(RecognitionNetwork)"),
    ],
)
def test_the_reader_reads_every_architecture(tmp_path: Path, stages: str, file_says: str) -> None:
    weights = random_weights(tmp_path / "best.pth", stages)
    compared = export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR").compared
    assert ("CTC frames" in compared) == stages.endswith("Attn")
    network_file = (tmp_path / "EasyOCR" / "user_network" / "fine.py").read_text(encoding="utf-8")
    assert file_says in network_file
    assert "ocr." not in re.findall(r"^(?:from|import) (\S+)", network_file, flags=re.MULTILINE)
    again = Recognizer.load(tmp_path / "EasyOCR" / "model" / "fine.pth")
    assert again.engine.network.stages == stages
    assert again.read([drawn("42")]) == Recognizer(TorchBackend(weights)).read([drawn("42")])


def test_an_export_needs_easyocr_alone(tmp_path: Path) -> None:
    """In a process of its own, where nothing of this project is imported."""
    weights = random_weights(tmp_path / "best.pth", "TPS-RCNN-None-Attn")
    export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR")
    np.save(tmp_path / "patch.npy", drawn("3,000"))
    program = """
import easyocr, numpy, sys
reader = easyocr.Reader(["ko", "en"], recog_network="fine", gpu=False, detector=False, quantize=False,
    model_storage_directory="EasyOCR/model", user_network_directory="EasyOCR/user_network")
((_, text, _),) = reader.recognize(numpy.load("patch.npy"))
assert not {"ocr", "trainer"} & {name.partition(".")[0] for name in sys.modules}
print(text)
"""
    printed = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert printed.stdout.splitlines()[-1] == Recognizer(TorchBackend(weights)).read([drawn("3,000")])[0][0]


@pytest.mark.parametrize("stages", ["None-VGG-BiLSTM-CTC", "TPS-RCNN-BiLSTM-Attn", "None-ResNet-None-CTC"])
def test_an_onnx_file_reads_as_torch_does(tmp_path: Path, stages: str) -> None:
    pytest.importorskip("onnxruntime")
    weights = random_weights(tmp_path / "best.pth", stages)
    line = export_onnx(weights, tmp_path / "fine.onnx")
    assert re.search(r"logits within \S+ of torch's for 4 shapes; a patch of width 192 takes \S+ ms", line)
    patches = [drawn(text) for text in ("1", "42", "3,000")] * 2
    from_onnx, from_torch = Recognizer.load(tmp_path / "fine.onnx"), Recognizer(TorchBackend(weights))
    ours, theirs = from_torch.read(patches), from_onnx.read(patches)
    assert [text for text, _ in theirs] == [text for text, _ in ours]
    assert [sure for _, sure in theirs] == pytest.approx([sure for _, sure in ours], abs=1e-4)
    assert from_onnx.engine.network == weights.network


def test_onnx_mistakes_are_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    weights = random_weights(tmp_path / "best.pth", "None-VGG-None-Attn")
    with pytest.raises(UsageError, match="--onnx: .*fine.bin must end in .onnx"):
        export_onnx(weights, tmp_path / "fine.bin")
    with pytest.raises(UsageError, match="fine.onnx: no such file"):
        Recognizer.load(tmp_path / "fine.onnx")
    (tmp_path / "fine.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match="fine.onnx: not a recognizer that trainer.export wrote"):
        Recognizer.load(tmp_path / "fine.onnx")
    export_onnx(weights, tmp_path / "fine.onnx")
    with pytest.raises(UsageError, match="an attention network in ONNX writes its text greedily; give its .pth"):
        Recognizer.load(tmp_path / "fine.onnx", beam=BeamSearch()).read([drawn("1")])


def test_a_difference_writes_no_onnx_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    weights = random_weights(tmp_path / "best.pth", "None-VGG-None-CTC")
    other = msgspec.structs.replace(weights, tensors=weights.tensors | {"Prediction.bias": torch.ones(14)})
    trace = export_onnx_module.trace
    monkeypatch.setattr(export_onnx_module, "trace", lambda _, path: trace(other, path))
    with pytest.raises(DataError, match="logits differ from torch's by .*; nothing was written"):
        export_onnx(weights, tmp_path / "fine.onnx")
    assert not (tmp_path / "fine.onnx").exists()


def test_info_says_what_a_file_is(tmp_path: Path) -> None:
    path = find_weights("english_g2", tmp_path)
    assert describe(path, read_weights(path)).splitlines() == [
        f"file:     {path}, 15,143,997 bytes, md5 5864788e1821be9e454ec108d61b887d (EasyOCR english_g2)",
        "network:  None-VGG-BiLSTM-CTC, output_channel 256, hidden_size 256, reads grey at height 64, "
        "3,781,345 parameters",
        "alphabet: english_g2 (96 characters); of the 2,350 syllables of KS X 1001 it lacks 2,350: "
        "가각간갇갈갉갊감갑값갓갔강갖갗같갚갛개객갠갤갬갭갯갰갱갸갹갼걀걋걍걔걘걜거걱건걷…; "
        "of its 488 document symbols 487: 、。·‥…〃―∥＼∼‘’“”〔〕〈〉《》「」『』【】±×÷≠≤≥∞∴°′″℃Å￠…",
    ]


@pytest.mark.parametrize(
    ("character", "line"),
    [
        ("korean_g2", "korean_g2 (1,008 characters); of the 2,350 syllables of KS X 1001 it lacks 1,437: 갉"),
        (
            "korean_g2+ksx1001",
            "korean_g2+ksx1001 (2,933 characters); of the 2,350 syllables of KS X 1001 it lacks none; of its 488 "
            "document symbols none",
        ),
        ("+ksx1001", "2,838 characters; of the 2,350 syllables of KS X 1001 it lacks none"),
        ("", "unknown, 9 characters"),
    ],
)
def test_info_names_what_the_alphabet_lacks(tmp_path: Path, character: str, line: str) -> None:
    (tmp_path / "some.pth").write_bytes(b"")
    characters = charset_of(character).characters if character else ""
    weights = Weights(Network(), characters, {"Prediction.weight": torch.zeros(10, 1)})
    assert describe(tmp_path / "some.pth", weights).splitlines()[-1].startswith(f"alphabet: {line}")


def test_the_command_does_what_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    random_weights(tmp_path / "best.pth", "None-VGG-None-CTC")

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "trainer.export", "--checkpoint", str(tmp_path / "best.pth"), *arguments]
        command += ["--easyocr-dir", str(tmp_path / "EasyOCR")]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    printed = run("--info", "--onnx", str(tmp_path / "fine.onnx"))
    assert "network:  None-VGG-None-CTC" in printed and "fine.onnx: " in printed
    assert not (tmp_path / "EasyOCR").exists()
    printed = run("--name", "fine")
    assert "easyocr.Reader(['ko', 'en'], recog_network=\"fine\")" in printed
    assert (tmp_path / "EasyOCR" / "model" / "fine.pth").exists()


def test_a_folder_of_the_name_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fine").mkdir()  # the seed project has a folder `finetuned`
    monkeypatch.syspath_prepend(str(tmp_path))
    korean_weights(tmp_path / "best.pth", character="가나")
    assert len(export(tmp_path / "best.pth", "fine", tmp_path / "EasyOCR").files) == 3
