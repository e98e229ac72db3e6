"""Which disk a command takes while it runs: Linux tells it of every open file, with a name or without."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import msgspec

LOOK_SECONDS = 0.1


class DiskUsage(msgspec.Struct):
    """The most that was seen at one time of what a command took."""

    out_bytes: int = 0  # below OUT, files without a name, as a spill is, among them
    temp_bytes: int = 0  # in the temporary folder it was given
    elsewhere: set[str] = msgspec.field(default_factory=set)  # files outside OUT that it had open for writing


@contextmanager
def watched(pid: int, out: Path, temp: Path) -> Iterator[DiskUsage]:
    """Look again and again at what a process and its children write, as long as the block lasts."""
    usage, ended = DiskUsage(), Event()
    thread = Thread(target=watch, args=(pid, out, temp, usage, ended))
    thread.start()
    try:
        yield usage
    finally:
        ended.set()
        thread.join()


def watch(pid: int, out: Path, temp: Path, usage: DiskUsage, ended: Event) -> None:
    while not ended.wait(LOOK_SECONDS):
        nameless: dict[int, int] = {}  # bytes by inode: several processes may hold one
        for path, status in written_files(pid):
            if not path.startswith(f"{out}/"):
                usage.elsewhere.add(path)
            elif status.st_nlink == 0:
                nameless[status.st_ino] = bytes_on_disk(status)
        usage.out_bytes = max(usage.out_bytes, bytes_below(out) + sum(nameless.values()))
        usage.temp_bytes = max(usage.temp_bytes, bytes_below(temp))


def written_files(pid: int) -> Iterator[tuple[str, os.stat_result]]:
    """(path, status) of each file on a disk that a process or one below it has open for writing, but for its output."""
    for process in with_children(pid):
        for number in names_in(f"/proc/{process}/fd"):
            with suppress(OSError):  # closed meanwhile
                path, status = os.readlink(f"/proc/{process}/fd/{number}"), os.stat(f"/proc/{process}/fd/{number}")
                flags = Path(f"/proc/{process}/fdinfo/{number}").read_text().split("flags:")[1].split()[0]
                if int(number) > 2 and stat.S_ISREG(status.st_mode) and int(flags, 8) & (os.O_WRONLY | os.O_RDWR):
                    yield path, status


def with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in names_in(f"/proc/{pid}/task"):
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from with_children(int(child))


def names_in(folder: str) -> list[str]:
    with suppress(OSError):
        return os.listdir(folder)
    return []


def bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # renamed meanwhile
            total += bytes_on_disk(path.lstat())
    return total


def bytes_on_disk(status: os.stat_result) -> int:
    return status.st_blocks * 512
