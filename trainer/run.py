"""How a run begins: fresh, or where the one before was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import msgspec
import torch
from torch import nn

from ocr.config import Config, save_config
from ocr.decoding.beam_search import BeamSearch
from ocr.decoding.decode import beam_of
from ocr.networks.architectures import RecognitionNetwork
from ocr.networks.network import build_model, network_of
from trainer.alphabet import alphabet_lines, charset_for
from trainer.checkpoint import LAST_NAME, Progress, cut_logs, figure_of, resume, starting_model
from trainer.data.data_sources import Shards, training_shards, validation_shards
from trainer.data.plain_tars import WHAT_IS_LOST
from trainer.data.sample_filter import Recipe
from trainer.data.sample_order import Position
from trainer.logs.metrics_log import Seen, Watch
from trainer.logs.text_logs import append_line, counts_line
from trainer.optimizer import freeze, make_optimizer, num_trainable
from trainer.ranks.process_group import Process
from trainer.ranks.same_run import check_same_run
from trainer.step import learner_of
from trainer.weight_average import Average

BEST_NAMES = ("best_accuracy.pth", "best_norm_ed.pth")


class Run(msgspec.Struct):
    """What a training run holds while it lives.

    `learner` is the model as it is trained (compiled, over all ranks), `average` the mean of its weights where `ema`
    asks for it. `kept` are the figures of the best weights that the run found in its folder when it was resumed.
    """

    recipe: Recipe
    process: Process
    folder: Path
    model: RecognitionNetwork
    frozen: list[nn.Module]
    learner: nn.Module
    average: Average | None
    optimizer: torch.optim.Optimizer
    progress: Progress
    position: Position
    kept: list[float]
    beam: BeamSearch | None
    training: Shards
    validation: Shards
    watch: Watch
    start: float
    saved: float
    seen: Seen = msgspec.field(default_factory=Seen)

    @property
    def reader(self) -> RecognitionNetwork:
        """The model that is validated and kept."""
        return self.average.model if self.average else self.model


def prepare(config: Config, process: Process, folder: Path, easyocr_dir: Path) -> Run:
    torch.manual_seed(config.seed)
    recipe = Recipe(config, charset_for(config, folder / LAST_NAME))
    beam = beam_of(config, recipe.charset)
    training, validation = training_shards(recipe), validation_shards(recipe)
    goes_on = (folder / LAST_NAME).exists()
    if goes_on:
        model = build_model(network_of(config), recipe.charset.num_classes)
    else:
        model = starting_model(config, recipe.charset, easyocr_dir)
    model.to(process.device).to(memory_format=torch.channels_last)
    frozen = freeze(model, config)
    average = Average(model, config.ema) if config.ema else None
    optimizer = make_optimizer(model, config)
    progress, position, kept = Progress(), Position(config.seed, training.fingerprint), [-1.0, -1.0]
    if goes_on:
        mean = average.model if average else None
        progress, position = resume(folder, config, model, optimizer, position, mean)
        kept = [figure_of(folder / name) for name in BEST_NAMES]
    check_same_run(process, config, progress.iteration, (training.fingerprint, validation.fingerprint))
    if process.is_main:
        save_config(config, folder / "config.yaml")
        if progress.log_bytes or not goes_on:
            cut_logs(folder, progress.log_bytes)
    run = Run(
        recipe,
        process,
        folder,
        model,
        frozen,
        learner_of(model, config, process),
        average,
        optimizer,
        progress,
        position,
        kept,
        beam,
        training,
        validation,
        Watch(folder, process, progress.iteration),
        start=monotonic() - progress.seconds,
        saved=monotonic(),
    )
    if process.is_main:
        say_what_is_trained(run, goes_on, easyocr_dir)
    return run


def say_what_is_trained(run: Run, goes_on: bool, easyocr_dir: Path) -> None:
    process, config = run.process, run.recipe.config
    print(f"Total number of trainable parameters: {num_trainable(run.model):,}")
    where = f"{process.num_ranks} processes on {process.device.type}"
    print(f"{len(run.training)} training shards, {len(run.validation)} validation shards, {where}", flush=True)
    if not goes_on:
        log_fates(run, run.training.fates, run.validation.fates)
        log_alphabet(run, easyocr_dir)
    for data, shards in ((config.train_data, run.training), (config.val_data, run.validation)):
        if shards.urls:
            print(f"{data}: {WHAT_IS_LOST}", flush=True)


def log_fates(run: Run, training: Mapping[str, int], validation: Mapping[str, int]) -> None:
    """Write what became of the samples to log_dataset.txt: once, or, in plain tars, of those met since the last time.

    Damaged samples, too, are only known once they are met.
    """
    parts = [counts_line(name, fates) for name, fates in (("training", training), ("validation", validation)) if fates]
    if parts:
        at = f"[{run.progress.iteration}/{run.recipe.config.n_iter}]"
        append_line(run.folder / "log_dataset.txt", f"{at} {'; '.join(parts)}")


def log_alphabet(run: Run, easyocr_dir: Path) -> None:
    """Say, and write to log_dataset.txt, what the alphabet can write of the training words."""
    shards = [shard for plan in run.training.plans for shard in plan.shards]
    for line in alphabet_lines(run.recipe, shards, easyocr_dir):
        append_line(run.folder / "log_dataset.txt", line)
        print(line, flush=True)
