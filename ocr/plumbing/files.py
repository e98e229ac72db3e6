"""A name on disk means whole: write beside, fsync, rename."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO
from uuid import uuid4

from ocr.remote.locations import PathOrUrl, Url
from ocr.remote.remote_files import upload


@contextmanager
def write_whole(path: PathOrUrl) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under `path` only when the block ends without an error.

    The bytes and the rename are on disk when the block has ended (fsync of the file and of its folder); an error
    or a kill leaves whatever stood under `path` before. The temporary name starts with a dot, so that no reader takes
    it for data, and is drawn at random, so that two writers, on two machines even, do not meet. Behind a URL a PUT does
    the same; until then the bytes wait in a file on this machine that a kill takes along (on Linux).
    """
    if isinstance(path, Url):
        by_number = Path("/proc/self/fd")
        with TemporaryFile() if by_number.is_dir() else NamedTemporaryFile() as local:
            yield local
            local.flush()
            upload(path.text, by_number / str(local.fileno()) if by_number.is_dir() else Path(local.name))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp-{uuid4().hex[:12]}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder survive a power cut. Does nothing where folders cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
