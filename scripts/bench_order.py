"""What the order of the samples costs: an epoch of 4.5 million, and one batch of 10^9 samples over 1,024 ranks.

    python scripts/bench_order.py
    python scripts/bench_order.py --samples 1_000_000_000 --batch-size 65_536 --batches 128

CPU seconds, the memory that comes on top of the samples' widths, and how much of a batch is padding. Widths are drawn
as AI-Hub's words have them: width / height is 2.65 in the median, 0.93 to 6.5 between 5 and 95 %.
"""

from __future__ import annotations

import argparse
import tracemalloc
from itertools import islice
from time import process_time

import numpy as np

from trainer.order import WIDTH_STEP, Cursor, Order, batches, slice_bounds

SHARD_SAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the order of the samples.")
    parser.add_argument("--samples", type=int, default=4_500_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batch-columns", type=int, default=0, help="a budget of pixels, over the height")
    parser.add_argument("--batches", type=int, help="how many; an epoch without it")
    arguments = parser.parse_args()
    widths = drawn_widths(arguments.samples)
    bounds = slice_bounds([SHARD_SAMPLES] * (arguments.samples // SHARD_SAMPLES))
    order = Order(1111, widths[: bounds[-1]], bounds, arguments.batch_size, arguments.batch_columns)
    number = arguments.batches or order.num_samples // arguments.batch_size

    first_seconds, seconds = cpu_seconds(order, 1), cpu_seconds(order, number)
    tracemalloc.start()
    cpu_seconds(order, min(number, 500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    flow = [widths[samples] for samples, _ in islice(batches(order, Cursor()), min(number, 10_000))]
    real = sum(int(width.sum(dtype=np.int64)) for width in flow)
    padded = sum(int(width.max()) * len(width) for width in flow)
    print(f"{order.num_samples:,} samples, {number:,} batches of {arguments.batch_size:,}: {seconds:.2f} s")
    print(f"the first after {first_seconds:.3f} s, {peak / 1e6:.0f} MB, padding {100 * (1 - real / padded):.1f} %")


def cpu_seconds(order: Order, number: int) -> float:
    start = process_time()
    for _ in islice(batches(order, Cursor()), number):
        pass
    return process_time() - start


def drawn_widths(number: int) -> np.ndarray:
    """A million drawn widths at height 64, repeated."""
    ratios = np.clip(np.exp(np.random.default_rng(0).normal(np.log(2.65), 0.591, min(number, 1_000_000))), 0.25, 16)
    widths = -(-(64 * ratios).astype(np.int64) // WIDTH_STEP) * WIDTH_STEP
    return np.resize(widths.astype(np.uint16), number)


if __name__ == "__main__":
    main()
