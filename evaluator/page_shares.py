"""One process or many: which pages are mine, where do I compute, and how do readings come together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import msgspec
import torch
import torch.distributed as dist

from ocr.errors import UsageError

PATIENCE = timedelta(days=1)
"""For the slowest rank: on CPUs an evaluation takes hours, and all meet at its end only."""

Item = TypeVar("Item")


class Process(msgspec.Struct, frozen=True):
    """This process among `num_ranks`; `device` is "cpu" or "cuda:N"."""

    rank: int
    num_ranks: int
    device: str

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every num_ranks-th item: all ranks together have each one once."""
        return items[self.rank :: self.num_ranks]


@contextmanager
def joined(cuda: bool) -> Iterator[Process]:
    """Join the processes that torchrun started (its environment variables say so); alone without torchrun.

    Readings travel over gloo, on GPUs too: they lie in the CPU's memory. Raises UsageError for a GPU that is not there.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda and torch.cuda.device_count() <= local_rank:
        seen = f"{torch.cuda.device_count()} CUDA GPUs" if torch.cuda.is_available() else "no CUDA GPU"
        raise UsageError(f"--cuda: torch sees {seen} here, one a process is needed; leave --cuda out to use the CPU")
    device = f"cuda:{local_rank}" if cuda else "cpu"
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Process(0, 1, device)
        return
    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Process(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()


def gathered(value: Item, process: Process) -> list[Item]:
    """The value of every rank, in rank order, on every rank."""
    if process.num_ranks == 1:
        return [value]
    values: list[Item | None] = [None] * process.num_ranks
    dist.all_gather_object(values, value)
    return [value for value in values if value is not None]
