"""Where shards lie: a path on disk, or a URL that answers to the same names."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from ocr.remote.connections import is_url, protocol_of, url_without_query
from ocr.remote.remote_files import PART_BYTES, Status, files_below, read_range, read_whole, remove, status_of

FIRST_BYTES, GROWTH = 64 << 10, 4  # of a part after a jump, and of each that follows it, up to PART_BYTES


class Url(msgspec.Struct, frozen=True, order=True, gc=False):
    """A file or folder behind a URL, with those of pathlib's methods that shards need, in pathlib's words."""

    text: str

    def __str__(self) -> str:
        return url_without_query(self.text)

    def __truediv__(self, below: str) -> Url:
        head, query = self.split()
        return Url(f"{head.rstrip('/')}/{below}{query}")

    def split(self) -> tuple[str, str]:
        """(all before the query, the query with its question mark). Only web addresses have one."""
        head, mark, query = self.text.partition("?") if self.text.startswith("http") else (self.text, "", "")
        return head, mark + query

    @property
    def name(self) -> str:
        return PurePosixPath(self.split()[0]).name

    @property
    def parent(self) -> Url:
        head, query = self.split()
        return Url(head.rstrip("/").rpartition("/")[0] + query)

    def with_suffix(self, suffix: str) -> Url:
        return self.parent / PurePosixPath(self.name).with_suffix(suffix).name

    def with_name(self, name: str) -> Url:
        return self.parent / name

    def exists(self) -> bool:
        try:
            status_of(self.text)
        except FileNotFoundError:
            return False
        return True

    def stat(self) -> Status:
        return status_of(self.text)

    def read_bytes(self) -> bytes:
        return read_whole(self.text)

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def is_dir(self) -> bool:
        return any(True for _ in self.glob("*"))

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: folders are parts of names."""

    def unlink(self, missing_ok: bool = False) -> None:
        remove(self.text)

    def glob(self, pattern: str) -> Iterator[Url]:
        """The files in this folder whose names match; none where there is no such folder."""
        try:
            urls = files_below(self.text)
        except FileNotFoundError:  # a web server says so; a bucket has no folders, and lists nothing
            return
        for url in urls:
            found = Url(url)
            if found.parent.split()[0] == self.split()[0].rstrip("/") and fnmatchcase(found.name, pattern):
                yield found

    def open(self, mode: str = "rb", buffering: int = -1) -> io.BufferedReader:
        """The file from end to end, or any part of it, to read. Raises FileNotFoundError."""
        return io.BufferedReader(RemoteFile(self.text, status_of(self.text).st_size))


PathOrUrl = Path | Url
AnyPath = TypeVar("AnyPath", Path, Url, PathOrUrl)


def path_or_url(text: str) -> PathOrUrl:
    """Raises UsageError for a URL of a protocol that is not read."""
    if not is_url(text):
        return Path(text)
    protocol_of(text)
    return Url(text)


class RemoteFile(io.RawIOBase):
    """A file behind a URL. What is read on and on comes in growing parts, the next of them on its way meanwhile."""

    def __init__(self, url: str, num_bytes: int) -> None:
        self.url, self.num_bytes, self.position = url, num_bytes, 0
        self.begin, self.part = 0, b""  # what was read last
        self.part_bytes = FIRST_BYTES
        self.ahead: tuple[int, Future[bytes]] | None = None
        self.pool = ThreadPoolExecutor(1)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.num_bytes}[whence]
        if base + offset < 0:
            raise OSError("seek before the beginning")
        self.position = base + offset
        return self.position

    def readinto(self, buffer: Any) -> int:
        if not self.begin <= self.position < self.begin + len(self.part):
            self.turn_to(self.position)
        content = memoryview(self.part)[self.position - self.begin :][: len(buffer)]
        memoryview(buffer)[: len(content)] = content
        self.position += len(content)
        return len(content)

    def turn_to(self, begin: int) -> None:
        goes_on = bool(self.part) and begin == self.begin + len(self.part)
        self.part_bytes = min(PART_BYTES, GROWTH * self.part_bytes) if goes_on else FIRST_BYTES
        ahead, self.ahead = self.ahead, None
        self.part = ahead[1].result() if ahead and ahead[0] == begin else self.fetched(begin)
        self.begin, following = begin, begin + len(self.part)
        if self.part_bytes == PART_BYTES and following < self.num_bytes:
            self.ahead = following, self.pool.submit(self.fetched, following)

    def fetched(self, begin: int) -> bytes:
        return read_range(self.url, begin, max(0, min(self.part_bytes, self.num_bytes - begin)))

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        super().close()
