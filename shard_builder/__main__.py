"""`python -m shard_builder --dataset DIR --out DIR`: from AI-Hub's zips to shards."""

from __future__ import annotations

import argparse
import os

from ocr.config import load_config
from ocr.errors import UsageError, run_command
from ocr.plumbing.command_line import command_parser
from ocr.remote.locations import path_or_url
from shard_builder.build import Part, build, build_part, dry_run, finalize
from shard_builder.splits import EVERY_SPLIT, SPLITS
from shard_builder.zips.dataset_files import dataset_of


def main() -> None:
    arguments = parse_arguments()
    part = part_of(arguments)
    config = load_config(arguments.config, arguments.overrides)
    splits = [split for split in EVERY_SPLIT if getattr(arguments, split)] or SPLITS
    what = (config, arguments.dataset, arguments.out, splits, arguments.workers)
    if arguments.dry_run:
        dry_run(*what)
    elif part:
        build_part(*what, part)
    elif arguments.finalize:
        finalize(*what)
    else:
        build(*what)


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(
        "shard_builder",
        "Read pages and labels from AI-Hub's zips, crop the words and write WebDataset shards.\n"
        "Without --training, --validation or --evaluation all three are built. A run that was stopped goes on.",
        '--dataset "/data/공공행정문서 OCR" --out shards train_images=4000',
    )
    parser.add_argument(
        "--dataset",
        type=dataset_of,
        required=True,
        metavar="DIR",
        help="the folder that AI-Hub's zips, their .zip.partN pieces or download.tar lie below: on disk, or s3://…, "
        "gs://…, https://…; URLs of zips with braces; or @FILE, a URL a line",
    )
    parser.add_argument(
        "--out", type=path_or_url, required=True, metavar="DIR", help="the folder for the shards, or s3://…, gs://…"
    )
    for split in SPLITS:
        parser.add_argument(f"--{split}", action="store_true", help=f"build the {split} shards")
    parser.add_argument(
        "--validation-pages", action="store_true", help="build shards of whole validation pages, for evaluator.tune"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; as many as cores by default"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    parser.add_argument("--num-jobs", type=int, metavar="N", help="share the build among N machines, a part each …")
    parser.add_argument("--job-index", type=int, metavar="I", help="… and run part I of 0 to N-1, as in a Slurm array")
    parser.add_argument("--finalize", action="store_true", help="when all parts are done: write the manifests")
    return parser.parse_intermixed_args()


def part_of(arguments: argparse.Namespace) -> Part | None:
    """The part to run, None for all. Raises UsageError for options that do not fit together."""
    num_jobs, index = arguments.num_jobs, arguments.job_index
    if arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers}: at least one is needed")
    if (num_jobs is None) != (index is None):
        raise UsageError("--num-jobs and --job-index go together")
    if (num_jobs is not None) + arguments.finalize + arguments.dry_run > 1:
        raise UsageError("--dry-run, --job-index and --finalize: one at a time")
    if num_jobs is None:
        return None
    if not 0 <= index < num_jobs:
        raise UsageError(f"--job-index {index}: not in 0 to {num_jobs - 1}")
    return Part(index, num_jobs)


def command() -> None:
    """The installed program."""
    run_command(main)


if __name__ == "__main__":
    command()
