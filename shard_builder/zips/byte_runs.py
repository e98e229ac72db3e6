"""Runs of bytes in files, on disk or behind URLs, and how they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

import msgspec

from ocr.errors import DataError
from ocr.remote.connections import RemoteError, url_without_query
from ocr.remote.remote_files import read_range, status_of
from shard_builder.zips.stored_names import readable

MAX_OPEN_FILES = 64


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A run of bytes of one file on disk, or behind a URL: then `version` is what its server said of it."""

    path: str
    start: int
    num_bytes: int
    version: str = ""


def read_piece(piece: Piece, offset: int, num_bytes: int) -> bytes:
    if piece.version:
        return read_remote(piece, offset, num_bytes)
    try:
        status = os.stat(piece.path)
        file = open_file(os.getpid(), piece.path, status.st_dev, status.st_ino)
        content = os.pread(file.descriptor, num_bytes, piece.start + offset)
        while len(content) < num_bytes:  # one call gives 2 GiB at most, and a network's file system less when it likes
            begin = piece.start + offset + len(content)
            if not (more := os.pread(file.descriptor, num_bytes - len(content), begin)):
                break
            content += more
    except OSError as error:
        raise DataError(f"{readable(piece.path)}: cannot be read: {error.strerror}") from error
    return content


def read_remote(piece: Piece, offset: int, num_bytes: int) -> bytes:
    try:
        check_version(os.getpid(), piece.path, piece.version)
        return read_range(piece.path, piece.start + offset, min(num_bytes, piece.num_bytes - offset))
    except FileNotFoundError as error:
        raise RemoteError(
            f"{url_without_query(piece.path)}: is not there any more (404); run the same command again"
        ) from error


@lru_cache
def check_version(pid: int, url: str, version: str) -> None:
    """Raise RemoteError unless a process finds a file as it was when it was listed."""
    if status_of(url).version != version:
        raise RemoteError(f"{url_without_query(url)}: was replaced since it was listed; run the same command again")


class OpenFile:
    """A descriptor, closed when the last to read from it lets go of it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # `os` is gone when the interpreter ends
        close(self.descriptor)


@lru_cache(MAX_OPEN_FILES)
def open_file(pid: int, path: str, device: int, inode: int) -> OpenFile:
    """A process's own descriptor of a file; one that was replaced since is another file."""
    return OpenFile(os.open(path, os.O_RDONLY))
