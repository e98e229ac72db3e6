"""The floor: what no builder can go below on one core with OpenCV. Grey decode, crop, JPEG encode, from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import mean
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np

from bench.dataset import SETTINGS, DrawnPage
from ocr.plumbing.memory import keep_freed_memory

Floor = Callable[[], tuple[float, float]]
"""Takes the pages in each process, all at the same time: (pages/s of all, CPU milliseconds a page)."""

NUM_TIMES = 3  # each page is taken: 4 s in all

pages_of_process: list[DrawnPage] = []
start_together: Any = None  # a multiprocessing.Barrier, which reaches a process only as it starts


@contextmanager
def floor_of(num_processes: int, pages: Sequence[DrawnPage]) -> Iterator[Floor]:
    """The processes stay, with all pages in their memory, as long as the block lasts."""
    context = get_context("spawn")
    given, num_pages = (context.Barrier(num_processes), list(pages)), len(pages) * NUM_TIMES
    with ProcessPoolExecutor(num_processes, context, initializer=start, initargs=given) as pool:

        def measure() -> tuple[float, float]:
            took = [future.result() for future in [pool.submit(take_pages) for _ in range(num_processes)]]
            pages_a_second = sum(num_pages / seconds for seconds, _ in took)
            return pages_a_second, mean(cpu_seconds for _, cpu_seconds in took) / num_pages * 1e3

        yield measure


def start(barrier: Any, pages: list[DrawnPage]) -> None:
    global start_together
    start_together = barrier
    pages_of_process.extend(pages * NUM_TIMES)
    cv2.setNumThreads(1)
    keep_freed_memory()


def take_pages() -> tuple[float, float]:
    """Seconds, and those of CPU."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, SETTINGS.jpeg_quality]
    start_together.wait()
    start, cpu_start = perf_counter(), process_time()
    for page in pages_of_process:
        image = cv2.imdecode(np.frombuffer(page.image, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        for x0, y0, x1, y1 in page.boxes:
            cv2.imencode(".jpg", image[y0:y1, x0:x1], quality)
    return perf_counter() - start, process_time() - cpu_start
