"""Patches -> texts, in three lines from anybody's code.

>>> from ocr.recognizer import Recognizer
>>> recognizer = Recognizer.load("finetuned.pth")
>>> recognizer.read([patch])
[("김해시", 0.97)]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from ocr.backends import ONNX_SUFFIX, Backend, OnnxBackend, TorchBackend
from ocr.decoding.beam_search import BeamSearch
from ocr.decoding.decode import Reading
from ocr.errors import UsageError
from ocr.networks.easyocr_files import default_easyocr_dir, find_recognizer
from ocr.networks.weight_files import read_weights
from ocr.patch import fit, pad_batch, reader_width
from ocr.plumbing.threads import map_in_threads

SECOND_PASS_CONFIDENCE = 0.1  # Reader's contrast_ths
SECOND_PASS_CONTRAST = 0.5  # Reader's adjust_contrast
BATCH_SIZE = 32


class PatchBatch(NamedTuple):
    """Which patches are read together, and the width they are padded to."""

    indices: list[int]
    width: int


class Recognizer:
    """Reads as EasyOCR's Reader does: the same preprocessing, second pass and confidence, and greedy decoding unless
    `beam` says otherwise.

    It is faster: patches that the Reader pads to the same width share a batch, so batching changes no input, and on a
    CPU batches are read at once, as many as torch has threads. May be called from many threads.
    """

    def __init__(self, engine: Backend, beam: BeamSearch | None = None) -> None:
        self.engine, self.beam = engine, beam

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: torch.device | str = "cpu",
        *,
        beam: BeamSearch | None = None,
        character: str = "",
        easyocr_dir: Path | None = None,
    ) -> Recognizer:
        """From a weight file, an ONNX file, or by the name of an EasyOCR model, which is looked for below
        `easyocr_dir` (default: EasyOCR's own) and downloaded where it is missing.

        `character` is for a file that does not say its alphabet: the characters in the order of its classes. Raises
        UsageError and DataError with one line that names the file and the remedy.
        """
        if Path(path).suffix == ONNX_SUFFIX:
            return cls(OnnxBackend(Path(path)), beam)
        found = find_recognizer(str(path), easyocr_dir or default_easyocr_dir())
        weights = read_weights(found)
        if not (character := weights.character or character):
            raise UsageError(
                f"{found}: its alphabet is unknown; keep ../user_network/{found.stem}.yaml beside it, or give "
                "`character`, its characters in the order of the classes"
            )
        return cls(TorchBackend(msgspec.structs.replace(weights, character=character), device), beam)

    def read(self, patches: Sequence[np.ndarray], batch_size: int = BATCH_SIZE) -> list[Reading]:
        """(text, confidence) of each grey patch, uint8 (h, w), in order.

        What is read with a confidence below 0.1 is read again with more contrast, and the surer reading wins, as in
        the Reader. Raises UsageError for a patch of another shape or without area.
        """
        self.check(patches)
        readings = self.read_once(patches, batch_size, contrast=0.0)
        unsure = [index for index, (_, confidence) in enumerate(readings) if confidence < SECOND_PASS_CONFIDENCE]
        again = self.read_once([patches[index] for index in unsure], batch_size, SECOND_PASS_CONTRAST)
        for index, reading in zip(unsure, again, strict=True):
            if reading[1] >= readings[index][1]:
                readings[index] = reading
        return readings

    def check(self, patches: Sequence[np.ndarray]) -> None:
        num_axes, wanted = (2, "(h, w)") if self.engine.network.input_channel == 1 else (3, "(h, w, 3)")
        for index, patch in enumerate(patches):
            if patch.ndim != num_axes or patch.dtype != np.uint8 or not patch.size:
                raise UsageError(
                    f"patch {index}: is {patch.dtype} {patch.shape}, but this network reads uint8 {wanted} with an area"
                )

    def read_once(self, patches: Sequence[np.ndarray], batch_size: int, contrast: float) -> list[Reading]:
        def read_batch(batch: PatchBatch) -> list[Reading]:
            fitted = [fit(patches[index], self.engine.network.img_height, contrast) for index in batch.indices]
            return self.engine.read(pad_batch(fitted, batch.width), self.beam)

        readings: list[Reading] = [("", 0.0)] * len(patches)
        batches = self.batches(patches, batch_size)
        found_in_each = map_in_threads(read_batch, batches) if self.engine.on_cpu else map(read_batch, batches)
        for batch, found in zip(batches, found_in_each, strict=True):
            for index, reading in zip(batch.indices, found, strict=True):
                readings[index] = reading
        return readings

    def batches(self, patches: Sequence[np.ndarray], batch_size: int = BATCH_SIZE) -> list[PatchBatch]:
        """The widest first, so that threads that share them end together."""
        same_width: dict[int, list[int]] = defaultdict(list)
        for index, patch in enumerate(patches):
            same_width[reader_width(patch, self.engine.network.img_height)].append(index)
        batches = []
        for width, indices in sorted(same_width.items(), reverse=True):
            size = max(1, batch_size * self.engine.full_width // max(width, self.engine.full_width))
            batches += [PatchBatch(indices[start : start + size], width) for start in range(0, len(indices), size)]
        return batches
