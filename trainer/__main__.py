"""`torchrun --nproc-per-node N -m trainer --config YAML [key=value …]`, or `python -m trainer` for one process."""

from __future__ import annotations

from pathlib import Path

from ocr.config import load_config
from ocr.errors import run_command
from ocr.networks.easyocr_files import default_easyocr_dir
from ocr.plumbing.command_line import command_parser
from ocr.plumbing.memory import keep_freed_memory, spare_what_was_imported


def main() -> None:
    parser = command_parser(
        "trainer",
        "Fine-tune EasyOCR's recognizer from shards. One process; `torchrun --nproc-per-node N -m trainer` starts N.",
        "--config mine.yaml experiment_name=first batch_size=256",
    )
    parser.add_argument(
        "--saved-models", type=Path, default=Path("saved_models"), metavar="DIR", help="folder of the runs"
    )
    parser.add_argument(
        "--easyocr-dir", type=Path, default=default_easyocr_dir(), metavar="DIR", help="EasyOCR's folder"
    )
    arguments = parser.parse_intermixed_args()
    from trainer.train import train  # torch takes seconds to import: not for --help

    keep_freed_memory()
    spare_what_was_imported()
    config = load_config(arguments.config, arguments.overrides)
    train(config, arguments.saved_models, arguments.easyocr_dir)


def command() -> None:
    """The installed program."""
    run_command(main)


if __name__ == "__main__":
    command()
