"""Steps that overlap: while a page is detected, the next is decoded and the one before is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(work: Callable[[Given], Made], items: Iterable[Given], pool: Executor, at_most: int) -> Iterator[Made]:
    """`map(work, items)` in a pool, in order, with at most `at_most` items begun and not yet taken.

    An error in `work` is raised where its item's turn is.
    """
    begun: deque[Future[Made]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) == at_most:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


class Clock:
    """Wall seconds by step, summed over all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.lock = Lock()

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = monotonic()
        try:
            yield
        finally:
            self.add({step: monotonic() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        with self.lock:
            for step, spent in seconds.items():
                self.seconds[step] = self.seconds.get(step, 0.0) + spent
