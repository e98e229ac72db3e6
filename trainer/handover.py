"""Patches come from a loader worker through memory that both processes see, and not through a pipe.

    worker                                     trainer
    placed      copies them into a free slot   taken      copies them out and frees the slot

A pipe takes four copies and a system call every 64 KB. torch's own way, a shared file a tensor, needs a /dev/shm that
containers rarely have. This memory is anonymous and inherited by fork: it needs no name and ends with its processes.
"""

from __future__ import annotations

import math
import mmap
from typing import NamedTuple, TypeVar

import numpy as np
import torch

SLOTS_A_WORKER = 3  # torch's loader lets a worker be two batches ahead; the third is the one just taken
SLOT_BYTES = 1 << 26  # 1,024 patches of 64 x 1,000; memory is only taken where a batch has been written

Rest = TypeVar("Rest")


class Placed(NamedTuple):
    """Where a batch's patches lie, uint8 of this shape."""

    slot: int
    shape: tuple[int, ...]


class Slots:
    """Room for the batches that `num_workers` workers hand over; made before they are forked.

    A slot's flag is set by its worker when it writes and cleared by the trainer when it has read; a worker without a
    free slot, or with a larger batch, sends the array itself. So nothing depends on how far a worker runs ahead.
    """

    def __init__(self, num_workers: int) -> None:
        num_slots = num_workers * SLOTS_A_WORKER
        self.flags = np.frombuffer(mmap.mmap(-1, num_slots), np.uint8)
        self.bytes = np.frombuffer(mmap.mmap(-1, num_slots * SLOT_BYTES), np.uint8).reshape(num_slots, SLOT_BYTES)

    def view(self, placed: Placed) -> np.ndarray:
        return self.bytes[placed.slot, : math.prod(placed.shape)].reshape(placed.shape)

    def place(self, worker: int, patches: np.ndarray) -> Placed | np.ndarray:
        """To be called in the worker."""
        first = worker * SLOTS_A_WORKER
        free = np.flatnonzero(self.flags[first : first + SLOTS_A_WORKER] == 0)
        if not len(free) or patches.nbytes > SLOT_BYTES:
            return patches
        placed = Placed(first + int(free[0]), patches.shape)
        self.view(placed)[...] = patches
        self.flags[placed.slot] = 1
        return placed

    def take(self, placed: Placed | np.ndarray, pinned: bool) -> torch.Tensor:
        """The patches, in memory of their own, `pinned` for a GPU to fetch."""
        source = torch.from_numpy(self.view(placed) if isinstance(placed, Placed) else placed)
        patches = torch.empty(source.shape, dtype=torch.uint8, pin_memory=pinned).copy_(source)
        if isinstance(placed, Placed):
            self.flags[placed.slot] = 0
        return patches
