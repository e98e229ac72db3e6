"""What a command takes while it runs: Linux tells the memory of every process and every file it has open."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import msgspec

LOOK_SECONDS = 0.1


class Seen(msgspec.Struct):
    """The most that was seen at one time of what a command took. Memory is what was resident (VmHWM)."""

    command_bytes: int = 0  # memory of the command itself
    worker_bytes: int = 0  # memory of the largest process below it
    out_bytes: int = 0  # disk below OUT, files without a name, as a spill is, among them
    temp_bytes: int = 0  # disk in the temporary folder it was given
    elsewhere: set[str] = msgspec.field(default_factory=set)  # files outside OUT that it had open for writing


@contextmanager
def watched(pid: int, out: Path, temp: Path) -> Iterator[Seen]:
    """Look again and again at a process and its children, as long as the block lasts."""
    seen, ended = Seen(), Event()
    thread = Thread(target=watch, args=(pid, out, temp, seen, ended))
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def watch(pid: int, out: Path, temp: Path, seen: Seen, ended: Event) -> None:
    while not ended.wait(LOOK_SECONDS):
        command, *workers = with_children(pid)
        seen.command_bytes = max(seen.command_bytes, peak_memory(command))
        seen.worker_bytes = max([seen.worker_bytes, *map(peak_memory, workers)])
        nameless: dict[int, int] = {}  # bytes by inode: several processes may hold one
        for path, status in (file for process in (command, *workers) for file in written_files(process)):
            if not path.startswith(f"{out}/"):
                seen.elsewhere.add(path)
            elif status.st_nlink == 0:
                nameless[status.st_ino] = bytes_on_disk(status)
        seen.out_bytes = max(seen.out_bytes, bytes_below(out) + sum(nameless.values()))
        seen.temp_bytes = max(seen.temp_bytes, bytes_below(temp))


def peak_memory(process: int) -> int:
    """The most bytes that were resident since the process began what it runs; 0 when it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def written_files(process: int) -> Iterator[tuple[str, os.stat_result]]:
    """(path, status) of each file on a disk that a process has open for writing, but for its output."""
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
