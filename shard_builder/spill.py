"""Samples on their way from the order of pages to the order of shards.

A group's samples, 300 MB of them, come in page order and leave shuffled. They wait in a file without a name in the
shards' own folder, or in $TMPDIR if that is a bucket: it takes the page cache, which the system may use for others, and
is gone with its process, however that ends. Their rows of the index stay in memory, 20 MB of them.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path

from ocr.remote.locations import PathOrUrl
from ocr.shards.shard_index import IndexRow
from ocr.shards.tar_writer import PackedSample

WRITE_BUFFER_BYTES = 1 << 20


class Spill:
    """`num_slots` places for samples: put them in any order, take them in the order of the slots."""

    def __init__(self, folder: PathOrUrl, num_slots: int) -> None:
        local = folder if isinstance(folder, Path) else None
        self.file = tempfile.TemporaryFile(dir=local, buffering=WRITE_BUFFER_BYTES)  # noqa: SIM115
        self.rows: list[IndexRow | None] = [None] * num_slots
        self.offset = array("Q", bytes(8 * num_slots))
        self.end = 0

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def put(self, slot: int, sample: PackedSample) -> None:
        self.file.write(sample.content)
        self.rows[slot], self.offset[slot] = sample.row, self.end
        self.end += len(sample.content)

    def samples(self, start: int, stop: int) -> Iterator[PackedSample]:
        """The samples in slots start..stop; a slot that was never filled is passed over."""
        self.file.flush()
        descriptor = self.file.fileno()
        for row, offset in zip(self.rows[start:stop], self.offset[start:stop], strict=True):
            if row:
                yield PackedSample(os.pread(descriptor, row.sample_bytes, offset), row)
