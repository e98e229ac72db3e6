"""`torchrun --nproc-per-node N -m trainer --config YAML [key=value …]`, or `python -m trainer` for one process."""

from __future__ import annotations

import argparse
from pathlib import Path

from ocr.config import load_config
from ocr.errors import run_command
from ocr.weights import default_easyocr_dir
from trainer.train import train


def main() -> None:
    parser = argparse.ArgumentParser(prog="trainer", description="Fine-tune EasyOCR's recognizer from shards.")
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="e.g. configs/korean_g2.yaml")
    parser.add_argument("--saved-models", type=Path, default=Path("saved_models"), help="folder of the runs")
    parser.add_argument("--easyocr-dir", type=Path, default=default_easyocr_dir(), help="where EasyOCR's models lie")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="config keys that replace the file's")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    train(config, arguments.saved_models, arguments.easyocr_dir)


if __name__ == "__main__":
    run_command(main)
