"""`python -m shard_builder.from_csv --dataset DIR --out DIR`: from EasyOCR's images and labels.csv, or from an LMDB of
deep-text-recognition-benchmark, to shards.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ocr.config import load_config
from ocr.errors import UsageError, run_command
from shard_builder.word_images.import_set import import_set


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m shard_builder.from_csv",
        description="Write WebDataset shards from the data set forms of EasyOCR's trainer (images and labels.csv) and "
        "of deep-text-recognition-benchmark (an LMDB).",
        epilog="A run that was stopped goes on where it was.",
    )
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="holds labels.csv or data.mdb")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for the shards")
    held_out = parser.add_mutually_exclusive_group()
    held_out.add_argument("--validation", type=Path, metavar="DIR", help="such a folder of its own to validate on …")
    held_out.add_argument(
        "--validation-share", type=float, default=0.05, metavar="S", help="… or this share of the one; 0.05 by default"
    )
    parser.add_argument("--config", type=Path, metavar="YAML", help="such as configs/korean_g2.yaml")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; as many as cores by default"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that go before those of the config")
    arguments = parser.parse_intermixed_args()
    if arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers}: at least one is needed")
    if not 0 <= arguments.validation_share < 1:
        raise UsageError(f"--validation-share {arguments.validation_share:g}: a share is at least 0 and below 1")
    config = load_config(arguments.config, arguments.overrides)
    share, workers = arguments.validation_share, arguments.workers
    import_set(config, arguments.dataset, arguments.validation, share, arguments.out, workers)


if __name__ == "__main__":
    run_command(main)
