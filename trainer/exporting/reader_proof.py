"""The proof of an export: the real Reader, with and without int8, computes what our network computes."""

from __future__ import annotations

import copy
import sys
import warnings
from pathlib import Path

import cv2
import easyocr
import easyocr.easyocr as easyocr_globals
import numpy as np
import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic

from ocr.backends import TorchBackend
from ocr.errors import DataError
from ocr.networks.weight_files import Weights, load_model
from ocr.patch import fit, pad_batch, reader_width, to_input
from ocr.reader import load_reader
from ocr.recognizer import Recognizer

LANGUAGES = ["ko", "en"]
# EasyOCR and we run the same operators on the same CPU; more than rounding would be another network or alphabet.
LOGITS_TOLERANCE = 1e-4


def compare_with_reader(weights: Weights, name: str, folder: Path) -> str:
    """Load the files below `folder` with EasyOCR's Reader and hold its logits and texts against ours.

    Without int8 the logits must be those of our network and the texts those of our recognizer; with int8, the Reader's
    default on a CPU, the logits must be those of our network with the same layers rounded. How many texts that
    rounding changes is no fault of the export: it is said in the line that comes back. Raises DataError.

    Leaves no trace in this process of a Reader on these files: its search path, its module, and the height that a
    Reader of a custom network sets for all of them.
    """
    search_path, img_height = list(sys.path), easyocr_globals.imgH
    try:
        reader = load_reader(name, LANGUAGES, folder)
        if reader.character != weights.character:
            raise DataError(f"{name}.yaml: the alphabet did not survive YAML; this is a defect, nothing was installed")
        page, boxes = sample_page()
        patches = [page[y0:y1, x0:x1] for x0, x1, y0, y1 in boxes]
        model = load_model(weights)
        compare_logits(model, reader, patches, weights.network.img_height, name)
        our_texts = [text for text, _ in Recognizer(TorchBackend(weights)).read(patches)]
        their_texts = texts_of(reader, page, boxes)
        if our_texts != their_texts:
            raise DataError(f"{name}: the Reader reads {their_texts}, we read {our_texts}; nothing was installed")
        rounded = load_reader(name, LANGUAGES, folder, quantize=True)
        compare_logits(quantized(model), rounded, patches, weights.network.img_height, f"{name} with int8")
        num_equal = sum(map(str.__eq__, texts_of(rounded, page, boxes), our_texts))
    finally:
        sys.path[:], easyocr_globals.imgH = search_path, img_height
        sys.modules.pop(name, None)
    frames = " An attention's text reaches it as CTC frames." if weights.network.Prediction == "Attn" else ""
    return (
        f"The Reader gives our logits and texts on {len(boxes)} sample patches; with its default, int8, the logits of "
        f"our network so rounded, and {num_equal} of the {len(boxes)} texts.{frames}"
    )


def compare_logits(ours: nn.Module, reader: easyocr.Reader, patches: list[np.ndarray], height: int, name: str) -> None:
    theirs = reader.recognizer.eval()  # the Reader itself does so only when it reads
    for patch in patches:
        batch = to_input(torch.from_numpy(pad_batch([fit(patch, height)], reader_width(patch, height))))
        with torch.inference_mode():
            our_logits, their_logits = ours(batch), theirs(batch, None)
        difference = (
            float((our_logits - their_logits).abs().max()) if our_logits.shape == their_logits.shape else np.inf
        )
        if not difference <= LOGITS_TOLERANCE:
            raise DataError(f"{name}: the Reader's logits differ from ours by {difference:.2g}; nothing was installed")


def texts_of(reader: easyocr.Reader, page: np.ndarray, boxes: list[list[int]]) -> list[str]:
    return [reader.recognize(page, [box], [], reformat=False)[0][1] for box in boxes]


def quantized(model: nn.Module) -> nn.Module:
    """The network as the Reader rounds it: LSTM and linear layers to int8; unchanged where torch cannot, as there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            rounded: nn.Module = quantize_dynamic(  # type: ignore[no-untyped-call]
                copy.deepcopy(model), dtype=torch.qint8
            )
        except RuntimeError:  # no int8 engine for this processor
            return model
    return rounded


def sample_page() -> tuple[np.ndarray, list[list[int]]]:
    """A grey page of drawn words, small, long and upright, and their boxes as EasyOCR has them: [x0, x1, y0, y1]."""
    page = np.random.default_rng(0).integers(200, 256, (480, 900), dtype=np.uint8)
    words = ["1", "2001.", "No. 42-7", "3,000", "(02) 123-4567", "The quick brown fox jumps over"]
    boxes = []
    for index, word in enumerate(words):
        y = 60 + 70 * index
        cv2.putText(page, word, (20, y), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 30, 2)
        boxes.append([15, 30 + 24 * len(word), y - 40, y + 15])
    return page, [*boxes, [15, 50, 20, 300]]
