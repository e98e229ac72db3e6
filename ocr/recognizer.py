"""The recognizer: the network, its weights with their alphabet, and patches -> texts."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
import yaml
from easyocr.model.vgg_model import Model

from ocr.charset import Charset
from ocr.errors import DataError, UsageError
from ocr.files import written_whole
from ocr.patch import IMG_HEIGHT, fit, pad_batch, reader_width, to_input
from ocr.weights import RECOGNIZERS

WEIGHTS_FORMAT = "recognizer-weights/1"
SECOND_PASS_CONFIDENCE = 0.1  # Reader's contrast_ths
SECOND_PASS_CONTRAST = 0.5  # Reader's adjust_contrast


class Network(msgspec.Struct, frozen=True):
    """The sizes of EasyOCR's second-generation network (VGG, BiLSTM, CTC), and the height of input it is trained on.

    The defaults are korean_g2's.
    """

    img_height: int = IMG_HEIGHT
    input_channel: int = 1
    output_channel: int = 256
    hidden_size: int = 256


class Weights(msgspec.Struct, frozen=True):
    """Only what reads: sizes, alphabet, and the tensors by EasyOCR's names without `module.`, on the CPU."""

    network: Network
    character: str
    tensors: dict[str, torch.Tensor]


def build_model(network: Network, num_classes: int) -> torch.nn.Module:
    """EasyOCR's own module, freshly initialized. `model(input_BCHW, None)` gives logits (B, T, num_classes)."""
    model: torch.nn.Module = Model(
        input_channel=network.input_channel,
        output_channel=network.output_channel,
        hidden_size=network.hidden_size,
        num_class=num_classes,
    )
    return model


def load_model(weights: Weights) -> torch.nn.Module:
    """The module of these weights, in evaluation mode."""
    model = build_model(weights.network, Charset(weights.character).num_classes)
    model.load_state_dict(weights.tensors)
    return model.eval()


def save_weights(weights: Weights, path: Path) -> None:
    with written_whole(path) as file:
        torch.save(weights_to_dict(weights), file)


def weights_to_dict(weights: Weights) -> dict[str, Any]:
    """Plain values and tensors only, so that it loads with `weights_only=True`."""
    network = msgspec.to_builtins(weights.network)
    return {"format": WEIGHTS_FORMAT, "network": network, "character": weights.character, "tensors": weights.tensors}


def read_weights(path: Path) -> Weights:
    """Read weights from one of our files (weights or a checkpoint) or from one of EasyOCR's flat `.pth`.

    EasyOCR's files do not say their alphabet: it is known for its own models by file name and number of classes, and
    found for exported ones in the YAML beside them, with the height; otherwise `character` is empty.
    Raises UsageError for a file that is not there, DataError for one that holds no recognizer.
    """
    content = read_torch_file(path)
    ours = content.get("weights", content)
    if isinstance(ours, dict) and ours.get("format") == WEIGHTS_FORMAT:
        return Weights(msgspec.convert(ours["network"], Network), ours["character"], ours["tensors"])
    tensors = {name.removeprefix("module."): value for name, value in content.items()}
    network = network_of(tensors, path)
    character, img_height = settings_beside(path)
    if len(character) + 1 != len(tensors["Prediction.weight"]):
        character = ""
    return Weights(msgspec.structs.replace(network, img_height=img_height), character, tensors)


def read_torch_file(path: Path) -> dict[str, Any]:
    """A dict of a `.pth`, without running any code that the file may hold."""
    if not path.is_file():
        raise UsageError(f"{path}: no such weight file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].split(". ")[0]
        raise DataError(f"{path}: cannot be read as weights ({reason}); give another file") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not weights by name; give another file")
    return content


def network_of(tensors: dict[str, torch.Tensor], path: Path) -> Network:
    """The sizes that a flat state dict was made with, from the shapes of its tensors."""
    try:
        first = tensors["FeatureExtraction.ConvNet.0.weight"]
        last = tensors["FeatureExtraction.ConvNet.18.weight"]
        hidden = tensors["SequenceModeling.0.linear.weight"]
        tensors["Prediction.weight"]
    except KeyError as error:
        raise DataError(
            f"{path}: has no tensor {error}: not a VGG-BiLSTM-CTC recognizer (EasyOCR generation 2); give another file"
        ) from error
    return Network(input_channel=first.shape[1], output_channel=last.shape[0], hidden_size=hidden.shape[0])


def settings_beside(path: Path) -> tuple[str, int]:
    """(alphabet, height) of an EasyOCR file, by its name or from the YAML in `../user_network`; ("", 64) if unknown.

    Raises DataError for a YAML that EasyOCR could not read either.
    """
    if path.stem in RECOGNIZERS:
        return RECOGNIZERS[path.stem]["characters"], IMG_HEIGHT
    beside = path.parent.parent / "user_network" / f"{path.stem}.yaml"
    if not beside.exists():
        return "", IMG_HEIGHT
    try:
        settings = yaml.safe_load(beside.read_text(encoding="utf-8"))
        return str(settings["character_list"]), int(settings["imgH"])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{beside}: not a model of EasyOCR ({' '.join(str(error).split())}); export it again"
        ) from error


class Recognizer:
    """Patches -> texts, with the Reader's preprocessing, decoding and confidence.

    >>> recognizer = Recognizer.load(Path("saved_models/korean_g2/best_norm_ed.pth"))
    >>> recognizer.read([patch])
    [("김해시", 0.97)]
    """

    def __init__(self, weights: Weights, device: torch.device | str = "cpu") -> None:
        self.model = load_model(weights).to(device)
        self.charset = Charset(weights.character)
        self.img_height = weights.network.img_height
        self.device = torch.device(device)

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> Recognizer:
        weights = read_weights(path)
        if not weights.character:
            raise UsageError(f"{path}: its alphabet is unknown; keep ../user_network/{path.stem}.yaml beside it")
        return cls(weights, device)

    def read(self, patches: Sequence[np.ndarray], batch_size: int = 32) -> list[tuple[str, float]]:
        """(text, confidence) of each grey patch, uint8 (h, w), in order.

        Patches that the Reader pads to the same width share a batch, so batching changes no input. What is read with
        a confidence below 0.1 is read again with more contrast, and the surer reading wins, as in the Reader.
        """
        readings = self.read_once(patches, batch_size, contrast=0.0)
        unsure = [index for index, (_, confidence) in enumerate(readings) if confidence < SECOND_PASS_CONFIDENCE]
        again = self.read_once([patches[index] for index in unsure], batch_size, SECOND_PASS_CONTRAST)
        for index, reading in zip(unsure, again, strict=True):
            if reading[1] >= readings[index][1]:
                readings[index] = reading
        return readings

    def read_once(self, patches: Sequence[np.ndarray], batch_size: int, contrast: float) -> list[tuple[str, float]]:
        same_width: dict[int, list[int]] = defaultdict(list)
        for index, patch in enumerate(patches):
            same_width[reader_width(patch, self.img_height)].append(index)
        readings: list[tuple[str, float]] = [("", 0.0)] * len(patches)
        for width, indices in sorted(same_width.items()):
            for start in range(0, len(indices), batch_size):
                batch = indices[start : start + batch_size]
                fitted = [fit(patches[index], self.img_height, contrast) for index in batch]
                logits_BTC = self.logits(pad_batch(fitted, width))
                for index, reading in zip(batch, decode_greedy(logits_BTC, self.charset), strict=True):
                    readings[index] = reading
        return readings

    @torch.inference_mode()
    def logits(self, batch: np.ndarray) -> torch.Tensor:
        """uint8 (B, 64, W) -> float32 logits (B, T, C) on the recognizer's device."""
        logits_BTC: torch.Tensor = self.model(to_input(torch.from_numpy(batch).to(self.device)), None)
        return logits_BTC


def decode_greedy(logits_BTC: torch.Tensor, charset: Charset) -> list[tuple[str, float]]:
    """The text and EasyOCR's confidence of each row.

    Confidence: the product p of the largest probability of each frame that is not blank, to the power 2 / sqrt(n) for
    n such frames (EasyOCR's `custom_mean`); 0 where all frames are blank. It depends on the length: not a probability.
    """
    best = logits_BTC.float().softmax(dim=2).max(dim=2)
    classes_BT, probabilities_BT = best.indices.cpu().numpy(), best.values.cpu().numpy()
    readings = []
    for text, classes, probabilities in zip(
        charset.decode_greedy(classes_BT), classes_BT, probabilities_BT, strict=True
    ):
        read = probabilities[classes != 0]
        confidence = float(read.prod() ** (2.0 / np.sqrt(len(read)))) if len(read) else 0.0
        readings.append((text, confidence))
    return readings
