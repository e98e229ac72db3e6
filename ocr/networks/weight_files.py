"""Weights on disk: our own files, EasyOCR's flat ones, and what is said about a file that is neither."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import torch
import yaml

from ocr.charset import Charset
from ocr.errors import DataError, UsageError
from ocr.networks.architectures import RecognitionNetwork
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS
from ocr.networks.network import Network, build_model
from ocr.patch import IMG_HEIGHT
from ocr.plumbing.files import write_whole

WEIGHTS_FORMAT = "recognizer-weights/1"
COMPUTED = ("Transformation.GridGenerator.inv_delta_C", "Transformation.GridGenerator.P_hat")
"""Constants that deep-text-recognition-benchmark saves among its weights; ours are computed for the input's width."""
QUANTIZED = re.compile(r"_packed_|_all_weight_values")
SHOWN_DIFFERENCES = 3

Tensors = dict[str, torch.Tensor]


class Weights(msgspec.Struct, frozen=True):
    """Only what reads: the network, its alphabet, and the tensors by EasyOCR's names without `module.`, on the CPU."""

    network: Network
    character: str
    tensors: Tensors


def load_model(weights: Weights) -> RecognitionNetwork:
    """The network of these weights, in evaluation mode. Raises DataError where tensors are missing or misshapen."""
    model = build_model(weights.network, Charset(weights.character).num_classes)
    if found := tensor_differences(weights.tensors, model.state_dict()):
        raise DataError(f"these weights are no whole {weights.network.stages}: {found}; give another file")
    model.load_state_dict(weights.tensors)
    return model.eval()


def tensor_differences(found: Tensors, wanted: Tensors) -> str:
    """What is not the same in two sets of tensors, side by side: `a is (97, 256) in the file, (1009, 256) wanted`.

    Counters of BatchNorm may be missing, as torch allows it.
    """
    named = []
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        there, here = (tuple(tensors[name].shape) if name in tensors else "missing" for tensors in (found, wanted))
        if there != here and not (there == "missing" and name.endswith("num_batches_tracked")):
            named.append(f"{name} is {there} in the file, {'not' if here == 'missing' else here} wanted")
    more = f"; and {len(named) - SHOWN_DIFFERENCES} more" if len(named) > SHOWN_DIFFERENCES else ""
    return "; ".join(named[:SHOWN_DIFFERENCES]) + more


def save_weights(weights: Weights, path: Path, figure: float = -1.0) -> None:
    """`figure` says how well they read, to whoever would replace them."""
    with write_whole(path) as file:
        torch.save(weights_to_dict(weights) | {"figure": figure}, file)


def weights_to_dict(weights: Weights) -> dict[str, Any]:
    """Plain values and tensors only, so that it loads with `weights_only=True`."""
    network = msgspec.to_builtins(weights.network)
    return {"format": WEIGHTS_FORMAT, "network": network, "character": weights.character, "tensors": weights.tensors}


def read_weights(path: Path) -> Weights:
    """Read weights from one of our files (weights or a checkpoint) or from a flat state dict: EasyOCR's, or one of
    deep-text-recognition-benchmark.

    A flat file does not say its alphabet: it is known for EasyOCR's own models by file name, and found for exported
    ones in the YAML beside them, with the height; otherwise `character` is empty. Raises UsageError for a file that
    is not there, DataError for one that holds no recognizer; both say what it is and what to do.
    """
    content = read_torch_file(path)
    ours = content.get("weights", content)
    if isinstance(ours, dict) and ours.get("format") == WEIGHTS_FORMAT:
        return Weights(msgspec.convert(ours["network"], Network), ours["character"], ours["tensors"])
    refuse_foreign(content, path)
    tensors = {name.removeprefix("module."): value for name, value in content.items()}
    tensors = {name: value for name, value in tensors.items() if name not in COMPUTED}
    network = network_of_tensors(tensors, path)
    character, img_height, source = settings_beside(path)
    num_classes = num_classes_of(tensors)
    if character and len(character) + 1 != num_classes:
        raise DataError(
            f"{path}: its last layer has {num_classes:,} classes, but {source} has an alphabet of {len(character):,} "
            f"characters, {len(character) + 1:,} classes with the blank; put the file there that belongs to it"
        )
    return Weights(msgspec.structs.replace(network, img_height=img_height), character, tensors)


def read_torch_file(path: Path) -> dict[str, Any]:
    """A dict of a `.pth`, without running any code that the file may hold."""
    if not path.is_file():
        raise UsageError(f"{path}: no such weight file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path}: {unreadable(path, str(error))}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not weights by name; give another file")
    return content


def unreadable(path: Path, error: str) -> str:
    """Why torch does not read a file, and what to do."""
    refused = re.search(r"GLOBAL (\S+)", error)
    if refused and ("ScriptObject" in refused[1] or "quantized" in refused[1]):
        return INT8
    if refused:
        return (
            f"holds Python objects ({refused[1]}), which would run code; where the file came from, save "
            "`model.state_dict()` alone and give that"
        )
    if "TorchScript" in error:
        return "a TorchScript program, not weights; give the weights it was made from"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.endswith(".pth")]
        if inside:
            return f"a zip that holds {inside[0]}; unzip it and give that"
    reason = error.strip().splitlines()[0].split(". ")[0] if error.strip() else "it ends early"
    return f"cannot be read as weights ({reason}); give another file"


INT8 = (
    "quantized to int8 for the CPU, which cannot be trained or exported; give the float weights that it was made from "
    "(EasyOCR quantizes by itself when it loads them)"
)


def refuse_foreign(content: dict[str, Any], path: Path) -> None:
    """Raise DataError for a dict that is no flat state dict of a recognizer's float tensors."""
    if wrapped := [name for name, value in content.items() if isinstance(value, dict) and holds_tensors(value)]:
        raise DataError(
            f"{path}: wraps its weights under {wrapped[0]!r}; write them flat and give that: "
            f"torch.save(torch.load({path.name!r}, weights_only=True)[{wrapped[0]!r}], 'flat.pth')"
        )
    if any(QUANTIZED.search(str(name)) for name in content) or any(
        isinstance(value, torch.Tensor) and value.is_quantized for value in content.values()
    ):
        raise DataError(f"{path}: {INT8}")
    if not holds_tensors(content):
        raise DataError(f"{path}: holds {', '.join(map(str, content)) or 'nothing'}, no tensors; give another file")
    if any(name.removeprefix("module.").startswith("basenet.") for name in content):
        raise DataError(f"{path}: CRAFT, EasyOCR's detector, not a recognizer; give one such as korean_g2.pth")


def holds_tensors(values: dict[str, Any]) -> bool:
    return bool(values) and all(isinstance(value, torch.Tensor) for value in values.values())


def network_of_tensors(tensors: Tensors, path: Path) -> Network:
    """The stages and sizes that a flat state dict was made with, from the names and shapes of its tensors."""
    features = "FeatureExtraction.ConvNet."
    first_last = {
        "VGG": (features + "0.weight", features + "18.weight"),
        "RCNN": (features + "0.weight", features + "9.weight"),
        "ResNet": (features + "conv0_1.weight", features + "conv4_2.weight"),
    }
    extractor = next((name for name, ends in first_last.items() if all(end in tensors for end in ends)), None)
    attends, models = "Prediction.attention_cell.h2h.weight" in tensors, "SequenceModeling.0.linear.weight" in tensors
    if extractor is None or not (attends or "Prediction.weight" in tensors):
        raise DataError(
            f"{path}: not a VGG, RCNN or ResNet recognizer with CTC or attention: it has {next(iter(tensors))} and "
            f"{len(tensors) - 1} other tensors, none of the names in `ocr/networks/architectures.py`; give another file"
        )
    first, last = (tensors[name] for name in first_last[extractor])
    points = tensors.get("Transformation.LocalizationNetwork.localization_fc2.bias")
    defaults = Network()
    if attends:
        hidden_size = len(tensors["Prediction.attention_cell.h2h.weight"])
    else:
        hidden_size = len(tensors["SequenceModeling.0.linear.weight"]) if models else 0
    stages = {
        "Transformation": "None" if points is None else "TPS",
        "FeatureExtraction": extractor,
        "SequenceModeling": "BiLSTM" if models else "None",
        "Prediction": "Attn" if attends else "CTC",
    }
    sizes = {
        "input_channel": first.shape[1],
        "output_channel": last.shape[0],
        "hidden_size": hidden_size,
        "num_fiducial": defaults.num_fiducial if points is None else len(points) // 2,
    }
    return msgspec.convert(sizes | stages, Network)


def num_classes_of(tensors: Tensors) -> int:
    """The charset's classes that a last layer writes; an attention has one more, its end."""
    return (
        len(tensors["Prediction.weight"])
        if "Prediction.weight" in tensors
        else len(tensors["Prediction.generator.weight"]) - 1
    )


def settings_beside(path: Path) -> tuple[str, int, str]:
    """(alphabet, height, where they are from) of a flat file, by its name or from the YAML in `../user_network`.

    ("", 64, "") where neither knows. Raises DataError for a YAML that EasyOCR could not read either.
    """
    for name, model in EASYOCR_RECOGNIZERS.items():
        if path.name == model["filename"]:
            return str(model["characters"]), IMG_HEIGHT, f"EasyOCR's {name}"
    beside = path.parent.parent / "user_network" / f"{path.stem}.yaml"
    if not beside.exists():
        return "", IMG_HEIGHT, ""
    try:
        settings = yaml.safe_load(beside.read_text(encoding="utf-8"))
        return str(settings["character_list"]), int(settings["imgH"]), str(beside)
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{beside}: not a model of EasyOCR ({' '.join(str(error).split())}); export it again"
        ) from error
