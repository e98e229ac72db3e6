"""Samples as they stand in a tar: ustar, mtime 0, a fixed owner, so the same samples give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ocr.shards.shard_index import TAR_BLOCK, IndexBuilder, IndexRow, index_row

PADDING = bytes(TAR_BLOCK)
CHUNK_BYTES = 1 << 20  # to write and to hash at once: sample by sample a shard takes half as long again
TAR_RECORD = 20 * TAR_BLOCK  # a tar ends in at least two zero blocks and fills a record, as tar and tarfile leave it

Sample = tuple[str, dict[str, bytes]]
"""(key, {extension: bytes}); the key is ASCII and holds no dot, because WebDataset cuts a name at its first dot."""


class PackedSample(NamedTuple):
    """A sample's members with their headers and padding, and its row of the index."""

    content: bytes
    row: IndexRow


def pack_sample(sample: Sample, size: tuple[int, int] | None = None) -> PackedSample:
    """`size` is the patch's (width, height), for who knows it already."""
    key, members = sample
    parts: list[bytes] = []
    placed: dict[str, tuple[int, bytes]] = {}
    num_bytes = 0
    for extension, payload in members.items():
        padding = -len(payload) % TAR_BLOCK
        parts += (ustar_header(f"{key}.{extension}", len(payload)), payload, PADDING[:padding])
        placed[extension] = (num_bytes + TAR_BLOCK, payload)
        num_bytes += TAR_BLOCK + len(payload) + padding
    return PackedSample(b"".join(parts), index_row(num_bytes, placed, size))


def tar_chunks(samples: Iterable[PackedSample], rows: IndexBuilder) -> Iterator[bytes]:
    """A tar of samples, PIECE_BYTES and a sample at a time; each sample adds its row to `rows`."""
    piece: list[bytes] = []
    at, piece_begins = 0, 0
    for content, row in samples:
        rows.add(at, row)
        piece.append(content)
        at += len(content)
        if at - piece_begins >= CHUNK_BYTES:
            yield b"".join(piece)
            piece, piece_begins = [], at
    yield b"".join(piece) + bytes(2 * TAR_BLOCK + -(at + 2 * TAR_BLOCK) % TAR_RECORD)


# A ustar header (POSIX.1-1988): name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link name 100,
# magic and version 8, owner 32, group 32, device 16, prefix 155, unused 12. Only name, size and checksum ever differ.
BEFORE_SIZE = b"0000644\0" + 2 * b"0000000\0"
AFTER_CHECKSUM = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
MTIME = b"00000000000\0"
FIXED_SUM = sum(BEFORE_SIZE + MTIME + b" " * 8 + AFTER_CHECKSUM)


def ustar_header(name: str, num_bytes: int) -> bytes:
    """The 512 bytes before a member, as `tarfile` writes them for mtime 0 and no owner, ten times as fast.

    Raises ValueError for a name that is not ASCII or longer than 100 characters, or 8 GiB and more.
    """
    encoded, size = name.encode("ascii"), b"%011o\0" % num_bytes
    if len(encoded) > 100 or len(size) > 12:
        raise ValueError(f"{name}, {num_bytes:,} bytes: does not fit a ustar header")
    checksum = b"%06o\0 " % (FIXED_SUM + sum(encoded + size))
    return b"".join((encoded.ljust(100, b"\0"), BEFORE_SIZE, size, MTIME, checksum, AFTER_CHECKSUM))
