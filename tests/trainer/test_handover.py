"""Patches that a worker hands over arrive as they were, wherever there was room for them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from ocr.config import Config
from tests.trainer.conftest import changed, process, recipe
from trainer import handover
from trainer.data import training_batches
from trainer.handover import SLOTS_A_WORKER, Placed, Slots
from trainer.shards import training_shards


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Slots:
    monkeypatch.setattr(handover, "SLOT_BYTES", 1 << 16)
    return Slots(num_workers=2)


def patches(number: int) -> np.ndarray:
    return np.full((2, 8, 12), number, np.uint8)


def test_a_worker_fills_its_own_slots_and_then_sends_the_array_itself(slots: Slots) -> None:
    placed = [slots.place(1, patches(number)) for number in range(SLOTS_A_WORKER + 1)]
    assert [each.slot for each in placed if isinstance(each, Placed)] == [3, 4, 5]
    assert isinstance(slots.place(0, patches(9)), Placed)
    for number, each in enumerate(placed):
        assert torch.equal(slots.take(each, pinned=False), torch.from_numpy(patches(number)))


def test_a_slot_is_free_when_it_was_read_and_what_was_read_stays(slots: Slots) -> None:
    taken = []
    for number in range(10):
        place = slots.place(0, patches(number))
        assert isinstance(place, Placed)
        taken.append(slots.take(place, pinned=False))
    assert [int(tensor[0, 0, 0]) for tensor in taken] == list(range(10))


def test_a_batch_that_no_slot_has_room_for_is_sent_as_it_is(slots: Slots) -> None:
    large = np.zeros((1 << 16) + 1, np.uint8)
    assert slots.place(0, large) is large


def test_a_worker_far_ahead_sends_what_it_cannot_place(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    """With a slot a worker, where the loader lets it be two batches ahead."""
    rules = recipe(changed(config, workers=1))
    shards = training_shards(rules)
    whole = [batch.patches for batch in islice(training_batches(shards, rules, process()), 8)]
    monkeypatch.setattr(handover, "SLOTS_A_WORKER", 1)
    again = [batch.patches for batch in islice(training_batches(shards, rules, process()), 8)]
    assert all(torch.equal(one, other) for one, other in zip(again, whole, strict=True))
