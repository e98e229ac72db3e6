"""Shards behind URLs: what the next batches need is on its way while the present ones are trained on.

    planned batches -> groups -> ranges of their samples, neighbors merged -> requests, many at a time

Which samples come is known from the order alone. So a group is fetched while the one before it is read, and as it is
about a window of the order, whose samples are all of some slices, few readers fetch slices in one request each.
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ocr.errors import DataError
from ocr.remote.byte_ranges import ByteRange, merge_ranges
from ocr.remote.locations import PathOrUrl, Url
from ocr.remote.remote_files import read_range
from ocr.remote.shard_cache import Cache, RemoteShard
from ocr.shards.shard_index import TAR_BLOCK
from trainer.data.indexed_reader import PlannedBatch, SampleRead, checked
from trainer.data.sample_table import Plan, SamplePlace

GROUP_BYTES = (
    64 << 20
)  # of samples, of all readers: about a window; with the group before and what is merged, four times
LEAST_BYTES = 8 << 20  # of samples in a group of one reader
NUM_REQUESTS = 16  # of a reader at a time

Found = tuple[PathOrUrl, int]
"""(shard, where the sample's header before the patch begins)."""


class Group:
    """Some batches that follow one another, and their samples' bytes."""

    def __init__(self, batches: list[PlannedBatch]) -> None:
        self.batches = batches
        self.run_of: dict[Found, int] = {}
        self.begins: list[int] = []
        self.contents: dict[int, Future[bytes]] = {}
        self.left: Counter[int] = Counter()


class RemoteShards:
    """Shards that one process reads by ranges, with or without a cache."""

    def __init__(self, plans: Sequence[Plan], num_readers: int, cache: Cache | None) -> None:
        self.plans, self.cache = plans, cache
        epoch_bytes = sum(int(plan.patch_bytes.sum(dtype=np.int64)) + TAR_BLOCK * plan.num_samples for plan in plans)
        self.group_bytes = min(max(GROUP_BYTES // num_readers, LEAST_BYTES), epoch_bytes)
        self.shard_of: dict[PathOrUrl, RemoteShard] = {
            url: RemoteShard(url, sha256, num_bytes)
            for plan in plans
            for url, sha256, num_bytes in zip(plan.shards, plan.tar_sha256, plan.tar_bytes, strict=True)
            if isinstance(url, Url)
        }
        self.pool = ThreadPoolExecutor(NUM_REQUESTS)
        self.group = Group([])

    def ahead(self, planned: Iterator[PlannedBatch]) -> Iterator[PlannedBatch]:
        """The same batches; when one is given, its samples are at hand or on their way, and so are the next group's."""
        try:
            following: Group | None = None
            for batches in self.groups(planned):
                self.group, following = following or Group([]), self.requested(batches)
                yield from self.group.batches
            if following:
                self.group = following
                yield from following.batches
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def groups(self, planned: Iterator[PlannedBatch]) -> Iterator[list[PlannedBatch]]:
        """Runs of batches: one alone, so that it is asked for first, and then as many as make a group."""
        group: list[PlannedBatch] = []
        num_bytes, enough = 0, 1
        for batch in planned:
            group.append(batch)
            num_bytes += sum(end - begin for _, begin, end in self.wanted(batch))
            if num_bytes >= enough:
                yield group
                group, num_bytes, enough = [], 0, self.group_bytes
        if group:
            yield group

    def wanted(self, batch: PlannedBatch) -> Iterator[tuple[PathOrUrl, int, int]]:
        for source, plan in enumerate(self.plans):
            samples = batch.members[batch.members[:, 0] == source, 1]
            for shard, offset, num_bytes, _ in plan.places(samples):
                yield plan.shards[shard], offset - TAR_BLOCK, offset + num_bytes

    def requested(self, batches: list[PlannedBatch]) -> Group:
        """A group whose ranges are asked for, in the order of their first use.

        A sample that stands in it twice, at the border of two epochs, is fetched once.
        """
        group, uses = Group(batches), Counter(place for batch in batches for place in self.wanted(batch))
        numbers: dict[PathOrUrl, int] = {}
        places = list(uses)
        ranges = [ByteRange(numbers.setdefault(shard, len(numbers)), begin, end) for shard, begin, end in places]
        urls = list(numbers)
        for number, run in enumerate(merge_ranges(ranges, spare_bytes=sum(end - begin for _, begin, end in ranges))):
            for member in run.members:
                shard, begin, _ = places[member]
                group.run_of[shard, begin] = number
                group.left[number] += uses[places[member]]
            group.begins.append(run.begin)
            group.contents[number] = self.pool.submit(self.fetched, self.shard_of[urls[run.file]], run.begin, run.end)
        return group

    def fetched(self, shard: RemoteShard, begin: int, end: int) -> bytes:
        try:
            return self.cache.read(shard, begin, end) if self.cache else fetched_directly(shard, begin, end)
        except FileNotFoundError as error:
            raise DataError(f"{shard.url}: is not there any more (404); was it moved?") from error

    def read(self, source: int, places: Iterable[SamplePlace]) -> Iterator[SampleRead]:
        """Samples of the batch given last; see ReadSamples."""
        for shard, offset, num_bytes, crc in places:
            path, begin, end = self.plans[source].shards[shard], offset - TAR_BLOCK, offset + num_bytes
            content = self.taken(path, begin, end)
            if self.cache and zlib.crc32(content[TAR_BLOCK:]) != crc:
                content = self.repaired(self.shard_of[path], begin, end)
            yield checked(content, num_bytes, crc)

    def taken(self, path: PathOrUrl, begin: int, end: int) -> bytes:
        """A part of what was fetched, which is let go with the last sample in it."""
        number = self.group.run_of[path, begin]
        run_begin = self.group.begins[number]
        content = self.group.contents[number].result()[begin - run_begin : end - run_begin]
        self.group.left[number] -= 1
        if not self.group.left[number]:
            del self.group.contents[number]
        return content

    def repaired(self, shard: RemoteShard, begin: int, end: int) -> bytes:
        """A sample from its server, when what was in the cache is damaged, or is so on the server, too."""
        assert self.cache
        self.cache.drop(shard, begin, end)
        print(f"{self.cache.folder}: holds damaged bytes of {shard.url}; they are fetched again", file=sys.stderr)
        return fetched_directly(shard, begin, end)


def fetched_directly(shard: RemoteShard, begin: int, end: int) -> bytes:
    return read_range(shard.url.text, begin, end - begin)
