"""One iteration: forward, loss, backward and update, on one device or many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ocr.config import Config
from ocr.errors import DataError
from ocr.networks.architectures import RecognitionNetwork
from ocr.patch import to_input
from trainer.data.batch import Batch
from trainer.optimizer import loss_of, taught
from trainer.ranks.process_group import Process


def learner_of(model: RecognitionNetwork, config: Config, process: Process) -> nn.Module:
    """The model as it is trained: the same parameters, compiled where asked for, gradients averaged over all ranks.

    BatchNorm normalizes by what a rank has on its device at once: its part of the batch, or of a micro-batch. The
    running statistics, which training does not look at, are rank 0's; they are sent to the others when they are needed
    (`take_statistics`) instead of with every iteration.
    """
    learner: nn.Module = model
    if config.compile:
        # A graph a width: the loader rounds widths up to few (`WIDTH_BUCKETS`). The LSTM stays as it is, torch
        # leaves it to cuDNN.
        torch._dynamo.config.cache_size_limit = 64
        learner = cast(nn.Module, torch.compile(model, dynamic=False))
    if process.num_ranks == 1:
        return learner
    devices = [process.device] if process.device.type == "cuda" else None
    return DistributedDataParallel(learner, devices, broadcast_buffers=False, gradient_as_bucket_view=True)


def computes_in_bfloat16(config: Config, device: torch.device) -> bool:
    """Whether the forward pass runs in bfloat16: where `amp` allows it and the device computes it, not emulates it."""
    return config.amp and knows_bfloat16(device.type)


@cache
def knows_bfloat16(device_type: str) -> bool:
    """NVIDIA from Ampere on; of CPUs those with AVX512-BF16 (AMD from Zen 4 on, Intel from Cooper Lake on) or AMX."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.4 does not tell
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def step(
    learner: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, config: Config, process: Process
) -> torch.Tensor:
    """One optimizer update; gives the loss, still on the device: nothing here waits for a GPU.

    Several micro-batches (`accumulate`) have the gradient of the whole; ranks exchange it once. DDP takes the mean of
    the ranks' gradients. Weighted by the batch's part, it is the mean over all samples, even where ranks hold one more
    or one less.
    """
    optimizer.zero_grad(set_to_none=True)
    parts = micro_batches(batch, config.accumulate)
    loss = torch.zeros((), device=process.device)
    for number, part in enumerate(parts, start=1):
        alone = getattr(learner, "no_sync", nullcontext) if number < len(parts) else nullcontext
        with alone():
            logits = forward(learner, part, config, process.device)
            part_loss = loss_of(config, logits, part.targets, part.target_lengths) * part.weight
            torch.autograd.backward(part_loss)
        loss += part_loss.detach()
    update(learner, optimizer, config)
    return loss


def micro_batches(batch: Batch, number: int) -> list[Batch]:
    """A batch in at most `number` parts, their weights adding up to its own."""
    if number == 1:
        return [batch]
    size = len(batch.patches)
    chunks = zip(
        *(tensor.chunk(number) for tensor in (batch.patches, batch.targets, batch.target_lengths)), strict=True
    )
    return [
        batch._replace(
            patches=patches, targets=targets, target_lengths=lengths, weight=batch.weight * len(patches) / size
        )
        for patches, targets, lengths in chunks
    ]


def forward(learner: nn.Module, batch: Batch, config: Config, device: torch.device) -> torch.Tensor:
    """The logits of a batch; `loss_of` takes them in float32, whatever they were computed in."""
    with torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bfloat16(config, device)):
        logits: torch.Tensor = learner(to_input(batch.patches), taught(config, batch.targets))
    return logits


def update(learner: nn.Module, optimizer: torch.optim.Optimizer, config: Config) -> None:
    nn.utils.clip_grad_norm_(learner.parameters(), config.grad_clip)
    optimizer.step()


@contextmanager
def memory_named(batch: Batch, iteration: int) -> Iterator[None]:
    """An iteration that has no room on the GPU is a DataError that says what would make it fit."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        number, height, width = batch.patches.shape[:3]
        raise DataError(
            f"iteration {iteration}: no GPU memory for {number:,} patches of {width} x {height} pixels "
            f"({str(error).partition('. ')[0]}); lower batch_size, raise accumulate, or bound batches by batch_pixels"
        ) from error
