"""The gradient is the mean over the batch, however many processes and parts compute it."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from ocr.config import Config
from ocr.errors import DataError
from ocr.networks.network import build_model, network_of
from tests.trainer.conftest import SMALL, changed, process, recipe
from trainer.data.batch import Batch
from trainer.data.data_sources import training_shards, validation_shards
from trainer.data.loader import training_batches, validation_batches
from trainer.data.padding import WIDTH_BUCKETS
from trainer.optimizer import freeze, loss_of, make_optimizer
from trainer.ranks.process_group import Process
from trainer.step import forward, knows_bfloat16, learner_of, memory_named, micro_batches, step

Gradients = dict[str, torch.Tensor]


def gradients(config: Config, process: Process) -> Gradients:
    """Of the first batch. BatchNorm keeps still: what it normalizes by does depend on how a batch is shared."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rules = recipe(config)
    model = build_model(network_of(config), rules.charset.num_classes).eval()
    freeze(model, config)
    batch = next(training_batches(training_shards(rules), rules, process))
    step(learner_of(model, config, process), make_optimizer(model, config), batch, config, process)
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def run_rank(config: Config, rank: int, num_ranks: int, store: Path, found: Queue[Any]) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=num_ranks)
    mine = gradients(config, process(rank, num_ranks))
    found.put((rank, {name: gradient.numpy() for name, gradient in mine.items()}))
    dist.destroy_process_group()


def on_ranks(config: Config, num_ranks: int, store: Path) -> list[Gradients]:
    context = multiprocessing.get_context("fork")
    found: Queue[Any] = context.Queue()
    ranks = [
        context.Process(target=run_rank, args=(config, rank, num_ranks, store, found)) for rank in range(num_ranks)
    ]
    for rank in ranks:
        rank.start()
    results = sorted((found.get(timeout=120) for _ in ranks), key=lambda result: result[0])
    for rank in ranks:
        rank.join()
    return [{name: torch.from_numpy(gradient) for name, gradient in of_rank.items()} for _, of_rank in results]


def assert_same(found: Gradients, expected: Gradients) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("num_ranks", "values"),
    [
        (2, {"batch_size": 5}),  # 2 and 3 samples
        (3, {"batch_size": 2}),  # more ranks than samples
        (2, {"batch_size": 7, "accumulate": 2}),
        (2, {"batch_size": 5, "freeze_FeatureFxtraction": True}),
        (2, {"batch_size": 5, "Prediction": "Attn", "freeze_SequenceModeling": True}),
    ],
)
def test_ranks_have_the_gradient_of_one_process(
    config: Config, tmp_path: Path, num_ranks: int, values: dict[str, Any]
) -> None:
    config = changed(config, grad_clip=1e9, amp=False, **SMALL | values)
    alone = gradients(changed(config, accumulate=1), process())
    assert len(alone) > 4
    for found in on_ranks(config, num_ranks, tmp_path / "store"):
        assert_same(found, alone)


@pytest.mark.parametrize("number", [2, 3, 9])
def test_micro_batches_have_the_gradient_of_the_batch(config: Config, number: int) -> None:
    config = changed(config, batch_size=7, grad_clip=1e9, amp=False, **SMALL)
    assert_same(gradients(changed(config, accumulate=number), process()), gradients(config, process()))


def test_micro_batches_are_the_batch(config: Config) -> None:
    rules = recipe(changed(config, batch_size=7, **SMALL))
    batch = next(training_batches(training_shards(rules), rules, process()))
    parts = micro_batches(batch, 3)
    assert [len(part.patches) for part in parts] == [3, 3, 1]
    assert sum(part.weight for part in parts) == pytest.approx(batch.weight)
    assert torch.equal(torch.cat([part.targets for part in parts]), batch.targets)


@pytest.mark.parametrize("amp", [True, False])
def test_bfloat16_is_computed_where_it_is_asked_for_and_known(config: Config, amp: bool) -> None:
    config = changed(config, amp=amp, **SMALL)
    rules = recipe(config)
    model = build_model(network_of(config), rules.charset.num_classes)
    batch = next(training_batches(training_shards(rules), rules, process()))
    logits = forward(model, batch, config, torch.device("cpu"))
    assert logits.dtype == (torch.bfloat16 if amp and knows_bfloat16("cpu") else torch.float32)
    assert loss_of(config, logits, batch.targets, batch.target_lengths).dtype == torch.float32


def test_a_compiled_network_is_given_few_widths(config: Config) -> None:
    rules = recipe(changed(config, batch_size=2, compile=True, **SMALL))
    batches = training_batches(training_shards(rules), rules, process())
    widths = {next(batches).patches.shape[2] for _ in range(45)}
    assert widths <= set(WIDTH_BUCKETS)
    assert len(widths) < 8
    validated = {batch.patches.shape[2] for batch in validation_batches(validation_shards(rules), rules, process())}
    assert all(width % 64 == 0 for width in validated)  # as the Reader pads


def test_a_batch_that_has_no_room_on_the_gpu_is_named() -> None:
    nothing = torch.zeros(1)
    batch = Batch(torch.zeros(512, 64, 1280), nothing, nothing, [], [], [], 0, 1.0, (), {})
    expected = (
        r"iteration 7: no GPU memory for 512 patches of 1280 x 64 pixels \(CUDA out of memory\); lower batch_size, "
        "raise accumulate, or bound batches by batch_pixels"
    )
    with pytest.raises(DataError, match=expected), memory_named(batch, 7):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB. GPU 0 has 1 GiB free.")
