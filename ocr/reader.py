"""EasyOCR's Reader around one recognizer: what the export proves is what the evaluator measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import easyocr


def load_reader(
    name: str, languages: Sequence[str], easyocr_dir: Path, device: str = "cpu", quantize: bool = False
) -> easyocr.Reader:
    """A Reader without a detector, with the recognizer `name` below `easyocr_dir`, on "cpu" or "cuda".

    `quantize` rounds layers to int8 on a CPU, the Reader's own default: with it readings depend on the machine.
    """
    return easyocr.Reader(
        list(languages),
        gpu=device,
        recog_network=name,
        model_storage_directory=str(easyocr_dir / "model"),
        user_network_directory=str(easyocr_dir / "user_network"),
        detector=False,
        download_enabled=False,
        verbose=False,
        quantize=quantize,
    )
