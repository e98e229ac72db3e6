"""Items computed at once, each on a thread of its own, without a trace in the program that asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

SETTING = threading.Lock()
"""Held while torch's number of threads is another than the caller's: see `start`."""


def map_in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`[work(item) for item in items]` by as many threads as torch computes with here, which share them out.

    Threads that torch itself starts wait for each other after every layer, and in an LSTM after every step; these do
    not. They have ended when this returns, with the first error if there is one, and torch computes with as many
    threads as before, in the caller and elsewhere.
    """
    with SETTING:
        num_threads = torch.get_num_threads()
    num_workers = min(num_threads, len(items))
    if num_workers < 2:
        return [work(item) for item in items]
    started = threading.Barrier(num_workers + 1)
    with ThreadPoolExecutor(num_workers, "reads", start, (num_threads // num_workers, started)) as pool:
        with SETTING:
            try:
                results = pool.map(work, items)
                started.wait()
            except BaseException:
                started.abort()  # or those that were started would wait for the others
                raise
            finally:
                torch.set_num_threads(num_threads)
        return list(results)


def start(num_threads: int, started: threading.Barrier) -> None:
    """The number is this thread's alone, but also that of every thread that first uses torch before it is set back."""
    torch.get_num_threads()  # a thread's first use of torch takes the number of the others
    torch.set_num_threads(num_threads)
    started.wait()
