"""Patches that a worker hands over arrive as they were, wherever there was room for them."""

from __future__ import annotations

import os
from itertools import islice

import numpy as np
import pytest
import torch

from ocr.config import Config
from tests.trainer.conftest import changed, process, recipe
from trainer.data import shared_slots as handover
from trainer.data.data_sources import training_shards
from trainer.data.loader import training_batches
from trainer.data.shared_slots import SLOTS_A_WORKER, Placed, Slots, batches_a_turn


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Slots:
    monkeypatch.setattr(handover, "SLOT_BYTES", 1 << 12)
    return Slots(num_workers=2)


def turn(slots: Slots, *numbers: int, size: int = 2) -> list[Placed | np.ndarray]:
    """What a worker hands over: a batch of patches for each number, filled with it."""
    found = []
    for number in numbers:
        patches = slots.empty((size, 8, 12))
        patches[:] = number
        found.append(slots.place(patches))
    slots.close()
    return found


def first_pixels(tensors: list[torch.Tensor]) -> list[int]:
    return [int(tensor[0, 0, 0]) for tensor in tensors]


def test_the_batches_of_a_turn_share_a_slot_and_do_not_overlap(slots: Slots) -> None:
    placed = turn(slots, 1, 2, 3)
    assert {each.slot for each in placed if isinstance(each, Placed)} == {0}
    tensors = [slots.take(each) for each in placed]
    assert first_pixels(tensors) == [1, 2, 3]
    assert all((tensor == number).all() for tensor, number in zip(tensors, (1, 2, 3), strict=True))


def test_a_slot_is_written_again_only_when_nobody_holds_a_part_of_it(slots: Slots) -> None:
    first, second = (slots.take(each) for each in turn(slots, 1, 2))
    del first
    (other,) = turn(slots, 3)
    assert isinstance(other, Placed)
    assert other.slot == 1
    kept = second[:, 2:4]  # a view holds it as well
    del second
    assert [each.slot for each in turn(slots, 4) if isinstance(each, Placed)] == [2]
    assert (kept == 2).all()
    del kept
    assert [each.slot for each in turn(slots, 5) if isinstance(each, Placed)] == [0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="slots are for forked workers")
def test_a_fork_that_ends_what_it_inherited_frees_no_slot(slots: Slots) -> None:
    """As a validation's worker does with a batch in the trainer's garbage."""
    (tensor,) = (slots.take(each) for each in turn(slots, 1))
    child = os.fork()
    if not child:
        del tensor
        os._exit(0)
    os.waitpid(child, 0)
    assert slots.flags[0, 0] == 1
    del tensor
    assert slots.flags[0, 0] == 0


def test_a_worker_without_a_free_slot_sends_the_array_itself(slots: Slots) -> None:
    tensors = [slots.take(each) for number in range(SLOTS_A_WORKER + 2) for each in turn(slots, number)]
    assert first_pixels(tensors) == list(range(SLOTS_A_WORKER + 2))
    (last,) = turn(slots, 9)
    assert isinstance(last, np.ndarray)
    del tensors
    (last,) = turn(slots, 9)
    assert isinstance(last, Placed)


def test_what_a_slot_has_no_room_for_is_sent_as_it_is(slots: Slots) -> None:
    (large,) = turn(slots, 1, size=100)
    assert isinstance(large, np.ndarray)
    kinds = [type(each) for each in turn(slots, *range(25))]  # 21 batches of 192 bytes fill 4,096
    assert kinds == [Placed] * 21 + [np.ndarray] * 4


def test_a_batch_that_became_smaller_is_handed_over_as_small_as_it_is(slots: Slots) -> None:
    patches = slots.empty((4, 8, 12))
    patches[:] = 7
    placed = slots.place(patches[:3])
    assert isinstance(placed, Placed)
    assert slots.take(placed).shape == (3, 8, 12)


@pytest.mark.parametrize(("batch_size", "number"), [(1, 64), (16, 16), (64, 4), (200, 1), (5_000, 1)])
def test_a_turn_holds_some_hundred_samples(batch_size: int, number: int) -> None:
    assert batches_a_turn(batch_size) == number


def test_batches_that_are_kept_stay_as_they_were(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    """With a slot a worker and short turns: most batches find no slot, and the first keeps its own."""
    rules = recipe(changed(config, workers=1))
    shards = training_shards(rules)
    whole = [batch.patches.clone() for batch in islice(training_batches(shards, rules, process()), 40)]
    monkeypatch.setattr(handover, "SLOTS_A_WORKER", 1)
    monkeypatch.setattr(handover, "TURN_SAMPLES", 2 * rules.config.batch_size)
    again = list(islice(training_batches(shards, rules, process()), 40))
    assert all(torch.equal(one.patches, other) for one, other in zip(again, whole, strict=True))
