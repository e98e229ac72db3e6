"""Two ways to train the same network on the same patches, and where the time of ours goes."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.loaders import Patch, PngFiles, Setup, aligned, loader_of, patches_of, write_png_files
from ocr.charset import Charset
from ocr.config import Config
from ocr.networks.architectures import RecognitionNetwork
from ocr.networks.network import build_model, network_of
from ocr.patch import to_input
from trainer.data.batch import Batch
from trainer.data.data_sources import training_shards, validation_shards
from trainer.data.device_prefetch import on_device
from trainer.data.loader import training_batches, validation_batches
from trainer.data.sample_filter import Recipe
from trainer.optimizer import loss_of, make_optimizer, taught
from trainer.ranks.process_group import Process
from trainer.step import computes_in_bfloat16, learner_of, step, update
from trainer.validate import Validation, read_batch

EASYOCR_WIDTH = 600


class Way(NamedTuple):
    """`run` gives a 0 once everything is imported and made, and then the number of patches of each iteration."""

    name: str
    write: Callable[[Sequence[Patch], Path], None] | None
    run: Callable[[Setup], Iterator[int]]


class Training(NamedTuple):
    recipe: Recipe
    process: Process
    model: RecognitionNetwork
    learner: nn.Module
    optimizer: torch.optim.Optimizer


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def characters_of(shards: Path) -> str:
    return "".join(sorted({character for _, text in patches_of(shards) for character in text}))


def training_of(setup: Setup, characters: str, **values: object) -> Training:
    """Our trainer's parts, as its story puts them together; every patch of the shards is used."""
    where = {"select_data": setup.shards.name, "train_data": str(setup.shards.parent)}
    every = {"data_filtering_off": True, "img_width": 4096, "val_data": str(setup.shards.parent)}
    config = Config(batch_size=setup.batch_size, workers=setup.workers, **where, **every, **values)  # type: ignore[arg-type]
    recipe, process = Recipe(config, Charset(characters)), Process(0, 1, device())
    model = build_model(network_of(config), recipe.charset.num_classes)
    model.to(process.device).to(memory_format=torch.channels_last)
    return Training(recipe, process, model, learner_of(model, config, process), make_optimizer(model, config))


def train_ours(setup: Setup) -> Iterator[int]:
    recipe, process, _, learner, optimizer = training_of(setup, characters_of(setup.shards))
    yield 0
    batches = training_batches(training_shards(recipe), recipe, process)
    for batch in on_device(batches, process.device):
        step(learner, optimizer, batch, recipe.config, process)
        yield len(batch.keys)


def train_as_easyocr(setup: Setup) -> Iterator[int]:
    """EasyOCR's trainer as it is published, with its own network, collate and converter: patches from PNG files by PIL,
    bicubic to 64 x 600 whatever their shape, normalized and padded one by one; float32; Adadelta; torch's CTC loss with
    concatenated int32 targets. What is left out can only slow it down: validations, and reading its losses.
    """
    from easyocr.model.vgg_model import Model
    from easyocr.recognition import AlignCollate
    from easyocr.utils import CTCLabelConverter

    characters = characters_of(setup.shards)
    converter = CTCLabelConverter(characters)
    model = nn.DataParallel(Model(1, 256, 256, len(characters) + 1)).to(device())
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0, rho=0.95, eps=1e-8)
    criterion = nn.CTCLoss(zero_infinity=True)
    align = AlignCollate(imgH=64, imgW=EASYOCR_WIDTH, keep_ratio_with_pad=True)
    yield 0
    for images, texts in endless(loader_of(PngFiles(setup.folder), setup, partial(aligned, align=align))):
        targets, lengths = converter.encode(texts)
        logits = model(images.to(device()), None)
        steps = torch.full((len(texts),), logits.shape[1], dtype=torch.int32)
        log_probabilities = logits.log_softmax(2).permute(1, 0, 2)
        loss = criterion(log_probabilities, targets.to(device()), steps, lengths)
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        yield len(texts)


def endless(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def validate_ours(setup: Setup) -> Iterator[int]:
    """What a validation does, again and again."""
    recipe, process, model, _, _ = training_of(setup, characters_of(setup.shards))
    model.eval()
    yield 0
    for iteration in count():
        found = Validation()
        for batch in validation_batches(validation_shards(recipe), recipe, process):
            read_batch(model, batch, recipe, process, found, iteration, None)
            yield len(batch.keys)


WAYS = (
    Way("ours", None, train_ours),
    Way("EasyOCR's trainer", write_png_files, train_as_easyocr),
    Way("our validation", None, validate_ours),
)


class Clock:
    """Milliseconds by stage; a lap lasts from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.last = perf_counter()

    def lap(self, stage: str) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = perf_counter()
        self.seconds[stage] += now - self.last
        self.last = now


def stages(setup: Setup, num_iterations: int) -> dict[str, float]:
    """Milliseconds an iteration of each stage of `step`, one after the other: a GPU has nothing to overlap then."""
    recipe, process, _, learner, optimizer = training_of(setup, characters_of(setup.shards))
    batches = training_batches(training_shards(recipe), recipe, process)
    for batch in islice(batches, 3):
        timed_step(learner, optimizer, batch, recipe.config, process, Clock())
    clock = Clock()
    for batch in islice(batches, num_iterations):
        clock.lap("data wait")
        timed_step(learner, optimizer, batch, recipe.config, process, clock)
    return {stage: seconds / num_iterations * 1e3 for stage, seconds in clock.seconds.items()}


def timed_step(
    learner: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, config: Config, process: Process, clock: Clock
) -> None:
    """As `step`, with the clock read between its stages."""
    (batch,) = on_device([batch], process.device)
    clock.lap("copy")
    with torch.autocast(process.device.type, torch.bfloat16, enabled=computes_in_bfloat16(config, process.device)):
        logits = learner(to_input(batch.patches), taught(config, batch.targets))
    clock.lap("forward")
    loss = loss_of(config, logits, batch.targets, batch.target_lengths)
    clock.lap("loss")
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    clock.lap("backward")
    update(learner, optimizer, config)
    clock.lap("optimizer")


def milliseconds(setup: Setup, width: int, num_iterations: int, compiled: bool) -> float:
    """Of one step on `batch_size` patches of `width` pixels, with texts as long as they usually are at that width."""
    _, process, _, learner, optimizer = training = training_of(
        setup, "".join(map(chr, range(0xAC00, 0xAC00 + 1008))), compile=compiled
    )
    length = max(1, width // 48)
    targets = torch.randint(1, 1009, (setup.batch_size, length))
    patches = torch.randint(0, 256, (setup.batch_size, 64, width), dtype=torch.uint8)
    names = [""] * setup.batch_size
    lengths = torch.full((setup.batch_size,), length)
    batch = Batch(patches, targets, lengths, names, names, names, 0, 1.0, (), {})
    clock = Clock()
    for number in range(1 + num_iterations):
        (moved,) = on_device([batch], process.device)
        step(learner, optimizer, moved, training.recipe.config, process)
        clock.lap("warm" if number else "first")
    return clock.seconds["warm"] / num_iterations * 1e3


warnings.filterwarnings("ignore", message=".*pin_memory.*")
