"""Which ranges of bytes to ask a server for: neighbors together, because a request costs as much as 1 MB does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MERGED_BYTES = 4 << 20  # of merged ranges at most


class ByteRange(NamedTuple):
    """Bytes `begin` to `end` of file number `file`."""

    file: int
    begin: int
    end: int


class MergedRange(NamedTuple):
    """Bytes to fetch at once, and the numbers of the ranges that lie in them."""

    file: int
    begin: int
    end: int
    members: list[int]


def merge_ranges(ranges: Sequence[ByteRange], spare_bytes: int, run_bytes: int = MERGED_BYTES) -> list[MergedRange]:
    """The runs that hold all ranges, in the order of each run's first range.

    The smallest gaps are closed first, as long as they come to `spare_bytes` at most: so runs hold no more than that
    beside the ranges. No run that joins ranges is longer than `run_bytes`.
    """
    order = sorted(range(len(ranges)), key=ranges.__getitem__)
    closed = closed_gaps([ranges[number] for number in order], spare_bytes)
    runs: list[MergedRange] = []
    for number, is_closed in zip(order, [False, *closed], strict=False):
        wanted = ranges[number]
        if is_closed and max(runs[-1].end, wanted.end) - runs[-1].begin <= run_bytes:
            runs[-1].members.append(number)
            runs[-1] = runs[-1]._replace(end=max(runs[-1].end, wanted.end))
        else:
            runs.append(MergedRange(*wanted, [number]))
    return sorted(runs, key=lambda run: min(run.members))


def closed_gaps(ordered: Sequence[ByteRange], spare_bytes: int) -> list[bool]:
    """Whether each range, from the second on, is fetched with the one before it."""
    if len(ordered) < 2:
        return []
    table = np.array(ordered, np.int64)
    gaps = np.maximum(table[1:, 1] - table[:-1, 2], 0)
    neighbors = table[1:, 0] == table[:-1, 0]
    by_size = np.argsort(np.where(neighbors, gaps, np.iinfo(np.int64).max), kind="stable")
    by_size = by_size[: int(neighbors.sum())]
    affordable = by_size[np.cumsum(gaps[by_size]) <= spare_bytes]
    closed = np.zeros(len(gaps), bool)
    closed[affordable] = True
    return [bool(is_closed) for is_closed in closed]
