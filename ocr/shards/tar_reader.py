"""Tars read from end to end, from a file, a program (`pipe:…`) or a URL: whole, or an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from webdataset.tariterators import group_by_keys, tar_file_expander

from ocr.errors import DataError
from ocr.shards.shard_index import TAR_BLOCK
from ocr.shards.streams import open_streams

TarSample = dict[str, Any]
"""As WebDataset gives it: {"__key__", "__url__", extension: bytes}."""


def tar_samples(shards: Iterable[dict[str, str]], num_samples: Mapping[str, int]) -> Iterator[TarSample]:
    """The samples of shards. Raises DataError for a tar that ends before its end mark, as tarfile does not.

    `num_samples` says how many a URL must give, where a manifest tells it.
    """
    for source in open_streams(shards):
        url, watched = source["url"], BlockReader(source["stream"])
        found = 0
        for sample in group_by_keys(tar_file_expander([{"url": url, "stream": watched}])):
            found += 1
            yield sample
        if not watched.ended():
            raise DataError(f"{url}: ends, or is damaged, after {found:,} samples; build the shard again")
        if found != num_samples.get(url, found):
            raise DataError(f"{url}: {found:,} samples where its manifest says {num_samples[url]:,}; build it again")


class BlockReader:
    """A stream that is read block by block, so that what a tar reader took for its end is the last block read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.buffer, self.at, self.last = b"", 0, b""

    def read(self, num_bytes: int) -> bytes:
        if self.at == len(self.buffer):
            self.buffer, self.at = self.stream.read(1 << 20), 0
        self.last = self.buffer[self.at : self.at + min(num_bytes, TAR_BLOCK)]
        self.at += len(self.last)
        return self.last

    def ended(self) -> bool:
        """Whether the tar ended with its mark; reads the rest, so that a program behind a pipe can end too."""
        while self.stream.read(1 << 20):
            pass
        return self.last == bytes(TAR_BLOCK)
