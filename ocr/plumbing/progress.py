"""One kind of progress for every long step: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from time import monotonic
from typing import TypeVar

from tqdm import tqdm

LINE_SECONDS = 15.0

Item = TypeVar("Item")


def progress(
    items: Iterable[Item], name: str, unit: str, total: int | None = None, note: Callable[[], str] = str
) -> Iterator[Item]:
    """Pass items through and show on stderr how many were done, of how many, how fast and the time left.

    On a terminal a tqdm bar; in a log file, a pipe or CI one line every 15 seconds and one at the end, in the same
    words. `unit` is a plural ("pages"); `total` is taken from `len(items)` where it is not given; what `note` gives
    stands at the end.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        bar = tqdm(items, desc=name, unit=f" {unit}", total=total)
        for item in bar:
            yield item
            bar.set_postfix_str(note(), refresh=False)
        return
    done, shown, start, last_line = 0, -1, monotonic(), monotonic()
    for item in items:
        yield item
        done += 1
        if monotonic() - last_line >= LINE_SECONDS:
            shown, last_line = done, monotonic()
            print_line(done, total, last_line - start, name, unit, note())
    if shown != done:
        print_line(done, total, monotonic() - start, name, unit, note())


def print_line(done: int, total: int | None, seconds: float, name: str, unit: str, note: str) -> None:
    meter = tqdm.format_meter(done, total or 0, seconds, ncols=0, prefix=name, unit=f" {unit}", postfix=note or None)
    print(meter, file=sys.stderr, flush=True)
