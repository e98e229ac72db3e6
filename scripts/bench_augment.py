"""`python scripts/bench_augment.py --shards DIR [key=value …]`: what augmentation costs a patch, beside decode and fit.

One thread takes each patch through decode, draws, each kind that it meets, and fit, as a loader's worker does, and the
clock is read between the steps. Figures are means over the patches, medians over the rounds. All steps of a patch meet
the same neighbors on the machine, so the ratio holds on a busy one, too.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from ocr.config import load_config
from ocr.errors import DataError, run_command
from ocr.page import decode_image
from ocr.patch import fit
from ocr.shards.manifest import find_shards
from ocr.shards.shard_index import read_index, scan_tar
from trainer.data.augment import STEPS, Augmentation, augmentation_of, draws

NUM_ROUNDS = 9  # after one that fills caches


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what augmentation costs a patch, beside decode and fit.")
    parser.add_argument("--shards", required=True, metavar="DIR", help="a folder, glob or brace pattern of shards")
    parser.add_argument("--patches", type=int, default=2_000, metavar="N")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="augment_… strengths other than the defaults")
    arguments = parser.parse_intermixed_args()
    strengths = augmentation_of(load_config(None, ["augment=True", *arguments.overrides]))
    encoded = read_encoded(find_shards(arguments.shards), arguments.patches)
    cv2.setNumThreads(1)
    rounds = [one_round(encoded, strengths) for _ in range(1 + NUM_ROUNDS)][1:]
    steps = ("decode", "draws", *(kind for kind, _, _ in STEPS), "the rest", "fit")
    microseconds = {step: median(each[step] for each in rounds) / len(encoded) * 1e6 for step in steps}
    plain = microseconds["decode"] + microseconds["fit"]
    added = sum(microseconds.values()) - plain
    heights, widths = zip(*(decoded(content).shape for content in encoded), strict=True)
    print(f"{len(encoded)} patches, median {median(widths):g} x {median(heights):g} px; microseconds a patch")
    shares = {kind: share for kind, share, _ in STEPS if getattr(strengths, kind)}
    for step, mean in microseconds.items():
        met = f"{mean / shares[step]:7.1f} for each of the {shares[step]:.0%} that meet it" if step in shares else ""
        print(f"{step:8}{mean:7.1f}  {met}".rstrip())
    print(f"decode and fit {plain:.1f}, augmentation {added:.1f}: {added / plain:.2f} times as much")


def read_encoded(shards: Sequence[Path], number: int) -> list[bytes]:
    encoded: list[bytes] = []
    for shard in shards:
        index, content = read_index(shard) or scan_tar(shard), shard.read_bytes()
        for start, size in zip(index.patch_offset.tolist(), index.patch_bytes.tolist(), strict=True):
            encoded.append(content[start : start + size])
        if len(encoded) >= number:
            break
    return encoded[:number]


def decoded(content: bytes) -> np.ndarray:
    patch = decode_image(content, color=False)
    if patch is None:
        raise DataError("a sample without a readable patch; give whole shards of words")
    return patch


class Clock:
    """Seconds by step; a lap lasts from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.last = perf_counter()

    def lap(self, step: str | None) -> None:
        """End a lap; one without a name is not counted."""
        now = perf_counter()
        if step:
            self.seconds[step] += now - self.last
        self.last = now


def one_round(encoded: Sequence[bytes], strengths: Augmentation) -> dict[str, float]:
    """Seconds of each step, summed over the patches; the loop is that of `augment`."""
    clock = Clock()
    for number, content in enumerate(encoded):
        clock.lap(None)
        patch = decoded(content)
        clock.lap("decode")
        rolled = draws(0, number, 0)
        clock.lap("draws")
        for (kind, share, distort), (gate, *u) in zip(STEPS, rolled, strict=True):
            if (strength := getattr(strengths, kind)) and gate < share:
                patch = distort(patch, strength, u)
                clock.lap(kind)
        clock.lap("the rest")
        fit(patch)
        clock.lap("fit")
    return clock.seconds


if __name__ == "__main__":
    run_command(main)
