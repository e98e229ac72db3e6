"""Entries of remote zips, fetched before they are asked for: a request takes as long as decoding a page.

What will be read is known before a job starts. Neighbors among it are fetched in one request, as long as the bytes
between them stay a small share of what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from ocr.remote.byte_ranges import ByteRange, MergedRange, merge_ranges
from shard_builder.zips.archives import Archive, is_remote, read_at
from shard_builder.zips.page_sources import PageSource
from shard_builder.zips.zip_entries import HEADER_BYTES, Entry, ReadAt

SPARE_SHARE = 0.03  # of the bytes wanted; labels and pages are fetched at different times, each with this
AHEAD_BYTES = 48 << 20  # that a process holds, or waits for, beside what it reads now
NUM_REQUESTS = 8  # of a process at a time


@contextmanager
def reading_ahead(entries: Sequence[Entry], spare_bytes: int) -> Iterator[ReadAt]:
    """Yield a `read_at` that has entries, named in the order in which they will be read, at hand or on their way."""
    if not any(is_remote(entry.archive) for entry in entries):
        yield read_at
        return
    with ThreadPoolExecutor(NUM_REQUESTS) as pool:
        try:
            yield Ahead(entries, spare_bytes, pool).read_at
        finally:
            pool.shutdown(cancel_futures=True)


class Ahead:
    """Runs of entries in the order of their first use; as many are on their way as AHEAD_BYTES has room for."""

    def __init__(self, entries: Sequence[Entry], spare_bytes: int, pool: ThreadPoolExecutor) -> None:
        numbers: dict[str, int] = {}
        ranges = [range_of(entry, numbers.setdefault(entry.archive.path, len(numbers))) for entry in entries]
        self.runs = merge_ranges(ranges, spare_bytes)
        self.archives = [entries[run.members[0]].archive for run in self.runs]
        self.run_of = {
            (entries[member].archive.path, entries[member].offset): number
            for number, run in enumerate(self.runs)
            for member in run.members
        }
        self.left = [len(run.members) for run in self.runs]
        self.pool = pool
        self.fetched: dict[int, Future[bytes]] = {}
        self.next_run, self.bytes_ahead = 0, 0
        self.fetch_on()

    def read_at(self, archive: Archive, offset: int, num_bytes: int) -> bytes:
        number = self.run_of.pop((archive.path, offset), None)
        if number is None:
            return read_at(archive, offset, num_bytes)
        run = self.runs[number]
        self.fetch(number)
        content = self.fetched[number].result()[offset - run.begin :][:num_bytes]
        self.left[number] -= 1
        if not self.left[number]:
            del self.fetched[number]
            self.bytes_ahead -= run.end - run.begin
        self.fetch_on()
        return content

    def fetch_on(self) -> None:
        while self.next_run < len(self.runs) and self.bytes_ahead < AHEAD_BYTES:
            self.fetch(self.next_run)
            self.next_run += 1

    def fetch(self, number: int) -> None:
        if number not in self.fetched and self.left[number]:
            run = self.runs[number]
            self.bytes_ahead += run.end - run.begin
            self.fetched[number] = self.pool.submit(read_run, self.archives[number], run)


def read_run(archive: Archive, run: MergedRange) -> bytes:
    return read_at(archive, run.begin, run.end - run.begin)


def range_of(entry: Entry, file: int) -> ByteRange:
    """The bytes that `zips.read_stored` asks for."""
    end = entry.offset + HEADER_BYTES + entry.stored_bytes
    return ByteRange(file, entry.offset, min(end, entry.archive.num_bytes))


def spare_bytes(pages: Sequence[PageSource]) -> int:
    """What may be fetched beside the labels or the whole of these pages, so that fewer requests are needed."""
    return int(SPARE_SHARE * sum(page.image.stored_bytes + page.label.stored_bytes for page in pages))


def by_place(entry: Entry) -> tuple[str, int]:
    """What to sort by so that neighbors in a zip are read one after the other."""
    return entry.archive.path, entry.offset
