from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from evaluator.pipeline import Clock, ahead


def counted(begun: list[int]) -> Iterator[int]:
    for number in range(6):
        begun.append(number)
        yield number


@pytest.mark.parametrize("at_most", [1, 2, 9])
def test_results_come_in_order(at_most: int) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert list(ahead(lambda number: number * number, range(20), pool, at_most)) == [n * n for n in range(20)]


def test_no_more_items_are_taken_than_asked() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(3) as pool:
        results = ahead(str, counted(begun), pool, 2)
        assert next(results) == "0"
        assert begun == [0, 1]


def test_the_next_item_is_worked_on_while_the_last_is_looked_at() -> None:
    second = Event()

    def work(number: int) -> int:
        if number == 1:
            second.set()
        return number

    with ThreadPoolExecutor(1) as pool:
        results = ahead(work, range(3), pool, 2)
        assert next(results) == 0
        assert second.wait(10)


def test_an_error_comes_at_its_items_turn() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = ahead(lambda number: 6 // number, (3, 2, 0, 1), pool, 3)
        assert [next(results), next(results)] == [2, 3]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_a_clock_adds_up_what_threads_spend() -> None:
    clock = Clock()

    def work(_: int) -> None:
        with clock.timed("step"):
            pass
        clock.add({"other": 0.5})

    with ThreadPoolExecutor(4) as pool:
        list(ahead(work, range(200), pool, 8))
    assert clock.seconds["other"] == 100
    assert 0 < clock.seconds["step"] < 10
