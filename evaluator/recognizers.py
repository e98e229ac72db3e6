"""The recognizers of the experiment: what they are measured by is what the Reader gives with quantize=False.

They are read by `ocr.recognizer.Recognizer`, which gives the Reader's texts and confidences in half its time. What the
Reader alone knows, which characters its languages let a network write, is asked of it here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import easyocr
import msgspec
import torch
import yaml

from ocr.backends import TorchBackend
from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import find_weights
from ocr.networks.weight_files import Weights, read_weights
from ocr.recognizer import Recognizer

# Both alphabets hold Latin letters; without "en" the Reader would forbid korean_g2 to write them, and the baseline
# would lose to the fine-tuned recognizer, to which nothing is forbidden.
LANGUAGES = {"korean_g2": ("ko", "en"), "english_g2": ("en",)}


class LoadedRecognizer(msgspec.Struct, frozen=True, eq=False):
    """`alphabet` holds the characters it can write; `reader` is the Python expression for EasyOCR's Reader of it."""

    name: str
    languages: tuple[str, ...]
    alphabet: frozenset[str]
    recognizer: Recognizer
    reader: str


class ModelYaml(msgspec.Struct, frozen=True, rename={"languages": "lang_list", "img_height": "imgH"}):
    """What the evaluator needs of EasyOCR's `user_network/<name>.yaml`."""

    languages: tuple[str, ...]
    img_height: int
    character_list: str
    network_params: dict[str, Any]


def load_baseline(model: str, easyocr_dir: Path, device: str) -> LoadedRecognizer:
    """One of EasyOCR's own recognizers. Raises UsageError for one whose languages are not Korean or English."""
    if model not in LANGUAGES:
        raise UsageError(f"baseline_model: {model!r} is not one of {', '.join(LANGUAGES)}")
    weights, languages = read_weights(find_weights(model, easyocr_dir)), LANGUAGES[model]
    call = f"easyocr.Reader({list(languages)}, quantize=False)"
    return loaded(model, weights, languages, allowed(model, languages, easyocr_dir), call, device)


def load_finetuned(name: str, easyocr_dir: Path, device: str) -> LoadedRecognizer:
    """The exported recognizer `name`. Raises UsageError where a file of it is missing, DataError for a damaged one."""
    weights_path = easyocr_dir / "model" / f"{name}.pth"
    yaml_path = easyocr_dir / "user_network" / f"{name}.yaml"
    for path in (weights_path, yaml_path, yaml_path.with_suffix(".py")):
        if not path.is_file():
            raise UsageError(f"{path}: missing; run `python -m trainer.export --checkpoint … --name {name}` first")
    languages = read_model_yaml(yaml_path).languages
    try:
        alphabet = allowed(name, languages, easyocr_dir)
    except (ValueError, KeyError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{yaml_path}: EasyOCR cannot load it ({reason}); export it again") from error
    call = f"easyocr.Reader({list(languages)}, recog_network={name!r}, quantize=False)"
    return loaded(name, read_weights(weights_path), languages, alphabet, call, device)


def read_model_yaml(path: Path) -> ModelYaml:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), ModelYaml)
    except (yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise DataError(f"{path}: not a model of EasyOCR: {' '.join(str(error).split())}; export it again") from error


def allowed(name: str, languages: Sequence[str], easyocr_dir: Path) -> frozenset[str]:
    """The characters the Reader lets a recognizer write: those of its network that one of its languages has."""
    reader = easyocr.Reader(
        list(languages),
        gpu=False,
        recog_network=name,
        model_storage_directory=str(easyocr_dir / "model"),
        user_network_directory=str(easyocr_dir / "user_network"),
        detector=False,
        recognizer=False,
        download_enabled=False,
        verbose=False,
    )
    return frozenset(reader.character) & frozenset(reader.lang_char)


def loaded(
    name: str, weights: Weights, languages: tuple[str, ...], alphabet: frozenset[str], reader: str, device: str
) -> LoadedRecognizer:
    engine = TorchBackend(without(weights, set(weights.character) - alphabet), device)
    return LoadedRecognizer(name, languages, alphabet, Recognizer(engine), reader)


def without(weights: Weights, characters: Collection[str]) -> Weights:
    """Weights of a CTC network that never write `characters`.

    Their logits become -inf: the same as the Reader's way, which sets their probabilities to 0 and divides the others
    by what is left.
    """
    if not characters:
        return weights
    bias = weights.tensors["Prediction.bias"].clone()
    bias[[weights.character.index(character) + 1 for character in characters]] = -torch.inf
    return msgspec.structs.replace(weights, tensors=weights.tensors | {"Prediction.bias": bias})
