"""What a weight file is, in a few lines."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ocr.charset import ks_x_1001_syllables, ks_x_1001_symbols
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS, describe_alphabet
from ocr.networks.weight_files import Weights, num_classes_of

SHOWN_CHARACTERS = 40
BUFFER = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")  # what BatchNorm counts, but does not learn


def describe(path: Path, weights: Weights) -> str:
    """Network, alphabet with what it lacks of Korean writing, size and md5 of a weight file."""
    network, size = weights.network, path.stat().st_size
    color = "grey" if network.input_channel == 1 else "color"
    parameters = sum(tensor.numel() for name, tensor in weights.tensors.items() if not BUFFER.search(name))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    known = [name for name, model in EASYOCR_RECOGNIZERS.items() if model["md5sum"] == md5]
    return "\n".join(
        [
            f"file:     {path}, {size:,} bytes, md5 {md5} ({f'EasyOCR {known[0]}' if known else 'no file of EasyOCR'})",
            f"network:  {network.stages}, output_channel {network.output_channel}, hidden_size {network.hidden_size}, "
            f"reads {color} at height {network.img_height}, {parameters:,} parameters",
            f"alphabet: {alphabet(weights)}",
        ]
    )


def alphabet(weights: Weights) -> str:
    if not weights.character:
        return f"unknown, {num_classes_of(weights.tensors) - 1:,} characters"
    syllables, symbols = (
        "".join(character for character in wanted if character not in weights.character)
        for wanted in (ks_x_1001_syllables(), ks_x_1001_symbols())
    )
    return (
        f"{describe_alphabet(weights.character)}; of the 2,350 syllables of KS X 1001 it lacks {beginning(syllables)}; "
        f"of its {len(ks_x_1001_symbols())} document symbols {beginning(symbols)}"
    )


def beginning(missing: str) -> str:
    if not missing:
        return "none"
    return f"{len(missing):,}: {missing[:SHOWN_CHARACTERS]}{'…' if len(missing) > SHOWN_CHARACTERS else ''}"
