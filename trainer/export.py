"""Weights -> the three files that EasyOCR's Reader loads, proven with the Reader itself before they are installed.

`python -m trainer.export --checkpoint saved_models/korean_g2/best_norm_ed.pth --name finetuned`
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import warnings
from pathlib import Path

import cv2
import easyocr
import easyocr.easyocr as easyocr_globals
import msgspec
import numpy as np
import torch
import yaml

from ocr.errors import DataError, UsageError, run_command
from ocr.files import written_whole
from ocr.patch import fit, pad_batch, reader_width, to_input
from ocr.reader import load_reader
from ocr.recognizer import Recognizer, Weights, read_weights
from ocr.weights import RECOGNIZERS, default_easyocr_dir

LANGUAGES = ["ko", "en"]
NETWORK_FILE = '''"""EasyOCR's second-generation network, for the recognizer of the same name."""

from easyocr.model.vgg_model import Model  # noqa: F401
'''
# EasyOCR and we run the same operators on the same CPU; more than rounding would be another network or alphabet.
LOGITS_TOLERANCE = 1e-4


def export(checkpoint: Path, name: str, easyocr_dir: Path) -> list[Path]:
    """Write model/NAME.pth, user_network/NAME.py and user_network/NAME.yaml below `easyocr_dir`; gives their paths.

    The files are first written aside, loaded by the real Reader and compared with our recognizer: logits and texts.
    A difference is a DataError and nothing is installed. Files of that name that stood there are kept as `.bak`.
    """
    check_name(name, easyocr_dir)
    weights = read_weights(checkpoint)
    if not weights.character:
        raise UsageError(f"{checkpoint}: its alphabet is unknown; export a file that the trainer wrote")
    if weights.network.input_channel != 1:
        raise UsageError(
            f"{checkpoint}: reads color (rgb: True), but EasyOCR's Reader feeds grey; train with rgb: False"
        )
    easyocr_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=easyocr_dir) as aside:
        written = write_files(weights, name, Path(aside))
        compare_with_reader(weights, name, Path(aside))
        return [install(path, easyocr_dir / path.relative_to(aside)) for path in written]


def check_name(name: str, easyocr_dir: Path) -> None:
    """EasyOCR imports `NAME.py` by its bare name, so a module of that name anywhere on the path would win."""
    if not name.isidentifier() or name in {"standard", *RECOGNIZERS}:
        raise UsageError(f"--name: {name!r} must be a Python name and none of EasyOCR's own models")
    found = importlib.util.find_spec(name)
    # A folder of that name is found too, without an origin; it does not win over a file.
    own = (easyocr_dir / "user_network" / f"{name}.py").resolve()
    if found and found.origin and Path(found.origin).resolve() != own:
        raise UsageError(f"--name: the Python module {found.origin} would be loaded instead of it; choose another")


def write_files(weights: Weights, name: str, folder: Path) -> list[Path]:
    model, network, settings = (
        folder / "model" / f"{name}.pth",
        folder / "user_network" / f"{name}.py",
        folder / "user_network" / f"{name}.yaml",
    )
    with written_whole(model) as file:  # the Reader drops 7 characters of each name on the CPU, and needs them on a GPU
        torch.save({f"module.{key}": tensor for key, tensor in weights.tensors.items()}, file)
    with written_whole(network) as file:
        file.write(NETWORK_FILE.encode())
    sizes = msgspec.structs.asdict(weights.network)
    values = {
        "network_params": {name: size for name, size in sizes.items() if name != "img_height"},
        "imgH": weights.network.img_height,
        "lang_list": LANGUAGES,
        "character_list": weights.character,
    }
    with written_whole(settings) as file:  # a YAML writer quotes the space that begins korean_g2's alphabet
        file.write(yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode())
    return [model, network, settings]


def compare_with_reader(weights: Weights, name: str, folder: Path) -> None:
    """Load the files with EasyOCR's Reader and hold its logits and texts against ours. Raises DataError.

    Leaves no trace in this process of a Reader on these files: its search path, its module, and the height that a
    Reader of a custom network sets for all of them.
    """
    search_path, img_height = list(sys.path), easyocr_globals.imgH
    try:
        compare(Recognizer(weights), weights.character, name, load_reader(name, LANGUAGES, folder))
    finally:
        sys.path[:], easyocr_globals.imgH = search_path, img_height
        sys.modules.pop(name, None)


def compare(ours: Recognizer, character: str, name: str, reader: easyocr.Reader) -> None:
    if reader.character != character:
        raise DataError(f"{name}.yaml: the alphabet did not survive YAML; this is a defect, nothing was installed")
    page, boxes = sample_page()
    patches = [page[y0:y1, x0:x1] for x0, x1, y0, y1 in boxes]
    their_model = reader.recognizer.eval()  # the Reader itself does so only when it reads
    for patch in patches:
        batch = pad_batch([fit(patch, ours.img_height)], reader_width(patch, ours.img_height))
        with torch.inference_mode():
            theirs_BTC = their_model(to_input(torch.from_numpy(batch)), None)
        difference = float((ours.logits(batch) - theirs_BTC).abs().max())
        if not difference <= LOGITS_TOLERANCE:
            raise DataError(f"{name}: the Reader's logits differ from ours by {difference:.2g}; nothing was installed")
    our_texts = [text for text, _ in ours.read(patches)]
    their_texts = [reader.recognize(page, [box], [], reformat=False)[0][1] for box in boxes]
    if our_texts != their_texts:
        raise DataError(f"{name}: the Reader reads {their_texts}, we read {our_texts}; nothing was installed")


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


def install(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.replace(target, target.with_name(f"{target.name}.bak"))
    os.replace(source, target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(prog="trainer.export", description="Install a recognizer in EasyOCR's folder.")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="PTH", help="weights or checkpoint to export")
    parser.add_argument("--name", default="finetuned", help="the Reader's recog_network (default: %(default)s)")
    parser.add_argument("--easyocr-dir", type=Path, default=default_easyocr_dir(), help="default: %(default)s")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="'pin_memory' argument")  # EasyOCR asks for it on a CPU too
    for path in export(arguments.checkpoint, arguments.name, arguments.easyocr_dir):
        print(path)
    print(f'The Reader gives our logits and texts: easyocr.Reader({LANGUAGES}, recog_network="{arguments.name}")')


if __name__ == "__main__":
    run_command(main)
