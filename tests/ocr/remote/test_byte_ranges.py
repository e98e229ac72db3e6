"""Neighboring ranges are fetched together, the nearest first, and never more beside them than was allowed."""

from __future__ import annotations

import random

import pytest

from ocr.remote.byte_ranges import ByteRange, merge_ranges

FAR = 1 << 40


@pytest.mark.parametrize(
    ("ranges", "spare", "runs"),
    [
        ([], FAR, []),
        ([(0, 5, 9)], FAR, [(5, 9, [0])]),
        ([(0, 0, 10), (0, 10, 20)], 0, [(0, 20, [0, 1])]),
        ([(0, 10, 20), (0, 0, 10)], 0, [(0, 20, [1, 0])]),
        ([(0, 0, 12), (0, 10, 20)], 0, [(0, 20, [0, 1])]),
        ([(0, 0, 30), (0, 10, 20)], 0, [(0, 30, [0, 1])]),
        ([(0, 0, 10), (0, 15, 20)], 4, [(0, 10, [0]), (15, 20, [1])]),
        ([(0, 0, 10), (0, 15, 20)], 5, [(0, 20, [0, 1])]),
        ([(0, 0, 10), (0, 20, 30), (0, 33, 40)], 10, [(0, 10, [0]), (20, 40, [1, 2])]),
        ([(0, 0, 10), (1, 10, 20)], FAR, [(0, 10, [0]), (10, 20, [1])]),
        ([(1, 0, 60), (1, 60, 120)], 0, [(0, 60, [0]), (60, 120, [1])]),
        ([(1, 50, 60), (0, 0, 10), (1, 60, 70)], 0, [(50, 70, [0, 2]), (0, 10, [1])]),
    ],
)
def test_ranges_become_runs(
    ranges: list[tuple[int, int, int]], spare: int, runs: list[tuple[int, int, list[int]]]
) -> None:
    found = merge_ranges([ByteRange(*one) for one in ranges], spare, run_bytes=100)
    assert [(run.begin, run.end, run.members) for run in found] == runs


def test_runs_hold_all_ranges_and_little_more() -> None:
    order = random.Random(1)
    for _ in range(50):
        starts = [order.randrange(10_000) for _ in range(40)]
        ranges = [ByteRange(order.randrange(2), start, start + order.randrange(1, 300)) for start in starts]
        runs = merge_ranges(ranges, spare_bytes=500)
        assert sorted(member for run in runs for member in run.members) == list(range(40))
        for run in runs:
            assert all(run.begin <= ranges[member].begin <= ranges[member].end <= run.end for member in run.members)
        wanted = {(one.file, byte) for one in ranges for byte in range(one.begin, one.end)}
        assert sum(run.end - run.begin for run in runs) <= len(wanted) + 500
