"""`python -m shard_builder --dataset DIR --out DIR`: from AI-Hub's zips to shards."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ocr.config import load_config
from ocr.errors import UsageError, run_command
from shard_builder.build import build
from shard_builder.plan import SPLITS


def main() -> None:
    arguments = parse_arguments()
    if arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers}: at least one is needed")
    config = load_config(arguments.config, arguments.overrides)
    splits = [split for split in SPLITS if getattr(arguments, split)] or SPLITS
    build(config, arguments.dataset, arguments.out, splits, arguments.workers)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m shard_builder",
        description="Read pages and labels from AI-Hub's zips, crop the words and write WebDataset shards.",
        epilog="Without --training, --validation or --evaluation all three are built. A run that was stopped goes on "
        "where it was.",
    )
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="the folder AI-Hub's zips lie below")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for the shards")
    parser.add_argument("--config", type=Path, metavar="YAML", help="such as configs/korean_g2.yaml")
    for split in SPLITS:
        parser.add_argument(f"--{split}", action="store_true", help=f"build the {split} shards")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; as many as cores by default"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that go before those of the config")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_command(main)
