"""What planning a run costs and how evenly it is shared, from 10^6 samples on one rank to 10^9 on 1,024; without data.

    python scripts/simulate_scale.py                                      # all rows: 3 minutes, 6 GB
    python scripts/simulate_scale.py --samples 4_500_000 --ranks 1 8      # some of them

The trainer's own planner runs as in a loader worker of one rank; all others do the same work at the same time. `first`
is the time to the first batch; of the second window `a batch` is the mean and `longest` the longest wait (the window
begins): CPU seconds of a reader that has no other workers beside it. `MB` is the most that is in memory on top of the
samples' widths. `padding` is the share of a batch's pixels; `step` what the busiest rank computes over the mean of all
ranks, in samples and in padded pixels alike, because all ranks pad to one width; `read` the same in pixels of the
patches that its loader reads. The last column says from how many shards a rank reads in a window.

Widths are drawn as AI-Hub's words have them: width / height is 2.65 in the median, 0.93 to 6.5 between 5 and 95 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tracemalloc
from itertools import islice
from pathlib import Path
from time import process_time

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.machine import print_machine, this_machine

from ocr.config import Config
from ocr.networks.easyocr_files import charset_of
from ocr.shards.shard_index import TAR_BLOCK, Index, index_path, write_index
from trainer.data.indexed_reader import Reader, training_plan
from trainer.data.sample_filter import Recipe
from trainer.data.sample_order import (
    WIDTH_STEP,
    WINDOW_BATCHES,
    WINDOW_SAMPLES,
    Cursor,
    Order,
    batches,
    interleaved,
    share,
    slice_bounds,
)
from trainer.data.sample_table import plan_training

SHARD_SAMPLES = 10_000
RANK_SAMPLES = 64  # of a batch
SHARE_EVERY = 16  # batches: that many are shared among all ranks
HEIGHT = 64


class Cost(msgspec.Struct, frozen=True):
    """CPU seconds of one reader, and bytes on top of the samples' widths."""

    first_seconds: float
    batch_seconds: float
    longest_seconds: float
    num_bytes: int


class Balance(msgspec.Struct, frozen=True):
    """`padding` as a share of all pixels; the busiest rank over the mean, mean of some batches; shards a rank reads."""

    padding: float
    step: float
    read: float
    num_shards: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate the plan of a run over many samples and ranks.")
    parser.add_argument("--samples", type=int, nargs="+", default=[10**6, 10**7, 10**8, 10**9], metavar="N")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 8, 64, 1_024], metavar="N")
    parser.add_argument("--batch-size", type=int, metavar="N", help=f"over all ranks; {RANK_SAMPLES} a rank by default")
    arguments = parser.parse_args()
    print_machine(this_machine(["numpy"]))
    print_index_cost()
    print(f"\n{'samples':>13} {'ranks':>6} {'batch':>7}  {'first':>7} {'a batch':>9} {'longest':>9} {'MB':>5}", end="")
    print(f"  {'padding':>7} {'step':>7} {'read':>7}  shards a rank")
    for num_samples in arguments.samples:
        widths = drawn_widths(num_samples)
        for num_ranks in arguments.ranks:
            batch_size = arguments.batch_size or RANK_SAMPLES * num_ranks
            order = Order(1111, widths, slice_bounds(shard_sizes(num_samples)), batch_size)
            print_row(order, num_ranks, cost_of(order, num_ranks), balance_of(order, num_ranks))


def print_row(order: Order, num_ranks: int, cost: Cost, balance: Balance) -> None:
    print(
        f"{order.num_samples:>13,} {num_ranks:>6,} {order.batch_size:>7,}  {cost.first_seconds:>5.2f} s "
        f"{1e3 * cost.batch_seconds:>6.2f} ms {1e3 * cost.longest_seconds:>6,.0f} ms {cost.num_bytes / 1e6:>5,.0f}  "
        f"{balance.padding:>7.1%} {balance.step:>7.4f} {balance.read:>7.4f}  "
        f"{balance.num_shards:,} of {len(shard_sizes(order.num_samples)):,}",
        flush=True,
    )


def shard_sizes(num_samples: int) -> list[int]:
    whole, rest = divmod(num_samples, SHARD_SAMPLES)
    return [SHARD_SAMPLES] * whole + [rest] * (rest > 0)


def drawn_widths(number: int) -> np.ndarray:
    """A million drawn widths at height 64, repeated."""
    ratios = np.clip(np.exp(np.random.default_rng(0).normal(np.log(2.65), 0.591, min(number, 1_000_000))), 0.25, 16)
    widths = -(-(HEIGHT * ratios).astype(np.int64) // WIDTH_STEP) * WIDTH_STEP
    return np.resize(widths.astype(np.uint16), number)


def cost_of(order: Order, num_ranks: int) -> Cost:
    reader, seconds = Reader(num_ranks // 2, num_ranks, 0, 1), []
    planned = training_plan([order], [Cursor()], reader)
    window = max(WINDOW_BATCHES, WINDOW_SAMPLES // order.batch_size)
    for _ in range(2 * window):
        start = process_time()
        next(planned)
        seconds.append(process_time() - start)
    tracemalloc.start()
    next(training_plan([order], [Cursor()], reader))
    num_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return Cost(seconds[0], sum(seconds[window:]) / window, max(seconds[window:]), num_bytes)


def balance_of(order: Order, num_ranks: int) -> Balance:
    real, padded = 0, 0
    step, read, shards = [], [], set()
    for number, (samples, _) in enumerate(islice(batches(order, Cursor()), WINDOW_BATCHES)):
        whole = interleaved([samples])[:, 1]
        shards.update((whole[share(len(whole), num_ranks // 2, num_ranks)] // SHARD_SAMPLES).tolist())
        widths = order.width[whole].astype(np.int64)
        real, padded = real + int(widths.sum()), padded + int(widths.max()) * len(widths)
        if number % SHARE_EVERY == 0:
            parts = [widths[share(len(widths), rank, num_ranks)] for rank in range(num_ranks)]
            step.append(max(map(len, parts)) * num_ranks / len(widths))
            read.append(max(int(part.sum()) for part in parts) * num_ranks / int(widths.sum()))
    return Balance(1 - real / padded, sum(step) / len(step), sum(read) / len(read), len(shards))


def print_index_cost() -> None:
    """What reading the indexes takes; every rank reads all of them before its first batch."""
    recipe = Recipe(Config(), charset_of("korean_g2"))
    with tempfile.TemporaryDirectory() as folder:
        shards = write_indexes(Path(folder), recipe.charset.characters)
        index_bytes = index_path(shards[0]).stat().st_size
        start = process_time()
        plan = plan_training(shards, recipe)
        seconds = process_time() - start
        tracemalloc.start()
        plan_training(shards, recipe)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    arrays = (value for value in msgspec.structs.astuple(plan) if isinstance(value, np.ndarray))
    held = sum(array.nbytes for array in arrays)
    print(
        f"indexes, a sample: {index_bytes / SHARD_SAMPLES:.0f} bytes on disk, {1e6 * seconds / plan.num_samples:.2f} us"
        f" to plan, {held / plan.num_samples:.0f} bytes in memory and {peak / plan.num_samples:.0f} while it is planned"
    )


def write_indexes(folder: Path, characters: str, num_shards: int = 50) -> list[Path]:
    """Shards without content, and one index of drawn words that all of them have."""
    index = drawn_index(characters)
    shards = [folder / f"{number:06d}.tar" for number in range(num_shards)]
    for shard in shards:
        with shard.open("wb") as file:
            file.truncate(index.tar_bytes)
        write_index(shard, index)
    return shards


def drawn_index(characters: str) -> Index:
    """Words of 1 to 27 characters, 3.8 in the mean, in patches of about 3.8 KB."""
    order, number = np.random.default_rng(0), SHARD_SAMPLES
    lengths = np.minimum(1 + order.poisson(2.8, number), 27)
    letters, ends = "".join(order.choice(list(characters), lengths.sum())), np.cumsum(lengths).tolist()
    texts = [letters[start:end].encode() for start, end in zip([0, *ends], ends, strict=False)]
    patch_bytes = order.integers(1_000, 6_600, number).astype(np.uint64)
    sample_bytes = (-(-patch_bytes // TAR_BLOCK) * TAR_BLOCK + 3 * TAR_BLOCK).astype(np.uint64)
    sample_ends = np.cumsum(sample_bytes)
    return Index(
        tar_bytes=int(sample_ends[-1]),
        tar_sha256="00" * 32,
        sample_offset=sample_ends - sample_bytes,
        sample_bytes=sample_bytes,
        patch_offset=sample_ends - sample_bytes + TAR_BLOCK,
        patch_bytes=patch_bytes,
        patch_crc=order.integers(0, 2**32, number).astype(np.uint32),
        width=drawn_widths(number).astype(np.uint32),
        height=np.full(number, HEIGHT, np.uint32),
        text=np.frombuffer(b"".join(texts), np.uint8),
        text_end=np.cumsum([len(text) for text in texts]).astype(np.uint64),
    )


if __name__ == "__main__":
    main()
