"""Batches go to the GPU while it computes on the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from trainer.data.batch import Batch

TENSORS = ("patches", "targets", "target_lengths")


def on_device(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches with their tensors on the device.

    On a GPU each is copied, from pinned memory, on a stream of its own, while the one before is computed on; so one
    more batch is read than is passed on. The computing stream waits for the copy, this process does not.
    """
    if device.type != "cuda":
        yield from batches
        return
    copying, ahead = torch.cuda.Stream(device), None  # type: ignore[no-untyped-call]
    for batch in batches:
        with torch.cuda.stream(copying):
            moved = {name: getattr(batch, name).to(device, non_blocking=True) for name in TENSORS}
            copied = copying.record_event()
        if ahead is not None:
            yield arrived(*ahead)
        ahead = batch._replace(**moved), copied
    if ahead is not None:
        yield arrived(*ahead)


def arrived(batch: Batch, copied: torch.cuda.Event) -> Batch:
    computing = torch.cuda.current_stream()
    computing.wait_event(copied)
    for name in TENSORS:
        getattr(batch, name).record_stream(computing)  # its memory is not given away before it was computed on
    return batch
