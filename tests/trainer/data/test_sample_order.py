"""The order is a pure function: the same global batches for any ranks, workers and restarts; every sample once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice, takewhile

import numpy as np
import pytest

from trainer.data.indexed_reader import PlannedBatch, Reader, training_plan
from trainer.data.sample_order import (
    SLICE_SAMPLES,
    Cursor,
    Order,
    batches,
    deal_equal_widths,
    draws,
    interleaved,
    parts_of,
    share,
    slice_bounds,
)


def drawn_widths(number: int, seed: int = 0) -> np.ndarray:
    """Widths at height 64 as AI-Hub's words have them: width / height is 2.65 in the median and at most 16."""
    ratios = np.clip(np.exp(np.random.default_rng(seed).normal(np.log(2.65), 0.591, number)), 0.25, 16)
    return (-(-(64 * ratios).astype(np.int64) // 4) * 4).astype(np.uint16)


def order(number: int = 1_000, batch_size: int = 24, **values: int) -> Order:
    return Order(
        values.pop("seed", 1111),
        drawn_widths(number),
        slice_bounds([number // 3, 0, number - number // 3]),
        batch_size,
        **values,
    )


def epoch_of(source: Order, epoch: int) -> list[np.ndarray]:
    """The batches that a cursor counts to an epoch."""
    found: list[np.ndarray] = []
    for samples, cursor in batches(source, Cursor(epoch)):
        if cursor.epoch > epoch:
            return found
        found.append(samples)
    raise AssertionError("the order ended")


def whole_batches(
    orders: Sequence[Order],
    number: int,
    num_ranks: int,
    num_workers: int,
    cursors: Sequence[Cursor] | None = None,
    turn: int = 1,
) -> list[list[tuple[int, int]]]:
    """The samples of the first batches, put together from what every worker of every rank reads."""
    whole: list[list[tuple[int, int]]] = [[] for _ in range(number)]
    for rank in range(num_ranks):
        for worker in range(num_workers):
            reader = Reader(rank, num_ranks, worker, num_workers, turn)
            plan = training_plan(orders, cursors or [Cursor()] * len(orders), reader)
            mine = takewhile(lambda one: one < number, reader.numbers())
            for _, planned in zip(mine, plan, strict=False):
                whole[planned.number] += [(s, n) for s, n in planned.members.tolist()] if planned.weight else []
    return whole


@pytest.mark.parametrize(("num_workers", "turn"), [(1, 1), (3, 1), (1, 4), (3, 4)])
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 4, 8, 30])
def test_batches_are_the_same_for_any_number_of_ranks_and_workers(num_ranks: int, num_workers: int, turn: int) -> None:
    assert whole_batches([order()], 100, num_ranks, num_workers, turn=turn) == whole_batches([order()], 100, 1, 1)


@pytest.mark.parametrize("batch_size", [24, 25])
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 4, 8, 30])
def test_the_weights_of_the_ranks_parts_make_the_mean_over_the_batch(num_ranks: int, batch_size: int) -> None:
    parts = [
        next(training_plan([order(batch_size=batch_size)], [Cursor()], Reader(rank, num_ranks, 0, 1)))
        for rank in range(num_ranks)
    ]
    assert all(
        part.size == len(part.members) > 0 for part in parts
    )  # a rank without a sample would leave the others waiting
    assert len({part.width for part in parts}) == 1
    for part in parts:
        num_counted = len(part.members) if part.weight else 0
        assert part.weight / num_ranks == pytest.approx(num_counted / batch_size)
    assert sum(part.weight for part in parts) == pytest.approx(num_ranks)


@pytest.mark.parametrize(
    ("number", "batch_size"), [(1_000, 25), (1_000, 24), (7, 4), (7, 16), (1, 1), (40_000, 64), (600, 600)]
)
def test_every_sample_comes_once_an_epoch(number: int, batch_size: int) -> None:
    """… and so come, with the last batch of the third epoch, the first samples of the fourth."""
    source, num_batches = order(number, batch_size), -(-3 * number // batch_size)
    flow = np.concatenate([samples for samples, _ in islice(batches(source, Cursor()), num_batches)])
    times = num_batches * batch_size // number
    assert len(flow) == num_batches * batch_size
    seen = Counter(flow.tolist())
    assert len(seen) == number
    assert set(seen.values()) <= {times, times + 1}
    for epoch in range(3 if number % batch_size == 0 else 0):
        assert sorted(np.concatenate(epoch_of(source, epoch)).tolist()) == list(range(number))


def test_an_epoch_whose_last_batch_is_filled_from_the_next_is_whole_all_the_same() -> None:
    source = order(1_000, 24)
    flow = np.concatenate(epoch_of(source, 0))
    assert len(flow) == 1_008
    assert set(flow.tolist()) == set(range(1_000))
    both = Counter([*flow.tolist(), *flat(source, 1)])
    assert Counter(both.values()) == {2: 984, 3: 16}  # 16 fill the last batch of the second epoch


@pytest.mark.parametrize("batch_columns", [0, 6_000])
def test_a_run_goes_on_at_every_batch_as_if_it_had_not_stopped(batch_columns: int) -> None:
    source = order(200, 24, batch_columns=batch_columns)
    flow = list(islice(batches(source, Cursor()), 30))
    assert {cursor.epoch for _, cursor in flow} >= {0, 1, 2}
    for done, (_, cursor) in enumerate(flow[:-1], start=1):
        again = islice(batches(source, cursor), len(flow) - done)
        assert [samples.tolist() for samples, _ in again] == [samples.tolist() for samples, _ in flow[done:]]


@pytest.mark.parametrize(("num_ranks", "num_workers"), [(1, 1), (2, 3), (5, 2)])
def test_a_mixed_run_goes_on_with_other_ranks_and_workers(num_ranks: int, num_workers: int) -> None:
    orders = [order(500, 16), order(70, 8, source=1)]
    whole = whole_batches(orders, 60, 1, 1)
    for done in (1, 7, 20, 31):
        planned = next(islice(training_plan(orders, [Cursor()] * 2, Reader(0, 1, 0, 1)), done - 1, None))
        assert whole_batches(orders, 60 - done, num_ranks, num_workers, planned.cursors) == whole[done:]


def flat(source: Order, epoch: int = 0) -> list[int]:
    return [int(sample) for samples in epoch_of(source, epoch) for sample in samples]


def test_epochs_seeds_and_sources_are_shuffled_differently() -> None:
    flows = [flat(order(960)), flat(order(960), 1), flat(order(960, seed=2)), flat(order(960, source=1))]
    assert all(sorted(flow) == list(range(960)) for flow in flows)
    assert len({tuple(flow) for flow in flows}) == len(flows)


def test_the_order_is_the_same_on_every_machine_and_with_every_numpy() -> None:
    assert draws(np.arange(2)).tolist() == [0, 16294208416658607535]  # SplitMix64's first number from seed 0
    assert draws(np.arange(2), 1111, 5).tolist() == [11732473649176120139, 9468222501820872376]
    assert np.sort(epoch_of(order(100, 8), 1)[3]).tolist() == [9, 14, 27, 30, 51, 58, 61, 83]


@pytest.mark.parametrize("batch_size", [8, 64, 512])
def test_little_of_a_batch_is_padding(batch_size: int) -> None:
    source = order(60_000, batch_size)
    widths = [source.width[samples] for samples in epoch_of(source, 0)]
    padded = sum(int(width.max()) * len(width) for width in widths)
    assert sum(int(width.sum()) for width in widths) > 0.94 * padded
    fixed = np.minimum(source.width, 600).mean() / 600
    assert fixed < 0.35  # what EasyOCR's trainer pads to


@pytest.mark.parametrize("ends", [list(range(7, 1_000, 7)), [1_000], [400, 401, 402, 1_000], [500]])
def test_batches_hold_what_a_whole_sort_by_width_and_draw_would_give_them(ends: list[int]) -> None:
    width, drawn = drawn_widths(1_000), draws(np.arange(1_000), 7)
    by_width = np.argsort(width, kind="stable")
    deal_equal_widths(by_width, width[by_width], drawn, np.array(ends))
    whole = np.lexsort((drawn, width))
    for start, stop in zip([0, *ends], [*ends, 1_000], strict=True):
        assert set(by_width[start:stop].tolist()) == set(whole[start:stop].tolist())


def test_wide_and_narrow_batches_come_in_any_order() -> None:
    source = order(32_000, 64)
    widest = np.array([source.width[samples].max() for samples in epoch_of(source, 0)], dtype=float)
    assert abs(np.corrcoef(widest[:-1], widest[1:])[0, 1]) < 0.15


def test_a_batch_is_drawn_from_many_slices() -> None:
    source = order(32_000, 256)
    slices = [len(set((samples // SLICE_SAMPLES).tolist())) for samples in epoch_of(source, 0)]
    assert np.mean(slices) > 50  # of 64 in a window


@pytest.mark.parametrize("columns", [1_280, 12_800])
def test_a_budget_of_pixels_is_kept_and_used(columns: int) -> None:
    source = order(30_000, 64, batch_columns=columns)
    flow = epoch_of(source, 0)
    assert sorted(np.concatenate(flow).tolist()) == list(range(30_000))
    areas = [len(samples) * int(source.width[samples].max()) for samples in flow]
    assert max(areas) <= columns
    assert np.mean(areas) > 0.75 * columns


@pytest.mark.parametrize(
    ("batch_size", "ratios", "parts"),
    [
        (64, "1", [64]),
        (64, "0.5-0.5", [32, 32]),
        (7, "0.5-0.5", [4, 3]),
        (10, "0.25-0.75", [3, 7]),
        (10, "1-2", [3, 7]),
        (10, "0.33-0.33-0.34", [3, 3, 4]),
        (3, "0.05-0.95", [0, 3]),
        (8, "0.1-0.1-0.8", [1, 1, 6]),
    ],
)
def test_sources_share_a_batch_by_largest_remainder(batch_size: int, ratios: str, parts: list[int]) -> None:
    assert parts_of(batch_size, [Fraction(ratio) for ratio in ratios.split("-")]) == parts


def test_every_batch_of_a_mixture_has_its_parts_and_every_source_its_epochs() -> None:
    orders = [order(1_000, 18), order(60, 6, source=1)]
    whole = whole_batches(orders, 500, 2, 1)
    assert {tuple(sorted(Counter(source for source, _ in batch).items())) for batch in whole} == {((0, 18), (1, 6))}
    for source, number in enumerate((1_000, 60)):
        seen = Counter(sample for batch in whole for owner, sample in batch if owner == source)
        assert len(seen) == number
        assert set(seen.values()) == {500 * (18, 6)[source] // number}


def test_sources_of_a_mixture_give_similar_widths_at_a_time() -> None:
    orders = [order(8_000, 32), Order(1111, drawn_widths(3_000, seed=1), slice_bounds([3_000]), 32, source=1)]
    whole = whole_batches(orders, 200, 1, 1)
    widths = [[int(orders[source].width[sample]) for source, sample in batch] for batch in whole]
    assert sum(map(sum, widths)) > 0.9 * sum(max(batch) * len(batch) for batch in widths)


def test_ranks_read_neighbors_and_every_rank_has_its_part_of_every_source() -> None:
    batch = interleaved([np.arange(16)[::-1], np.arange(100, 108)])
    for rank in range(4):
        mine = batch[share(len(batch), rank, 4)]
        assert Counter(mine[:, 0].tolist()) == {0: 4, 1: 2}
        assert mine[mine[:, 0] == 0, 1].tolist() == list(range(4 * rank, 4 * rank + 4))


@pytest.mark.parametrize(("number", "num_ranks"), [(24, 8), (25, 8), (3, 8), (64, 1)])
def test_shares_differ_by_one_at_most_and_are_the_whole(number: int, num_ranks: int) -> None:
    parts = [list(range(number))[share(number, rank, num_ranks)] for rank in range(num_ranks)]
    assert [item for part in parts for item in part] == list(range(number))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("samples_per_shard", "bounds"),
    [([3], [0, 3]), ([3, 0, 2], [0, 3, 5]), ([256, 257], [0, 256, 384, 513]), ([], [0])],
)
def test_slices_never_leave_their_shard(samples_per_shard: list[int], bounds: list[int]) -> None:
    assert slice_bounds(samples_per_shard).tolist() == bounds


def test_a_planned_batch_is_small_enough_to_be_made_by_every_worker() -> None:
    (planned,) = islice(training_plan([order()], [Cursor()], Reader(1, 2, 0, 1)), 1)
    assert isinstance(planned, PlannedBatch)
    assert len(planned.members) == 12
    assert planned.width % 4 == 0
    assert planned.cursors == (Cursor(0, 1),)
