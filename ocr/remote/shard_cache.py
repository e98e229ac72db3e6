"""Parts of remote shards kept on disk, for all processes of a machine.

    CACHE_DIR/<SHA-256 of the shard>/<number of the block>     BLOCK_BYTES of it, the last block fewer
    CACHE_DIR/.locks/<number>                                  who fetches a block holds one of these

A block is whole under its name, and is fetched by one process while the others that want it wait. What was not used for
longest goes first once there is more than was allowed. Readers hold each sample against its checksum; a block that
turns out to be damaged is dropped and fetched again.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from ocr.errors import UsageError
from ocr.remote.locations import Url
from ocr.remote.remote_files import read_range

BLOCK_BYTES = 1 << 20  # about a slice of the order, and what a request of 20 ms latency is worth
NUM_LOCKS = 64
LOOK_BYTES = 16 << 20  # written by a process between two looks at how much there is, or an eighth of the limit
KEPT_SHARE = 0.9  # of the limit, when something has to go


class RemoteShard(NamedTuple):
    """A shard behind a URL, known by its checksum."""

    url: Url
    sha256: str
    num_bytes: int


class Cache:
    """At most `max_bytes` below a folder, but for LOOK_BYTES a process. Raises UsageError where it cannot be made."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.written, self.can_write = 0, True
        try:
            (folder / ".locks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cache_dir: {folder}: {error.strerror}; name a folder that can be written") from error

    def read(self, shard: RemoteShard, begin: int, end: int) -> bytes:
        """Bytes `begin` to `end` of a shard, from disk or else from its server."""
        parts = []
        for block in range(begin // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            start = block * BLOCK_BYTES
            parts.append(self.part(shard, block, max(begin - start, 0), min(end - start, BLOCK_BYTES)))
        return b"".join(parts)

    def part(self, shard: RemoteShard, block: int, begin: int, end: int) -> bytes:
        path, start = self.path(shard, block), block * BLOCK_BYTES
        if (found := read_block(path, begin, end)) is not None:
            return found
        if not self.can_write:  # a block that nobody keeps is too much for a sample
            return read_range(shard.url.text, start + begin, end - begin)
        with self.fetching(path):
            if (found := read_block(path, begin, end)) is not None:  # fetched by another process meanwhile
                return found
            content = read_range(shard.url.text, start, min(BLOCK_BYTES, shard.num_bytes - start))
            self.store(path, content)
        self.make_room()
        return content[begin:end]

    def drop(self, shard: RemoteShard, begin: int, end: int) -> None:
        """Forget the blocks that hold these bytes."""
        for block in range(begin // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            self.path(shard, block).unlink(missing_ok=True)

    def path(self, shard: RemoteShard, block: int) -> Path:
        return self.folder / shard.sha256 / str(block)

    @contextmanager
    def fetching(self, path: Path) -> Iterator[None]:
        """Hold a block as the one who fetches it; without locks on the file system several may, and write the same."""
        number = zlib.crc32(f"{path.parent.name}/{path.name}".encode()) % NUM_LOCKS
        with ExitStack() as opened:
            with suppress(OSError, ImportError):
                import fcntl  # which Windows has not

                lock = opened.enter_context((self.folder / ".locks" / str(number)).open("a"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def store(self, path: Path, content: bytes) -> None:
        beside = path.with_name(f".tmp-{uuid4().hex[:12]}")
        try:
            path.parent.mkdir(exist_ok=True)
            beside.write_bytes(content)
            os.replace(beside, path)
        except OSError as error:  # a full disk, mostly: a cache is no reason to stop
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            not_said, self.can_write = self.can_write, False
            if not_said:
                what = f"{error.strerror}; what is not there is read without it"
                print(f"cache_dir: {self.folder}: {what}", file=sys.stderr, flush=True)
        self.written += len(content)

    def make_room(self) -> None:
        """Remove what was not used for longest, if there is too much."""
        if self.written < min(LOOK_BYTES, self.max_bytes // 8):
            return
        self.written = 0
        found = sorted(blocks_in(self.folder))
        total = sum(num_bytes for _, num_bytes, _ in found)
        if total <= self.max_bytes:
            return
        for _, num_bytes, path in found:
            if total <= KEPT_SHARE * self.max_bytes:
                return
            with suppress(FileNotFoundError):  # another process was faster
                os.unlink(path)
            total -= num_bytes


def read_block(path: Path, begin: int, end: int) -> bytes | None:
    """Bytes of a block, marked as used now; None where it is not there, cut off, or cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            content = os.pread(file.fileno(), end - begin, begin)
            os.utime(file.fileno())
    except OSError:
        return None
    return content if len(content) == end - begin else None


def blocks_in(folder: Path) -> Iterator[tuple[float, int, str]]:
    """(last use, bytes, path) of every block, and of what killed processes left of one."""
    for shard in os.scandir(folder):
        if shard.name == ".locks" or not shard.is_dir():
            continue
        for block in os.scandir(shard.path):
            with suppress(FileNotFoundError):
                status = block.stat()
                yield status.st_mtime, status.st_size, block.path
