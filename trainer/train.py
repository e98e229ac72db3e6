"""The story of a training run: a model, endless batches, a validation now and then, and what is kept of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from statistics import fmean
from time import monotonic

import msgspec
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ocr.architectures import RecognitionNetwork
from ocr.beam_search import BeamSearch
from ocr.config import Config, save_config
from ocr.decoding import beam_of
from ocr.errors import DataError
from ocr.network import build_model, network_of
from ocr.patch import to_input
from ocr.progress import progress as shown
from ocr.weight_files import save_weights
from ocr.weights import charset_of, default_easyocr_dir
from trainer.agreement import check_same_run
from trainer.checkpoint import LAST_NAME, Progress, resume, save_checkpoint, starting_model, weights_of
from trainer.data import Batch, training_batches, validation_batches
from trainer.distributed import Process, gathered, joined
from trainer.log import append_line, counts_line, training_block
from trainer.optimizer import freeze, loss_of, make_optimizer, num_trainable, taught
from trainer.order import Position
from trainer.recipe import Recipe
from trainer.report import TrainingReport
from trainer.shards import Shards, training_shards, validation_shards
from trainer.tars import WHAT_IS_LOST
from trainer.validate import Validation, validate


class Run(msgspec.Struct):
    """What a training run holds while it lives."""

    recipe: Recipe
    process: Process
    folder: Path
    model: RecognitionNetwork
    frozen: list[nn.Module]
    optimizer: torch.optim.Optimizer
    progress: Progress
    position: Position
    beam: BeamSearch | None
    training: Shards
    validation: Shards


def train(config: Config, saved_models: Path = Path("saved_models"), easyocr_dir: Path | None = None) -> TrainingReport:
    """Fine-tune a recognizer as the config says, in the folder `saved_models/<experiment_name>`.

    `easyocr_dir` is where EasyOCR's models lie, by default its own folder.

    The folder gets config.yaml, log_train.txt, log_dataset.txt, best_accuracy.pth, best_norm_ed.pth (weights) and
    last.pth (a checkpoint). A run that was interrupted goes on from last.pth. Under torchrun every rank calls this.
    Raises UsageError for what the config asks in vain, before anything is written, and DataError for damaged shards and
    a loss that is not finite.
    """
    with joined() as process:
        run = prepare(config, process, saved_models / config.experiment_name, easyocr_dir or default_easyocr_dir())
        if run.progress.iteration < config.n_iter:
            iterate(run)
        elif process.is_main:
            print(f"{run.folder}: already trained for {run.progress.iteration:,} iterations")
        if process.is_main:
            print(f"weights and log: {run.folder}", flush=True)
        return report_of(run)


def report_of(run: Run) -> TrainingReport:
    state = run.progress
    return TrainingReport(
        folder=run.folder,
        iterations=state.iteration,
        best_accuracy=state.best_accuracy,
        best_norm_ed=state.best_norm_ed,
        seconds=state.seconds,
    )


def prepare(config: Config, process: Process, folder: Path, easyocr_dir: Path) -> Run:
    torch.manual_seed(config.seed)
    recipe = Recipe(config, charset_of(config.character))
    beam = beam_of(config, recipe.charset)
    training, validation = training_shards(recipe), validation_shards(recipe)
    goes_on = (folder / LAST_NAME).exists()
    if goes_on:
        model = build_model(network_of(config), recipe.charset.num_classes)
    else:
        model = starting_model(config, recipe.charset, easyocr_dir)
    model.to(process.device)
    frozen = freeze(model, config)
    optimizer = make_optimizer(model, config)
    progress, position = Progress(), Position(config.seed, training.fingerprint)
    if goes_on:
        progress, position = resume(folder, config, model, optimizer, position)
    check_same_run(process, config, progress.iteration, (training.fingerprint, validation.fingerprint))
    run = Run(recipe, process, folder, model, frozen, optimizer, progress, position, beam, training, validation)
    if process.is_main:
        save_config(config, folder / "config.yaml")
        print(f"Total number of trainable parameters: {num_trainable(model):,}")
        where = f"{process.num_ranks} processes on {process.device.type}"
        print(f"{len(training)} training shards, {len(validation)} validation shards, {where}", flush=True)
        if not goes_on:
            log_fates(run, training.fates, validation.fates)
        for data, shards in ((config.train_data, training), (config.val_data, validation)):
            if shards.urls:
                print(f"{data}: {WHAT_IS_LOST}", flush=True)
    return run


def log_fates(run: Run, training: Mapping[str, int], validation: Mapping[str, int]) -> None:
    """Write what became of the samples to log_dataset.txt: once, or, in plain tars, of those met since the last time.

    Damaged samples, too, are only known once they are met.
    """
    parts = [counts_line(name, fates) for name, fates in (("training", training), ("validation", validation)) if fates]
    if parts:
        at = f"[{run.progress.iteration}/{run.recipe.config.n_iter}]"
        append_line(run.folder / "log_dataset.txt", f"{at} {'; '.join(parts)}")


def iterate(run: Run) -> None:
    """The training loop. A validation, with all that it writes, ends every `val_period` iterations and the run."""
    config, process, state = run.recipe.config, run.process, run.progress
    model = run.model if process.num_ranks == 1 else distributed(run.model, process)
    batches = training_batches(run.training, run.recipe, process, run.position.cursors)
    losses, fates = torch.zeros((), device=process.device), Counter[str]()
    start_seconds, start_iteration = monotonic() - state.seconds, state.iteration
    to_training_mode(run)
    for batch in shown_on_main(batches, config.n_iter - state.iteration, process):
        losses += step(model, run.optimizer, batch, config, process)
        fates.update(batch.fates)
        run.position = msgspec.structs.replace(run.position, cursors=batch.cursors)
        state.iteration += 1
        if state.iteration % config.val_period and state.iteration < config.n_iter:
            continue
        training_loss = fmean(gathered(float(losses), process)) / (state.iteration - start_iteration)
        if not math.isfinite(training_loss):
            raise DataError(
                f"iteration {state.iteration}: the training loss is {training_loss}; lower lr or grad_clip, or start "
                "from other weights; last.pth is from before it"
            )
        validation = validation_batches(run.validation, run.recipe, process)
        found = validate(run.model, validation, run.recipe, process, state.iteration, run.beam)
        to_training_mode(run)
        state.seconds = monotonic() - start_seconds
        keep(run, found, training_loss, sum(gathered(fates, process), Counter[str]()))
        losses.zero_()
        start_iteration = state.iteration


def to_training_mode(run: Run) -> None:
    """All but the frozen parts, whose BatchNorm statistics would move."""
    run.model.train()
    for part in run.frozen:
        part.eval()


def distributed(model: nn.Module, process: Process) -> nn.Module:
    """Average the gradients of all ranks. BatchNorm normalizes by each rank's own batch; rank 0's statistics stay."""
    return DistributedDataParallel(model, device_ids=[process.device.index] if process.device.type == "cuda" else None)


def shown_on_main(batches: Iterator[Batch], number: int, process: Process) -> Iterator[Batch]:
    """`number` batches; rank 0 shows the progress."""
    part = islice(batches, number)
    return shown(part, "train", "iterations", total=number) if process.is_main else part


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, config: Config, process: Process
) -> torch.Tensor:
    """One optimizer update; gives the loss, still on the device.

    DDP takes the mean of the ranks' gradients. Weighted by the batch's part, it is the mean over all samples, even
    where ranks hold one more or one less.
    """
    patches = batch.patches.to(process.device, non_blocking=True)
    targets = batch.targets.to(process.device, non_blocking=True)
    lengths = batch.target_lengths.to(process.device, non_blocking=True)
    logits = model(to_input(patches), taught(config, targets))
    loss = loss_of(config, logits, targets, lengths) * batch.weight
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
    optimizer.step()
    return loss.detach()


def keep(run: Run, found: Validation, training_loss: float, fates: Counter[str]) -> None:
    """Write what a validation found: the log, the weights where they are the best so far, and the checkpoint."""
    state, config = run.progress, run.recipe.config
    better_accuracy, better_norm_ed = found.accuracy > state.best_accuracy, found.norm_ed > state.best_norm_ed
    state.best_accuracy = max(state.best_accuracy, found.accuracy)
    state.best_norm_ed = max(state.best_norm_ed, found.norm_ed)
    if not run.process.is_main:
        return
    weights = weights_of(run.model, config, run.recipe.charset)
    if better_accuracy:
        save_weights(weights, run.folder / "best_accuracy.pth")
    if better_norm_ed:
        save_weights(weights, run.folder / "best_norm_ed.pth")
    save_checkpoint(run.folder, config, weights, run.optimizer, state, run.position)
    block = training_block(config.n_iter, training_loss, found, state)
    append_line(run.folder / "log_train.txt", block)
    log_fates(run, fates, found.fates)
    print(block, flush=True)
