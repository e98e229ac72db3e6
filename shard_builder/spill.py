"""Samples on their way from the order of pages to the order of shards.

A group's samples, 300 MB of them, come in page order and leave shuffled. They wait in a file without a name in the
shards' own folder, or in $TMPDIR if that is a bucket: it takes no memory but the page cache, and it is gone with its
process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from ocr.places import Place
from ocr.shards import Sample

WRITE_BUFFER_BYTES = 1 << 20


class Spill:
    """`num_slots` places for samples: put them in any order, take them in the order of the slots."""

    def __init__(self, folder: Place, num_slots: int) -> None:
        local = folder if isinstance(folder, Path) else None
        self.file = tempfile.TemporaryFile(dir=local, buffering=WRITE_BUFFER_BYTES)  # noqa: SIM115
        self.offset = np.zeros(num_slots, np.uint64)
        self.num_bytes = np.zeros(num_slots, np.uint32)
        self.end = 0

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def put(self, slot: int, sample: Sample) -> None:
        encoded = msgspec.msgpack.encode(sample)
        self.file.write(encoded)
        self.offset[slot], self.num_bytes[slot] = self.end, len(encoded)
        self.end += len(encoded)

    def samples(self, start: int, stop: int) -> Iterator[Sample]:
        """The samples in slots start..stop; a slot that was never filled is passed over."""
        self.file.flush()
        decoder = msgspec.msgpack.Decoder(Sample)
        for offset, num_bytes in zip(
            self.offset[start:stop].tolist(), self.num_bytes[start:stop].tolist(), strict=True
        ):
            if num_bytes:
                yield decoder.decode(os.pread(self.file.fileno(), num_bytes, offset))
