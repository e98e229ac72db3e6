"""What was built, for people."""

from __future__ import annotations

from pathlib import Path

from ocr.shards import Manifest
from shard_builder.commits import WRITTEN

MAX_CHARACTERS = 20


def print_split(manifest: Manifest, folder: Path, seconds: float | None) -> None:
    """Print a split's counts; `seconds` is None where all of it was there before."""
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    took = "already built" if seconds is None else f"built in {seconds:,.1f} s"
    print(f"{manifest.split}: {folder}: {took}")
    print(f"  shards {len(manifest.shards):>11,}          {num_bytes / 1e6:,.1f} MB")
    for name, fates in (("pages", manifest.pages), ("words", manifest.words)):
        print(f"  {name}  {fates.get(WRITTEN, 0):>11,} written  {others(fates)}".rstrip())
    if manifest.missing:
        common = sorted(manifest.missing.items(), key=lambda item: (-item[1], item[0]))
        shown = " ".join(f"{character} {count:,}" for character, count in common[:MAX_CHARACTERS])
        print(f"  characters outside the alphabet, {len(common):,} in all: {shown}", flush=True)


def others(fates: dict[str, int]) -> str:
    """The counts of all fates but "written", the most common first."""
    refused = sorted(((count, fate) for fate, count in fates.items() if fate != WRITTEN and count), reverse=True)
    return ", ".join(f"{count:,} {fate}" for count, fate in refused)
