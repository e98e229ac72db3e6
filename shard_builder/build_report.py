"""What will be built and what was built, for people."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from ocr.remote.locations import PathOrUrl
from ocr.shards.manifest import Manifest
from shard_builder.commits import FAILED_NAME, Failure
from shard_builder.label_scan import WRITTEN
from shard_builder.plan import SplitPlan
from shard_builder.splits import WHOLE_PAGES

MAX_CHARACTERS = 20
WORD_BYTES, PIXEL_BYTES = 2_800, 0.3  # of a word in a tar: headers and padding, and a JPEG of quality 95 (measured)


def print_plan(plan: SplitPlan) -> None:
    """Print what a build would read and write, and what it would refuse as far as the labels tell."""
    words = sum((Counter(scan.fates) for scan in plan.scans), Counter[str]())
    to_read = sum(page.image.stored_bytes + page.label.stored_bytes for page in plan.pages)
    to_write: float = words[WRITTEN] * WORD_BYTES + sum(scan.num_pixels for scan in plan.scans) * PIXEL_BYTES
    if plan.split in WHOLE_PAGES:
        to_write = sum(page.image.num_bytes for page in plan.pages)
    print(f"{plan.split}: {plan.folder}: planned")
    print(f"  read   {to_read / 1e6:>11,.1f} MB")
    print(f"  shards {sum(job.num_shards for job in plan.jobs):>11,}          about {to_write / 1e6:,.1f} MB")
    print_fates("pages", plan.left_out + Counter({WRITTEN: len(plan.pages)}), "to write")
    print_fates("words", words, "to write")


def print_split(manifest: Manifest, folder: PathOrUrl, failures: Sequence[Failure]) -> None:
    """Print a split's counts."""
    if failures:
        what = "pages" if manifest.pages else "images"
        print(
            f"{manifest.split}: {len(failures)} {what} cannot be read and are left out, listed in "
            f"{folder / FAILED_NAME}, the first: {failures[0].detail}",
            file=sys.stderr,
        )
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    print(f"{manifest.split}: {folder}")
    print(f"  shards {len(manifest.shards):>11,}          {num_bytes / 1e6:,.1f} MB")
    if manifest.pages:  # shards made of single words know of no page
        print_fates("pages", manifest.pages, WRITTEN)
    print_fates("words", manifest.words, WRITTEN)
    if manifest.missing:
        common = sorted(manifest.missing.items(), key=lambda item: (-item[1], item[0]))
        shown = " ".join(f"{character} {count:,}" for character, count in common[:MAX_CHARACTERS])
        print(f"  characters outside the alphabet, {len(common):,} in all: {shown}", flush=True)


def print_fates(name: str, fates: Mapping[str, int], written: str) -> None:
    """The count of what is written, then those of all other fates, the most common first."""
    refused = sorted(((count, fate) for fate, count in fates.items() if fate != WRITTEN and count), reverse=True)
    others = ", ".join(f"{count:,} {fate}" for count, fate in refused)
    print(f"  {name}  {fates.get(WRITTEN, 0):>11,} {written}  {others}".rstrip())
