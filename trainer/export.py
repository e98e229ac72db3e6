"""Weights -> the three files that EasyOCR's Reader loads, proven with the Reader itself before they are installed.

`python -m trainer.export --checkpoint saved_models/korean_g2/best_norm_ed.pth --name finetuned`
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
import yaml

from ocr.errors import UsageError, run_command
from ocr.networks import architectures
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS, default_easyocr_dir
from ocr.networks.network import Network
from ocr.networks.weight_files import Weights, read_weights
from ocr.plumbing.files import write_whole
from trainer.exporting.onnx_file import export_onnx
from trainer.exporting.reader_proof import LANGUAGES, compare_with_reader
from trainer.exporting.weights_info import describe

EASYOCRS_OWN = {
    "None-VGG-BiLSTM-CTC": ("easyocr.model.vgg_model", "second"),
    "None-ResNet-BiLSTM-CTC": ("easyocr.model.model", "first"),
}
"""The architectures whose `Model` EasyOCR has itself: (module, generation)."""
SIZES = ("input_channel", "output_channel", "hidden_size")


class Exported(NamedTuple):
    """The files that were installed, and a line that says what was compared."""

    files: list[Path]
    compared: str


def export(checkpoint: Path, name: str = "finetuned", easyocr_dir: Path | None = None) -> Exported:
    """Write model/NAME.pth, user_network/NAME.py and .yaml below `easyocr_dir`, by default EasyOCR's own folder.

    They are first written aside, loaded by the real Reader, with and without int8, and held against our network:
    logits and texts. A difference is a DataError and nothing is installed. Files of that name that stood there are
    kept as `.bak`.
    """
    easyocr_dir = easyocr_dir or default_easyocr_dir()
    check_name(name, easyocr_dir)
    weights = with_alphabet(checkpoint)
    if weights.network.input_channel != 1:
        raise UsageError(
            f"{checkpoint}: reads color (rgb: True), but EasyOCR's Reader feeds grey; train with rgb: False"
        )
    easyocr_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=easyocr_dir) as aside:
        written = write_files(weights, name, Path(aside))
        compared = compare_with_reader(weights, name, Path(aside))
        return Exported([install(path, easyocr_dir / path.relative_to(aside)) for path in written], compared)


def with_alphabet(checkpoint: Path) -> Weights:
    weights = read_weights(checkpoint)
    if not weights.character:
        raise UsageError(f"{checkpoint}: its alphabet is unknown; export a file that the trainer wrote")
    return weights


def check_name(name: str, easyocr_dir: Path) -> None:
    """EasyOCR imports `NAME.py` by its bare name, so a module of that name anywhere on the path would win."""
    if not name.isidentifier() or name in {"standard", *EASYOCR_RECOGNIZERS}:
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
    with write_whole(model) as file:  # the Reader drops 7 characters of each name on the CPU, and needs them on a GPU
        torch.save({f"module.{key}": tensor for key, tensor in weights.tensors.items()}, file)
    with write_whole(network) as file:
        file.write(network_file(weights.network).encode())
    values = {
        "network_params": network_params(weights.network),
        "imgH": weights.network.img_height,
        "lang_list": LANGUAGES,
        "character_list": weights.character,
    }
    with write_whole(settings) as file:  # a YAML writer quotes the space that begins korean_g2's alphabet
        file.write(yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode())
    return [model, network, settings]


def network_file(network: Network) -> str:
    """The Python file in which EasyOCR looks for a class `Model`; it needs torch and EasyOCR alone."""
    if network.stages in EASYOCRS_OWN:
        module, generation = EASYOCRS_OWN[network.stages]
        return (
            f'"""EasyOCR\'s {generation}-generation network, for the recognizer of the same name."""\n\n'
            f"from {module} import Model  # noqa: F401\n"
        )
    source = Path(architectures.__file__).read_text(encoding="utf-8")
    return (
        source
        + '''

class Model(RecognitionNetwork):
    """What EasyOCR's Reader loads. It hands over a text of zeros, which is for training and says nothing."""

    def forward(self, input_BCHW: torch.Tensor, text_BL: torch.Tensor | None = None) -> torch.Tensor:
        return super().forward(input_BCHW)
'''
    )


def network_params(network: Network) -> dict[str, object]:
    """The arguments of `Model` beside the number of classes."""
    sizes = msgspec.structs.asdict(network)
    del sizes["img_height"]
    return {key: sizes[key] for key in SIZES} if network.stages in EASYOCRS_OWN else sizes


def install(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.replace(target, target.with_name(f"{target.name}.bak"))
    os.replace(source, target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="trainer.export",
        description="Install a recognizer in EasyOCR's folder; with --info or --onnx but no --name, only do that.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="PTH", help="weights or checkpoint to export")
    parser.add_argument("--name", help="the Reader's recog_network (default: finetuned)")
    parser.add_argument("--easyocr-dir", type=Path, default=default_easyocr_dir(), help="default: %(default)s")
    parser.add_argument("--info", action="store_true", help="print network, alphabet, size and md5")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="write FILE for ONNX Runtime (.onnx)")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="'pin_memory' argument")  # EasyOCR asks for it on a CPU too
    if arguments.info:
        print(describe(arguments.checkpoint, read_weights(arguments.checkpoint)))
    if arguments.onnx:
        print(export_onnx(with_alphabet(arguments.checkpoint), arguments.onnx))
    if arguments.name or not (arguments.info or arguments.onnx):
        name = arguments.name or "finetuned"
        exported = export(arguments.checkpoint, name, arguments.easyocr_dir)
        print(*exported.files, exported.compared, f'easyocr.Reader({LANGUAGES}, recog_network="{name}")', sep="\n")


if __name__ == "__main__":
    run_command(main)
