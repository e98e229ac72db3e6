"""The recognizers as users run them, inside EasyOCR's Reader: what is measured is what `readtext` gives."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import easyocr
import easyocr.easyocr as easyocr_globals
import msgspec
import numpy as np
import yaml

from evaluator.detector import Detection
from ocr.errors import DataError, UsageError
from ocr.patch import IMG_HEIGHT
from ocr.reader import load_reader
from ocr.weight_files import read_torch_file
from ocr.weights import find_weights

# Both alphabets hold Latin letters; without "en" the Reader would forbid korean_g2 to write them, and the baseline
# would lose to the fine-tuned recognizer, to which nothing is forbidden.
LANGUAGES = {"korean_g2": ("ko", "en"), "english_g2": ("en",)}

UNREAD = ("", 0.0)


class ReaderRecognizer(msgspec.Struct, frozen=True):
    """A Reader without a detector; `img_height` is the height its network takes."""

    name: str
    languages: tuple[str, ...]
    reader: easyocr.Reader
    img_height: int

    @property
    def alphabet(self) -> frozenset[str]:
        """The characters it can write: the Reader forbids those of its network that none of its languages has."""
        return frozenset(self.reader.character) & frozenset(self.reader.lang_char)


class ModelYaml(msgspec.Struct, frozen=True, rename={"languages": "lang_list", "img_height": "imgH"}):
    """What the evaluator needs of EasyOCR's `user_network/<name>.yaml`."""

    languages: tuple[str, ...]
    img_height: int
    character_list: str
    network_params: dict[str, Any]


def load_baseline(model: str, easyocr_dir: Path, device: str) -> ReaderRecognizer:
    """One of EasyOCR's own recognizers. Raises UsageError for one whose languages are not Korean or English."""
    if model not in LANGUAGES:
        raise UsageError(f"baseline_model: {model!r} is not one of {', '.join(LANGUAGES)}")
    find_weights(model, easyocr_dir)
    reader = load_reader(model, LANGUAGES[model], easyocr_dir, device)
    return ReaderRecognizer(model, LANGUAGES[model], reader, IMG_HEIGHT)


def load_finetuned(name: str, easyocr_dir: Path, device: str) -> ReaderRecognizer:
    """The exported recognizer `name`. Raises UsageError where a file of it is missing, DataError for a damaged one."""
    weights_path = easyocr_dir / "model" / f"{name}.pth"
    yaml_path = easyocr_dir / "user_network" / f"{name}.yaml"
    for path in (weights_path, yaml_path, yaml_path.with_suffix(".py")):
        if not path.is_file():
            raise UsageError(f"{path}: missing; run `python -m trainer.export --checkpoint … --name {name}` first")
    read_torch_file(weights_path)  # The Reader unpickles whatever it is given; this refuses all but tensors.
    model = read_model_yaml(yaml_path)
    try:
        reader = load_reader(name, model.languages, easyocr_dir, device)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{weights_path}: EasyOCR cannot load it ({reason}); export it again") from error
    return ReaderRecognizer(name, model.languages, reader, model.img_height)


def read_model_yaml(path: Path) -> ModelYaml:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), ModelYaml)
    except (yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise DataError(f"{path}: not a model of EasyOCR: {' '.join(str(error).split())}; export it again") from error


def read_boxes(recognizer: ReaderRecognizer, grey: np.ndarray, detection: Detection) -> list[tuple[str, float]]:
    """The NFC text and confidence of each detected word, boxes then quads; "" and 0 where no patch can be cut.

    One call a box. The Reader reads them one by one anyway (batch_size 1), and its answer to many boxes at once is
    sorted, clipped and shorter by the ones it dropped.
    """
    # The Reader keeps the network's height in a global of its module: the one loaded last would set it for all.
    easyocr_globals.imgH = recognizer.img_height
    readings = []
    for x0, y0, x1, y1 in detection.boxes_N4.tolist():
        readings.append(read_one(recognizer, grey, [[x0, x1, y0, y1]], []) if x0 < x1 and y0 < y1 else UNREAD)
    for quad in detection.quads_M42:
        readings.append(read_one(recognizer, grey, [], [quad.tolist()]) if min(sides(quad)) >= 1 else UNREAD)
    return readings


def read_one(
    recognizer: ReaderRecognizer, grey: np.ndarray, upright: list[Any], tilted: list[Any]
) -> tuple[str, float]:
    readings = recognizer.reader.recognize(grey, upright, tilted, reformat=False)
    return (unicodedata.normalize("NFC", readings[0][1]), float(readings[0][2])) if readings else UNREAD


def sides(quad: np.ndarray) -> tuple[float, float]:
    """(width, height) of the patch that the Reader warps a quad to: the longer of each two opposite sides."""
    top, right, bottom, left = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1).tolist()
    return max(top, bottom), max(left, right)
