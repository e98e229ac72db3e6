"""Which samples a batch holds: a pure function of (seed, epoch, batch), computed by integers alone.

    1. slices      runs of neighboring samples of a shard, permuted anew each epoch
    2. stream      the samples of epoch 0, 1, 2, … slice behind slice: batch k has positions k * B to (k + 1) * B
    3. window      many batches of an epoch: their samples sorted by width (equal widths shuffled), cut into batches,
                   the batches permuted; what a batch holds is in no order
    4. share       the part of a batch that a rank reads

No file is read, no state is kept and nothing depends on the number of ranks or workers. Only one window is in memory
at a time, and the permutation of the slices, one number for 256 samples.

An epoch holds each sample once. Where the batch size does not divide the number of samples, the last batch of an epoch
is filled from the first slices of the next one, which goes on behind them: so batches are all of one size, and every
sample comes once an epoch all the same. With a budget of pixels batches differ in size anyway, and each window ends
with what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache, partial
from itertools import count
from typing import NamedTuple

import msgspec
import numpy as np

ORDER_FORMAT = "sample-order/1"  # part of the data set's fingerprint: change it with whatever changes the order
SLICE_SAMPLES = 256
WINDOW_SAMPLES = 16_384  # a window holds at least so many samples …
WINDOW_BATCHES = 64  # … and so many batches, and then 5 % of a batch is padding, whatever its size
WIDTH_STEP = 4  # the network takes one time step every four pixels

SLICES, SAMPLES, BATCHES, PADDING = range(4)  # what is drawn


class Cursor(msgspec.Struct, frozen=True):
    """How far a source is read: the next batch is batch `batch` of epoch `epoch`."""

    epoch: int = 0
    batch: int = 0


class Position(msgspec.Struct, frozen=True):
    """Where the data of a run go on: a few bytes, from which any number of ranks and workers read the same batches.

    `fingerprint` says of which data, `cursors` hold one for each source.
    """

    seed: int
    fingerprint: str
    cursors: tuple[Cursor, ...] = ()


class Order(msgspec.Struct, frozen=True):
    """What the order of a source is computed from.

    `width` holds the padded width of each sample, `bounds` where each slice begins and, at last, the number of
    samples. `batch_columns` > 0: a batch holds as many samples as it has room for (samples x padded width) instead of
    `batch_size`. `source` numbers the sources of a mixture, so that two equal ones are shuffled differently.
    """

    seed: int
    width: np.ndarray
    bounds: np.ndarray
    batch_size: int
    batch_columns: int = 0
    source: int = 0

    @property
    def num_samples(self) -> int:
        return len(self.width)


class Window(NamedTuple):
    """Stream positions `start` to `stop`, all of `epoch` but for what fills its last batch."""

    epoch: int
    start: int
    stop: int


class Places(NamedTuple):
    """The slices in an epoch's order: the first sample of each, and where each begins in the order; at last its end."""

    first_sample: np.ndarray
    begin: np.ndarray


def slice_bounds(samples_per_shard: Sequence[int]) -> np.ndarray:
    """Where each slice begins, and the number of samples: shards cut into even slices of at most SLICE_SAMPLES."""
    bounds, first = [np.zeros(1, np.int64)], 0
    for num_samples in samples_per_shard:
        num_slices = -(-num_samples // SLICE_SAMPLES)
        bounds.append(first + np.arange(1, num_slices + 1) * num_samples // max(num_slices, 1))
        first += num_samples
    return np.concatenate(bounds)


def batches(order: Order, cursor: Cursor) -> Iterator[tuple[np.ndarray, Cursor]]:
    """The batches of a source from `cursor` on, without an end: (sample numbers, the cursor behind them)."""
    places = lru_cache(maxsize=2)(partial(slice_places, order))
    for epoch in count(cursor.epoch):
        number, passed = 0, cursor.batch if epoch == cursor.epoch else 0
        for window in windows(order, epoch):
            if not order.batch_columns and number + num_even_batches(order, window) <= passed:
                number += num_even_batches(order, window)  # its batches are known without making them
                continue
            for samples in window_batches(order, window, places):
                number += 1
                if number > passed:
                    yield samples, Cursor(epoch, number)


def num_even_batches(order: Order, window: Window) -> int:
    return (window.stop - window.start) // order.batch_size


def windows(order: Order, epoch: int) -> Iterator[Window]:
    """The windows of an epoch. Raises ValueError for a source without a sample."""
    size = order.batch_size
    if not order.num_samples:
        raise ValueError("an order needs at least one sample")
    start, stop = epoch * order.num_samples, (epoch + 1) * order.num_samples
    step = max(WINDOW_SAMPLES, WINDOW_BATCHES * mean_batch_size(order))
    if not order.batch_columns:
        start, stop, step = -(-start // size) * size, -(-stop // size) * size, -(-step // size) * size
    for at in range(start, stop, step):
        yield Window(epoch, at, min(at + step, stop))


def mean_batch_size(order: Order) -> int:
    if not order.batch_columns:
        return order.batch_size
    return order.batch_columns * order.num_samples // max(1, int(order.width.sum(dtype=np.int64)))


def window_batches(order: Order, window: Window, places: Callable[[int], Places]) -> Iterator[np.ndarray]:
    """The batches of a window, each as sample numbers.

    The batches are permuted by draws that all sources of a mixture share. So while one source gives narrow samples the
    others do, and no source pads another.
    """
    samples = stream(order.num_samples, window.start, window.stop, places)
    width = order.width[samples]
    by_width = np.argsort(width, kind="stable")
    width = width[by_width]
    if order.batch_columns:
        ends = budget_ends(width.astype(np.int64), order.batch_columns)
    else:
        ends = np.arange(order.batch_size, len(samples) + 1, order.batch_size)
    deal_equal_widths(by_width, width, draws(samples, order.seed, SAMPLES, order.source, window.epoch), ends)
    samples = samples[by_width]
    first = window.start if order.batch_columns else window.start // order.batch_size
    drawn = draws(np.arange(first, first + len(ends)), order.seed, BATCHES)
    rank = np.argsort(np.argsort(drawn))
    starts = np.concatenate(([0], ends[:-1]))
    for start, stop in zip(starts[rank].tolist(), ends[rank].tolist(), strict=True):
        yield samples[start:stop]


def deal_equal_widths(by_width: np.ndarray, width: np.ndarray, drawn: np.ndarray, ends: np.ndarray) -> None:
    """Where a batch ends among samples of one width, let draws decide which of them it holds.

    `by_width` is changed in place, and so that batches hold what they would if equal widths were sorted by their draws,
    in no order: a whole sort takes four times as long in the windows of large batches.
    """
    starts = np.concatenate(([0], np.flatnonzero(np.diff(width)) + 1))
    stops = np.append(starts[1:], len(width))
    run_of_end = np.searchsorted(starts, ends, side="right") - 1
    for run in np.unique(run_of_end).tolist():
        start, stop = starts[run], stops[run]
        cuts = ends[run_of_end == run] - start
        cuts = cuts[(cuts > 0) & (cuts < stop - start)]
        if len(cuts):
            equal = by_width[start:stop]
            by_width[start:stop] = equal[np.argpartition(drawn[equal], cuts)]


def budget_ends(width: np.ndarray, columns: int) -> np.ndarray:
    """Where to cut rising widths so that each part's number x widest is at most `columns`, or one sample."""
    ends, start = [], 0
    while start < len(width):
        part = width[start : start + max(1, columns // int(width[start]))]
        area = np.arange(1, len(part) + 1) * part
        start += max(1, int(np.searchsorted(area, columns, side="right")))
        ends.append(start)
    return np.array(ends)


def stream(num_samples: int, start: int, stop: int, places: Callable[[int], Places]) -> np.ndarray:
    """The samples at stream positions `start` to `stop`."""
    parts = []
    while start < stop:
        epoch, place = divmod(start, num_samples)
        number = min(stop - start, num_samples - place)
        parts.append(samples_at(places(epoch), place, place + number))
        start += number
    return np.concatenate(parts)


def slice_places(order: Order, epoch: int) -> Places:
    """The slices in the order of an epoch."""
    sizes = np.diff(order.bounds)
    drawn = draws(np.arange(len(sizes)), order.seed, SLICES, order.source, epoch)  # no two are equal
    permuted = np.argsort(drawn)
    return Places(order.bounds[permuted], np.concatenate(([0], np.cumsum(sizes[permuted]))))


def samples_at(places: Places, start: int, stop: int) -> np.ndarray:
    """The samples in places `start` to `stop` of an epoch's order."""
    begin = places.begin
    first, last = int(np.searchsorted(begin, start, "right")) - 1, int(np.searchsorted(begin, stop, "left"))
    numbers = np.diff(np.clip(begin[first : last + 1], start, stop))
    return np.repeat(places.first_sample[first:last] - begin[first:last], numbers) + np.arange(start, stop)


GAMMA, MIX_A, MIX_B = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def draws(numbers: np.ndarray, *key: int) -> np.ndarray:
    """A random uint64 for each number under a key, the same on every machine and with every version of numpy.

    SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014) as a function of its
    counter.
    """
    state = np.zeros(1, np.uint64)
    for part in key:
        state = mixed(state + GAMMA ^ np.uint64(part % 2**64))
    return mixed(state + numbers.astype(np.uint64) * GAMMA)


def mixed(state: np.ndarray) -> np.ndarray:
    state = (state ^ state >> np.uint64(30)) * MIX_A
    state = (state ^ state >> np.uint64(27)) * MIX_B
    return np.asarray(state ^ state >> np.uint64(31))


def parts_of(batch_size: int, ratios: Sequence[Fraction]) -> list[int]:
    """How many samples of a batch each source gives: `ratios` of it, by largest remainder; the sum is exact."""
    exact = [batch_size * ratio / sum(ratios) for ratio in ratios]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda source: parts[source] - exact[source])
    for source in by_remainder[: batch_size - sum(parts)]:
        parts[source] += 1
    return parts


def interleaved(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The samples of a batch, (B, 2) of (source, sample), as ranks share it.

    Samples rise, so that a rank reads neighbors, and each source is evenly spread, so that every rank has its part.
    """
    pairs = [np.stack((np.full_like(part, source), np.sort(part)), axis=1) for source, part in enumerate(parts)]
    place = np.concatenate([(2 * np.arange(len(part)) + 1) / (2 * len(part)) for part in parts])
    return np.concatenate(pairs)[np.argsort(place, kind="stable")]


def share(number: int, rank: int, num_ranks: int) -> slice:
    """The part of `number` samples that a rank reads; neighbors stay together, and sizes differ by one at most."""
    return slice(rank * number // num_ranks, (rank + 1) * number // num_ranks)


def rounded_up(width: int) -> int:
    return -(-width // WIDTH_STEP) * WIDTH_STEP
