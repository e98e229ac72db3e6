"""The first stages of the pipeline where shards have no index: plain tars, local or behind a URL, read from end to end.

    1. dealt_shards | all_shards           {"url": path or URL}             which shards this reader reads
    2. ocr.shards.tar_reader.tar_samples                {"__key__", "jpg", "txt", …}     WebDataset's own tar stages
    3. wds.shuffle | every_nth             the same
    4. training_windows | same_widths      batches with their samples, as source.py gives them

A reader is one loader worker of one rank. Training is endless: the shards of epoch 0, 1, 2, … follow one another, each
epoch permuted by (seed, epoch) before they are dealt to the readers in turn. So no reader starves however few shards
there are, no rank ends before another, and an epoch deals a reader other shards than the one before. In validation
every reader reads all shards and keeps its own samples, so each is counted once.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import TypeVar

import numpy as np

from ocr.errors import DataError
from ocr.shards.shard_index import IMAGE_TYPES, TEXT_TYPES, Index, IndexBuilder, index_row
from ocr.shards.tar_reader import TarSample
from trainer.data.indexed_reader import EncodedSample, PlannedBatch, ReadBatch, same_width_batches, this_reader
from trainer.data.sample_filter import FATES, USED, Recipe
from trainer.data.sample_order import WINDOW_BATCHES, Cursor, rounded_up, share
from trainer.data.sample_table import broken_text, hopeless, readable
from trainer.ranks.process_group import Process

SHUFFLE_SAMPLES = 5_000  # encoded, 3 to 4 KB each
HOPELESS_SAMPLES = 50_000  # this many refused in a row, and nothing in the shards fits the config

WHAT_IS_LOST = (
    "reading plain tars, because there is no index beside the shards (`python -m shard_builder.index` makes them): a "
    "stopped run goes on with other batches, batches depend on the number of ranks and workers, an epoch is not exact, "
    "and a flipped byte is not seen"
)

NO_MEMBERS = np.zeros((0, 2), np.int64)  # samples of plain tars have no number
Item = TypeVar("Item")


def every_nth(items: Iterable[Item], process: Process) -> Iterator[Item]:
    """What this reader takes, over all workers of all ranks."""
    reader = this_reader(process)
    first, step = reader.rank * reader.num_workers + reader.worker, reader.num_ranks * reader.num_workers
    return islice(items, first, None, step)


def dealt_shards(urls: Sequence[str], seed: str, process: Process) -> Iterator[dict[str, str]]:
    endless = (url for epoch in count() for url in random.Random(f"{seed} {epoch}").sample(urls, len(urls)))
    for url in every_nth(endless, process):
        yield {"url": url}


def all_shards(urls: Sequence[str]) -> Iterator[dict[str, str]]:
    for url in urls:
        yield {"url": url}


def training_windows(
    samples: Iterable[TarSample], recipe: Recipe, process: Process, turn: int, seed: str, start: int
) -> Iterator[ReadBatch]:
    """Batches of usable samples of similar width, in random order; the others are counted.

    Raises DataError where the shards hold next to nothing that the config can use, instead of reading on for ever.
    """
    batch_size, order = recipe.config.batch_size, random.Random(seed)
    mine = share(batch_size, process.rank, process.num_ranks)
    size, weight = max(1, mine.stop - mine.start), (mine.stop - mine.start) * process.num_ranks / batch_size
    numbers = (start + number for number in this_reader(process, turn).numbers())
    window: list[tuple[int, TarSample]] = []
    fates, refused = Counter[str](), 0
    for raw in chunks(samples, size * WINDOW_BATCHES):
        index = index_of(raw)
        padded = recipe.training_widths(index)
        found = fates_of(raw, index, padded, recipe)
        fates.update(FATES[fate] for fate in found.tolist())
        used = np.flatnonzero(found == FATES.index(USED)).tolist()
        refused = 0 if used else refused + len(raw)
        if refused >= HOPELESS_SAMPLES:
            raise DataError(hopeless(dict(fates)))
        window += [(int(padded[row]), raw[row]) for row in used]
        num_whole = len(window) // size * size
        now, window = sorted(window[:num_whole], key=lambda pair: pair[0]), window[num_whole:]
        for at in order.sample(range(0, num_whole, size), num_whole // size):
            number, batch = next(numbers), now[at : at + size]
            cursors = (Cursor(0, number + 1),)
            planned = PlannedBatch(number, size, NO_MEMBERS, rounded_up(batch[-1][0]), weight, cursors, dict(fates))
            yield planned, [as_planned(sample, True, number) for _, sample in batch]
            fates.clear()


def same_widths(samples: Iterable[TarSample], recipe: Recipe) -> Iterator[ReadBatch]:
    """Validation batches of samples that the Reader pads to the same width, every sample with a patch and a text."""
    numbers = count()
    for raw in chunks(samples, recipe.config.batch_size * WINDOW_BATCHES):
        index = index_of(raw)
        padded = recipe.reader_widths(index)
        found = fates_of(raw, index, padded, recipe)
        unread = Counter(FATES[fate] for fate in found[~readable(found)].tolist())
        read = np.flatnonzero(readable(found))
        for batch in same_width_batches(padded[read], recipe.config.batch_size):
            rows = read[batch].tolist()
            fates = Counter(FATES[found[row]] for row in rows) + unread
            planned = PlannedBatch(next(numbers), len(rows), NO_MEMBERS, int(padded[rows[0]]), 1.0, (), dict(fates))
            yield planned, [as_planned(raw[row], FATES[found[row]] == USED, planned.number) for row in rows]
            unread.clear()


def chunks(samples: Iterable[TarSample], size: int) -> Iterator[list[TarSample]]:
    samples = iter(samples)
    while chunk := list(islice(samples, size)):
        yield chunk


def index_of(samples: Sequence[TarSample]) -> Index:
    """The rows that an index would hold for samples, but for where they lie."""
    rows = IndexBuilder()
    for sample in samples:
        members = {name: (0, value) for name, value in sample.items() if isinstance(value, bytes)}
        rows.add(0, index_row(0, members))
    return rows.index(0, "")


def fates_of(samples: Sequence[TarSample], index: Index, padded: np.ndarray, recipe: Recipe) -> np.ndarray:
    try:
        return recipe.fates(index, padded)
    except UnicodeDecodeError as error:
        broken = samples[broken_text(index)]
        raise DataError(f"{broken['__url__']}: {broken['__key__']}: its text is no UTF-8; build it again") from error


def as_planned(sample: TarSample, trained: bool, number: int) -> EncodedSample:
    """A sample of batch `number`: a stream has no epochs, and a sample is to look different when it comes again."""
    return EncodedSample(
        key=sample["__key__"],
        shard=sample["__url__"],
        patch=next(sample[name] for name in IMAGE_TYPES if name in sample),
        text=next(sample[name] for name in TEXT_TYPES if name in sample).decode(),
        trained=trained,
        epoch=number,
    )
