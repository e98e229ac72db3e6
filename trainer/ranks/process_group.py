"""One process or many: who am I, where do I compute, and how do sums travel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous

from ocr.errors import UsageError
from trainer.ranks.fresh_store import fresh_store

Value = TypeVar("Value")


class Process(msgspec.Struct, frozen=True):
    """This process among `num_ranks`, with the device it computes on."""

    rank: int
    num_ranks: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0


@contextmanager
def joined() -> Iterator[Process]:
    """Join the processes that torchrun started (its environment variables say so); alone without torchrun.

    Tensors on a GPU go by nccl, where there is one for every local rank; all else by gloo. Of several ranks that fail,
    mostly because one did, the first says why and the others end silently.
    """
    num_ranks, local_rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = torch.cuda.is_available() and torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    device = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    if num_ranks == 1:
        yield Process(0, 1, device)
        return
    store, rank, _ = next(rendezvous("env://"))
    store = fresh_store(store, rank, num_ranks)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=num_ranks)
    try:
        yield Process(rank, num_ranks, device)
    except Exception as error:
        if not fails_first(store):
            sys.exit(2 if isinstance(error, UsageError) else 1)
        if isinstance(error, UsageError):
            error.alone = True
        raise
    dist.destroy_process_group()


def fails_first(store: dist.distributed_c10d.Store) -> bool:
    """Whether no other rank has failed before; not where the store is gone with the process that kept it."""
    try:
        return int(store.add("failed ranks", 1)) == 1
    except dist.DistError:
        return False


def gathered(value: Value, process: Process) -> list[Value]:
    """The value of every rank, in rank order, on every rank. A small picklable value: counts, a few texts."""
    if process.num_ranks == 1:
        return [value]
    values: list[Value | None] = [None] * process.num_ranks
    dist.all_gather_object(values, value)
    return [value for value in values if value is not None]


def take_statistics(model: nn.Module, process: Process) -> None:
    """Give every rank BatchNorm's running statistics of rank 0, which alone are kept."""
    if process.num_ranks > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)
