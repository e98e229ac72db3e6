"""What a weight file is, in a few lines."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ocr.charset import ks_x_1001_syllables
from ocr.weight_files import Weights, num_classes_of
from ocr.weights import RECOGNIZERS

SHOWN_SYLLABLES = 40
BUFFER = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")  # what BatchNorm counts, but does not learn


def describe(path: Path, weights: Weights) -> str:
    """Network, alphabet with the syllables it lacks, size and md5 of a weight file."""
    network, size = weights.network, path.stat().st_size
    color = "grey" if network.input_channel == 1 else "color"
    parameters = sum(tensor.numel() for name, tensor in weights.tensors.items() if not BUFFER.search(name))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    known = [name for name, model in RECOGNIZERS.items() if model["md5sum"] == md5]
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
    missing = [syllable for syllable in ks_x_1001_syllables() if syllable not in weights.character]
    shown = "".join(missing[:SHOWN_SYLLABLES]) + ("…" if len(missing) > SHOWN_SYLLABLES else "")
    return (
        f"{len(weights.character):,} characters; of the 2,350 syllables of KS X 1001 it lacks {len(missing):,}"
        f"{': ' * bool(missing)}{shown}"
    )
