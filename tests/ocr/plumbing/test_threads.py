"""Work goes on at once and comes back in order; the program that asked keeps torch's threads as it set them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import torch

from ocr.plumbing.threads import map_in_threads

Result = TypeVar("Result")
FOREVER = 60.0  # seconds, in which a thread starts on any machine


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def in_a_new_thread(work: Callable[[], Result]) -> Result:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.mark.parametrize("num_items", [0, 1, 2, 3, 4, 50])
def test_results_are_in_the_order_of_the_items(num_items: int) -> None:
    assert map_in_threads(str, range(num_items)) == [str(item) for item in range(num_items)]


@pytest.mark.parametrize(("num_items", "num_at_once", "each"), [(1, 1, 4), (2, 2, 2), (3, 3, 1), (8, 4, 1)])
def test_torchs_threads_are_shared_out(num_items: int, num_at_once: int, each: int) -> None:
    all_at_work = threading.Barrier(num_at_once)

    def work(item: int) -> tuple[int, int]:
        all_at_work.wait(FOREVER)  # it breaks unless as many work at the same time
        return threading.get_ident(), torch.get_num_threads()

    found = map_in_threads(work, range(num_items))
    assert len({thread for thread, _ in found}) == num_at_once
    assert {number for _, number in found} == {each}


def test_torch_keeps_its_number_everywhere_else() -> None:
    before = threading.active_count()
    while_at_work = map_in_threads(lambda _: in_a_new_thread(torch.get_num_threads), range(8))
    assert set(while_at_work) == {4}
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 4
    assert threading.active_count() == before


def test_an_error_ends_it_and_leaves_nothing_behind() -> None:
    before = threading.active_count()

    def work(item: int) -> float:
        return 1 / (item - 5)

    with pytest.raises(ZeroDivisionError):
        map_in_threads(work, range(20))
    assert threading.active_count() == before
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 4


def test_a_thread_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's limit of threads, reached by the second."""
    start, before = threading.Thread.start, threading.active_count()

    def start_one(thread: threading.Thread) -> None:
        if threading.active_count() > before:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        map_in_threads(str, range(8))
    monkeypatch.undo()
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 4


def test_many_may_ask_at_once() -> None:
    def ask(start: int) -> tuple[list[int], int]:
        return map_in_threads(lambda item: item + torch.get_num_threads() - 1, range(start, start + 20)), (
            torch.get_num_threads()
        )

    with ThreadPoolExecutor(6) as pool:
        for start, (found, number) in enumerate(pool.map(ask, range(30))):
            assert (found, number) == (list(range(start, start + 20)), 4)
