"""The first stage of the pipeline where shards have indexes: samples in the planned order, one pread each.

Shards behind URLs are read by remote.py's `read` instead.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, takewhile
from typing import NamedTuple

import numpy as np
import torch

from ocr.errors import DataError
from ocr.remote.locations import PathOrUrl
from ocr.shards.shard_index import TAR_BLOCK
from trainer.data.sample_order import Cursor, Order, batches, interleaved, rounded_up, share
from trainer.data.sample_table import Plan, SamplePlace, other_size
from trainer.ranks.process_group import Process

MAX_OPEN_SHARDS = 400  # descriptors a worker keeps open; a window is drawn from 64 slices and more
REGION_BYTES = 1 << 20  # what the system is told to read ahead: about a slice
MAX_REGIONS = 4_096
WIDEST_BATCH = 640  # validation batches wider than this get smaller, so that their memory does not grow

BAD = "damaged"


class PlannedBatch(NamedTuple):
    """One rank's part of a batch, before it is read.

    `size` is its number of samples, at least one, and `members`, (size, 2), says which: (source, sample). `weight` is
    its number of samples over an even share's, 0 for a part that only keeps the ranks in step. `cursors` lie behind the
    batch, one for each source. `fates` counts what plain tars were found to hold since the last batch; indexes tell it
    beforehand.
    """

    number: int
    size: int
    members: np.ndarray
    width: int
    weight: float
    cursors: tuple[Cursor, ...]
    fates: dict[str, int]


class Reader(NamedTuple):
    """Who reads: loader worker `worker` of `num_workers` in rank `rank` of `num_ranks`, `turn` batches at a time."""

    rank: int
    num_ranks: int
    worker: int
    num_workers: int
    turn: int = 1

    def numbers(self) -> Iterator[int]:
        """Which of a rank's batches this worker reads, without an end."""
        for first in count(self.worker * self.turn, self.num_workers * self.turn):
            yield from range(first, first + self.turn)


def this_reader(process: Process, turn: int = 1) -> Reader:
    """To be asked inside the loader worker."""
    info = torch.utils.data.get_worker_info()
    worker, num_workers = (info.id, info.num_workers) if info else (0, 1)
    return Reader(process.rank, process.num_ranks, worker, num_workers, turn)


def training_plan(orders: Sequence[Order], cursors: Sequence[Cursor], reader: Reader) -> Iterator[PlannedBatch]:
    """What a reader reads of the batches from `cursors` on, without an end: its rank's part, its worker's turns.

    A batch is as wide as its widest sample over all ranks, so that what the network is shown does not depend on how
    many they are.
    """
    mixture = zip(*map(batches, orders, cursors), strict=True)
    for number, parts in enumerate(mixture):
        if number // reader.turn % reader.num_workers != reader.worker:
            continue
        width = max(int(order.width[samples].max()) for order, (samples, _) in zip(orders, parts, strict=True))
        whole = interleaved([samples for samples, _ in parts])
        mine = whole[share(len(whole), reader.rank, reader.num_ranks)]
        members = mine if len(mine) else whole[:1]
        yield PlannedBatch(
            number,
            len(members),
            members,
            rounded_up(width),
            len(mine) * reader.num_ranks / len(whole),
            tuple(cursor for _, cursor in parts),
            {},
        )


def validation_plan(plan: Plan, batch_size: int, reader: Reader) -> Iterator[PlannedBatch]:
    """A reader's validation batches: each is read as a whole by one rank, so its figures depend on no other.

    A batch holds samples that the Reader pads to the same width. Every rank is given as many batches; what is missing
    in the last round is filled with batches of weight 0.
    """
    whole = same_width_batches(plan.width, batch_size)
    rounds = -(-len(whole) // reader.num_ranks)
    for step in takewhile(lambda step: step < rounds, reader.numbers()):
        number = step * reader.num_ranks + reader.rank
        samples = whole[number % len(whole)]
        members = np.stack((np.zeros_like(samples), samples), axis=1)
        weight = float(number < len(whole))
        yield PlannedBatch(number, len(members), members, int(plan.width[samples[0]]), weight, (), {})


def same_width_batches(width: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """All samples, by rising width, in batches of at most `batch_size` that have one width."""
    by_width = np.argsort(width, kind="stable")
    borders = np.flatnonzero(np.diff(width[by_width])) + 1
    found = []
    for samples in np.split(by_width, borders) if len(width) else []:
        size = max(1, batch_size * WIDEST_BATCH // max(int(width[samples[0]]), WIDEST_BATCH))
        found += [samples[start : start + size] for start in range(0, len(samples), size)]
    return found


SampleRead = tuple[str, bytes | memoryview, str]
"""(key, patch, what is wrong with it or "")."""

ReadSamples = Callable[[int, Sequence[SamplePlace]], Iterable[SampleRead]]
"""(number of the source, where samples of it lie) -> the samples."""


class EncodedSample(NamedTuple):
    """A sample as it was read, of a shard's path or URL: `patch` is an image file, None where it is damaged.

    `trained` is False for what only validation reads; `epoch` says which look of it is due.
    """

    key: str
    shard: PathOrUrl | str
    patch: bytes | memoryview | None
    text: str
    trained: bool
    epoch: int


ReadBatch = tuple[PlannedBatch, list[EncodedSample]]


def indexed_batches(
    planned: Iterator[PlannedBatch], plans: Sequence[Plan], read: ReadSamples, count_bad: bool
) -> Iterator[ReadBatch]:
    """Planned batches with their samples, those of one source behind those of another.

    A sample that cannot be read is a DataError that names shard and key. With `count_bad` it is named on stderr and
    passed on without a patch.
    """
    for batch in planned:
        found: list[EncodedSample] = []
        for source, plan in enumerate(plans):
            epoch = batch.cursors[source].epoch if batch.cursors else 0
            samples = batch.members[batch.members[:, 0] == source, 1]
            places = plan.places(samples)
            described = zip(places, plan.texts(samples), plan.trained[samples].tolist(), strict=True)
            for (key, patch, fault), ((number, *_), text, trained) in zip(read(source, places), described, strict=True):
                shard = plan.shards[number]
                if fault:
                    name_bad(shard, key, fault, count_bad)
                found.append(EncodedSample(key, shard, None if fault else patch, text, trained, epoch))
        yield batch, found


def name_bad(shard: object, key: str, fault: str, count_bad: bool) -> None:
    """Raise a DataError for a damaged sample, or say so on stderr."""
    if not count_bad:
        raise DataError(f"{shard}: {key}: {fault}; build the shard again, or set on_bad_sample: count")
    print(f"left out: {shard}: {key}: {fault}", file=sys.stderr, flush=True)


class OpenShards:
    """Shards that one process reads, opened when they are needed and held to the size their index says."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.plans = plans
        self.descriptors: OrderedDict[tuple[int, int], int] = OrderedDict()
        self.regions: set[tuple[int, int, int]] = set()

    def read(self, source: int, places: Sequence[SamplePlace]) -> list[SampleRead]:
        """One pread a sample, for the header before its patch and the patch; see ReadSamples."""
        for shard, offset, _, _ in places:
            self.read_ahead(source, shard, offset)
        contents = [
            os.pread(self.descriptor(source, shard), TAR_BLOCK + num_bytes, offset - TAR_BLOCK)
            for shard, offset, num_bytes, _ in places
        ]
        return [checked(content, *place[2:]) for content, place in zip(contents, places, strict=True)]

    def descriptor(self, source: int, shard: int) -> int:
        descriptor = self.descriptors.get((source, shard))
        if descriptor is not None:
            self.descriptors.move_to_end((source, shard))
            return descriptor
        if len(self.descriptors) == MAX_OPEN_SHARDS:
            os.close(self.descriptors.popitem(last=False)[1])
        path, tar_bytes = self.plans[source].shards[shard], self.plans[source].tar_bytes[shard]
        try:
            descriptor = os.open(str(path), os.O_RDONLY)
        except OSError as error:
            raise DataError(f"{path}: cannot be opened any more ({error.strerror}); was it moved?") from error
        self.descriptors[source, shard] = descriptor
        if (num_bytes := os.fstat(descriptor).st_size) != tar_bytes:
            raise DataError(other_size(path, num_bytes, tar_bytes))
        return descriptor

    def read_ahead(self, source: int, shard: int, offset: int) -> None:
        """Tell the system, once, that the samples around this one are wanted soon: their slice is in the window.

        Samples come in random order, so it would not guess. From a cold page cache this is a quarter faster.
        """
        region = (source, shard, offset // REGION_BYTES)
        if region in self.regions or not hasattr(os, "posix_fadvise"):
            return
        if len(self.regions) == MAX_REGIONS:
            self.regions.clear()
        self.regions.add(region)
        descriptor, start = self.descriptor(source, shard), region[2] * REGION_BYTES
        os.posix_fadvise(descriptor, start, REGION_BYTES, os.POSIX_FADV_WILLNEED)


def checked(content: bytes, num_bytes: int, crc: int) -> SampleRead:
    """What a tar header and the patch behind it hold."""
    patch = memoryview(content)[TAR_BLOCK:]
    if len(patch) != num_bytes:
        return key_of(content), b"", "its patch is cut off"
    if zlib.crc32(patch) != crc:
        return key_of(content), b"", "its patch is not the one in the index (checksum)"
    return key_of(content), patch, ""


def key_of(header: bytes) -> str:
    """WebDataset's key of a member, from its tar header: the name up to the first dot of its base."""
    folder, slash, base = str(header[: header.find(b"\0", 0, 100)], "utf-8", "replace").rpartition("/")
    return folder + slash + base.partition(".")[0]
