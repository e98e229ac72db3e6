"""`python -m evaluator`, under torchrun or not: EasyOCR's detector and ours, its recognizer and a fine-tuned one."""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

from ocr.config import load_config
from ocr.errors import run_command
from ocr.networks.easyocr_files import default_easyocr_dir
from ocr.plumbing.command_line import command_parser


def main() -> None:
    arguments = parse_arguments()
    from evaluator.evaluate import evaluate  # EasyOCR takes seconds to import: not for --help
    from evaluator.metrics.experiment import RECOGNIZERS
    from evaluator.report.report_tables import table

    # EasyOCR asks torch for pinned memory and int8 on a CPU too; torch warns of it once a run, users can do nothing.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"easyocr\.")
    report = evaluate(
        load_config(arguments.config, arguments.overrides),
        arguments.eval_set,
        [recognizer for recognizer in RECOGNIZERS if getattr(arguments, recognizer)] or RECOGNIZERS,
        arguments.easyocr_dir,
        arguments.cuda,
        arguments.out,
        arguments.name,
        arguments.cache,
    )
    if os.environ.get("RANK", "0") == "0":
        print(table(report))
        print(f"Report: {arguments.out / 'index.html'}, figures: {arguments.out / 'report.md'}, report.json, CSVs")


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(
        "evaluator", "How well EasyOCR reads Korean documents.", "--eval_set shards/evaluation --baseline --finetuned"
    )
    parser.add_argument(
        "--eval_set",
        action="append",
        required=True,
        metavar="SHARDS",
        help="folder, tar, glob or brace pattern, on disk or behind a URL, or pipe:…; may be given several times",
    )
    parser.add_argument("--baseline", action="store_true", help="evaluate EasyOCR's own recognizer (baseline_model)")
    parser.add_argument("--finetuned", action="store_true", help="evaluate the exported one; neither flag: both")
    parser.add_argument(
        "--easyocr-dir", type=Path, default=default_easyocr_dir(), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--name", default="finetuned", help="of the exported recognizer (default %(default)s)")
    parser.add_argument("--cuda", action="store_true", help="use the GPU")
    parser.add_argument("--out", type=Path, default=Path("report"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="detections of earlier runs (default: detections/ in --easyocr-dir)"
    )
    return parser.parse_intermixed_args()


def command() -> None:
    """The installed program."""
    run_command(main)


if __name__ == "__main__":
    command()
