"""`python -m evaluator`: score EasyOCR's baseline and a fine-tuned recognizer on the evaluation shards."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from ocr.command_line import command_parser
from ocr.config import load_config
from ocr.errors import run_command
from ocr.weights import default_easyocr_dir


def main() -> None:
    arguments = parse_arguments()
    from evaluator.evaluate import SYSTEMS, evaluate  # EasyOCR takes seconds to import: not for --help
    from evaluator.report import table

    # EasyOCR asks torch for pinned memory and int8 on a CPU too; torch warns of it once a run, users can do nothing.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"easyocr\.")
    report = evaluate(
        load_config(arguments.config, arguments.overrides),
        arguments.eval_set,
        [system for system in SYSTEMS if getattr(arguments, system)] or SYSTEMS,
        arguments.easyocr_dir,
        arguments.cuda,
        arguments.out,
        arguments.name,
    )
    print(table(report))
    print(f"Report: {arguments.out / 'index.html'}, figures: {arguments.out / 'report.json'} and pages.csv")


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(
        "evaluator", "How well EasyOCR reads Korean documents.", "--eval_set shards/evaluation --baseline --finetuned"
    )
    parser.add_argument("--eval_set", required=True, metavar="SHARDS", help="folder, tar, glob or brace pattern")
    parser.add_argument("--baseline", action="store_true", help="evaluate EasyOCR's own recognizer (baseline_model)")
    parser.add_argument("--finetuned", action="store_true", help="evaluate the exported one; neither flag: both")
    parser.add_argument(
        "--easyocr-dir", type=Path, default=default_easyocr_dir(), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--name", default="finetuned", help="of the exported recognizer (default %(default)s)")
    parser.add_argument("--cuda", action="store_true", help="use the GPU")
    parser.add_argument("--out", type=Path, default=Path("report"), metavar="DIR", help="default: %(default)s")
    return parser.parse_intermixed_args()


def command() -> None:
    """The installed program."""
    run_command(main)


if __name__ == "__main__":
    command()
