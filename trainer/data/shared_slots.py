"""Batches come from a loader worker some at a time, and their patches through memory that both processes see.

    worker                                     trainer
    empty       a part of a free slot          take       the patches where they lie; a slot is free again when
    place       says which part it was                    nobody holds any part of it
    close       behind the last of a turn

A turn of batches goes through torch's queue at once: whatever its size, handing over wakes four threads and costs as
much time as 10 patches. A pipe for the patches would take four copies and a system call every 64 KB. torch's own way, a
shared file a tensor, needs a /dev/shm that containers rarely have. This memory is anonymous and inherited by fork: it
needs no name and ends with its processes.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from typing import NamedTuple

import numpy as np
import torch

TURN_SAMPLES = 256  # a turn holds so many at most, or one batch
SLOTS_A_WORKER = 4  # torch's loader lets a worker be two turns ahead; the others are the one in use and the next
SLOT_BYTES = 1 << 26  # 1,024 patches of 64 x 1,000; memory is only taken where a batch has been written
SLOT_PARTS = 64


def batches_a_turn(num_samples: int) -> int:
    """By how many samples a batch has for one rank."""
    return min(SLOT_PARTS, max(1, TURN_SAMPLES // num_samples))


class Placed(NamedTuple):
    """Where a batch's patches lie, uint8 of this shape: in part `part` of a slot, from byte `start` on."""

    slot: int
    part: int
    start: int
    shape: tuple[int, ...]


class Slots:
    """Room for the batches that `num_workers` workers hand over; made before they are forked.

    Each part of a slot has a flag: its worker sets it with `place`, the trainer clears it when nobody holds the
    patches. A worker without a free slot, or with more than fits, writes into memory of its own and sends the array
    itself. So nothing depends on how far a worker runs ahead, or on how long batches are kept.
    """

    def __init__(self, num_workers: int) -> None:
        num_slots = num_workers * SLOTS_A_WORKER
        self.flags = shared(num_slots, SLOT_PARTS)
        self.bytes = shared(num_slots, SLOT_BYTES)
        self.process = os.getpid()
        self.slot: int | None = None  # that this worker writes into …
        self.parts: list[tuple[int, np.ndarray]] = []  # … and what it gave away of it: (where it starts, the room)

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Room for patches, uint8 of this shape. To be called in the worker."""
        if self.slot is None:
            self.slot = self.free_slot()
        start = self.parts[-1][0] + self.parts[-1][1].nbytes if self.parts else 0
        fits = start + math.prod(shape) <= self.bytes.shape[1] and len(self.parts) < SLOT_PARTS
        if self.slot is None or not fits:
            return np.empty(shape, np.uint8)
        room = self.view(Placed(self.slot, len(self.parts), start, shape))
        self.parts.append((start, room))
        return room

    def free_slot(self) -> int | None:
        info = torch.utils.data.get_worker_info()
        first = info.id * SLOTS_A_WORKER if info else 0
        free = np.flatnonzero(~self.flags[first : first + SLOTS_A_WORKER].any(axis=1))
        return first + int(free[0]) if len(free) else None

    def place(self, patches: np.ndarray) -> Placed | np.ndarray:
        """Where patches lie that were written into room of a slot, from its start on; others as they are."""
        for part, (start, room) in enumerate(self.parts):
            if self.slot is not None and np.may_share_memory(room, patches):
                self.flags[self.slot, part] = 1
                return Placed(self.slot, part, start, patches.shape)
        return patches

    def close(self) -> None:
        """Behind the last batch of a turn."""
        self.slot, self.parts = None, []

    def view(self, placed: Placed) -> np.ndarray:
        return self.bytes[placed.slot, placed.start : placed.start + math.prod(placed.shape)].reshape(placed.shape)

    def take(self, placed: Placed | np.ndarray) -> torch.Tensor:
        """The patches, where they lie."""
        if not isinstance(placed, Placed):
            return torch.from_numpy(placed)
        view = self.view(placed)
        weakref.finalize(view, self.free, placed).atexit = False  # the tensor holds the view
        return torch.from_numpy(view)

    def free(self, placed: Placed) -> None:
        if os.getpid() == self.process:  # a fork ends what it inherited, too
            self.flags[placed.slot, placed.part] = 0


def shared(*shape: int) -> np.ndarray:
    """Zeros, uint8, that this process and its forks see alike."""
    return np.frombuffer(mmap.mmap(-1, math.prod(shape)), np.uint8).reshape(shape)
