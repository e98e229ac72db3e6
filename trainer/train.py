"""The story of a training run: a model, endless batches, a validation now and then, and what is kept of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import fsum
from pathlib import Path
from statistics import fmean
from time import monotonic

import msgspec
import torch

from ocr.config import Config
from ocr.errors import StoppedError
from ocr.networks.easyocr_files import default_easyocr_dir
from ocr.networks.weight_files import save_weights
from ocr.plumbing.progress import progress as shown
from trainer.checkpoint import log_bytes, save_checkpoint, tensors_of, weights_of
from trainer.data.batch import Batch
from trainer.data.device_prefetch import on_device
from trainer.data.loader import training_batches, validation_batches
from trainer.logs.curves import draw_curves
from trainer.logs.metrics_log import Line, Seen, gather
from trainer.logs.text_logs import append_line, training_block
from trainer.ranks.process_group import joined, take_statistics
from trainer.ranks.stop_signals import Agreement, stop_signals
from trainer.run import BEST_NAMES, Run, log_fates, prepare
from trainer.schedule import rate, set_rate
from trainer.step import memory_named, step
from trainer.training_report import TrainingReport
from trainer.validate import Validation, validate

LOG_PERIOD = 100  # iterations between lines of metrics.jsonl
SAVE_SECONDS = 300.0  # between checkpoints: about what a kill -9 costs at most


def train(config: Config, saved_models: Path = Path("saved_models"), easyocr_dir: Path | None = None) -> TrainingReport:
    """Fine-tune a recognizer as the config says, in the folder `saved_models/<experiment_name>`.

    `easyocr_dir` is where EasyOCR's models lie, by default its own folder.

    The folder gets config.yaml, log_train.txt, log_dataset.txt, metrics.jsonl, tensorboard/, curves.png,
    best_accuracy.pth, best_norm_ed.pth (weights) and last.pth (a checkpoint). A run that was interrupted goes on from
    last.pth. Under torchrun every rank calls this. Raises StoppedError where a signal stopped it before its end,
    UsageError for what the config asks in vain, before anything is written, and DataError for damaged shards and a loss
    that is not finite.
    """
    with stop_signals() as came, joined() as process:
        run = prepare(config, process, saved_models / config.experiment_name, easyocr_dir or default_easyocr_dir())
        if not is_over(run):
            iterate(run, came)
            finish(run)
        elif process.is_main:
            print(f"{run.folder}: already trained for {run.progress.iteration:,} iterations")
        if process.is_main:
            print(f"weights and log: {run.folder}", flush=True)
    if not is_over(run):
        raise StoppedError(
            f"{run.folder}: stopped by a signal behind iteration {run.progress.iteration:,} of {config.n_iter:,}; the "
            "same command goes on"
        )
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


def iterate(run: Run, came: Sequence[int]) -> None:
    """The training loop, until the run is over or a signal came.

    A validation, with all that it writes, ends every `val_period` iterations and the run. In between, nothing waits
    for a GPU but every LOG_PERIOD iterations.
    """
    config, process, state = run.recipe.config, run.process, run.progress
    batches = training_batches(run.training, run.recipe, process, run.position.cursors)
    agreement = Agreement(process)
    to_training_mode(run)
    run.watch.restart()
    for batch in shown_on_main(on_device(run.watch.waits_for(batches), process.device), run):
        set_rate(run.optimizer, rate(config, state.iteration))
        with memory_named(batch, state.iteration + 1):
            loss = step(run.learner, run.optimizer, batch, config, process)
        state.iteration += 1
        if run.average:
            run.average.follow(state.iteration)
        run.position = msgspec.structs.replace(run.position, cursors=batch.cursors)
        run.seen.add(loss, batch)
        save_is_due = monotonic() - run.saved > SAVE_SECONDS
        stops, saves = agreement.reached([bool(came), save_is_due], state.iteration)
        validates = state.iteration % config.val_period == 0 or state.iteration == config.n_iter
        if validates or stops or saves or state.iteration % LOG_PERIOD == 0:
            pause(run, validates, stops or saves)
        if stops or is_over(run):
            return


def is_over(run: Run) -> bool:
    config, state = run.recipe.config, run.progress
    return state.iteration >= config.n_iter or 0 < config.early_stop <= state.num_worse


def to_training_mode(run: Run) -> None:
    """All but the BatchNorms of frozen parts, whose statistics would move.

    A frozen LSTM stays in it: cuDNN passes a gradient through one in no other mode, and it has nothing that differs.
    """
    run.model.train()
    for part in run.frozen:
        for module in part.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()


def shown_on_main(batches: Iterable[Batch], run: Run) -> Iterator[Batch]:
    """The batches that are left; rank 0 shows the progress."""
    number = run.recipe.config.n_iter - run.progress.iteration
    part = islice(batches, number)
    if not run.process.is_main:
        return part
    return shown(part, "train", "iterations", total=number, note=lambda: run.watch.note)


def pause(run: Run, validates: bool, saves: bool) -> None:
    """Behind an iteration: the ranks meet, and what is due is written."""
    state = run.progress
    told = gather(run.seen, state.iteration, run.process)
    run.seen = Seen()
    run.watch.num_patches += told.num_patches
    state.losses += told.losses
    state.fates = dict(Counter(state.fates) + told.fates)
    state.seconds = monotonic() - run.start
    if validates:
        validated(run)
    elif state.iteration % LOG_PERIOD == 0:
        run.watch.write(line_of(run))
    if saves and not validates:
        save(run)


def line_of(run: Run) -> Line:
    """What was seen since the last line; the next one begins."""
    state, config = run.progress, run.recipe.config
    patches_per_second, data_wait = run.watch.pace()
    line = Line(
        iteration=state.iteration,
        epoch=run.position.cursors[0].epoch,
        loss=fmean(state.losses),
        lr=rate(config, state.iteration - 1),
        patches_per_second=round(patches_per_second, 1),
        data_wait=round(data_wait, 4),
        validation_share=round(state.validation_seconds / state.seconds, 4),
        seconds=round(state.seconds, 1),
    )
    state.sum_loss += fsum(state.losses)
    state.num_losses += len(state.losses)
    state.losses = []
    run.watch.restart()
    return line


def validated(run: Run) -> None:
    """Validate, and write what was found."""
    state, line, start = run.progress, line_of(run), monotonic()
    take_statistics(run.reader, run.process)
    batches = validation_batches(run.validation, run.recipe, run.process)
    found = validate(run.reader, batches, run.recipe, run.process, state.iteration, run.beam)
    to_training_mode(run)
    state.validation_seconds += monotonic() - start
    state.seconds = monotonic() - run.start
    line.validation_share = round(state.validation_seconds / state.seconds, 4)
    line.validation_loss, line.accuracy, line.norm_ed, line.cer = found.loss, found.accuracy, found.norm_ed, found.cer
    keep(run, found, line)
    run.watch.restart()


def keep(run: Run, found: Validation, line: Line) -> None:
    """Write what a validation found: the weights where they are the best so far, the logs, and then the checkpoint.

    A kill in between leaves logs that `cut_logs` cuts, and weights that are overwritten by better ones alone.
    """
    state, config = run.progress, run.recipe.config
    figures, best = (found.accuracy, found.norm_ed), (state.best_accuracy, state.best_norm_ed)
    better = [figure > before for figure, before in zip(figures, best, strict=True)]
    state.best_accuracy, state.best_norm_ed = map(max, figures, best)
    state.num_worse = 0 if any(better) else state.num_worse + 1
    training_loss, fates = state.sum_loss / state.num_losses, state.fates
    state.sum_loss, state.num_losses, state.fates = 0.0, 0, {}
    if not run.process.is_main:
        run.saved = monotonic()
        return
    weights = weights_of(run.reader, config, run.recipe.charset)
    for name, figure, is_better, kept in zip(BEST_NAMES, figures, better, run.kept, strict=True):
        if is_better and figure >= kept:
            save_weights(weights, run.folder / name, figure)
    run.watch.write(line)
    run.watch.show_worst(found.worst, state.iteration)
    block = training_block(config.n_iter, training_loss, found, state)
    append_line(run.folder / "log_train.txt", block)
    log_fates(run, fates, found.fates)
    save(run)
    print(block, flush=True)


def save(run: Run) -> None:
    """Write the checkpoint."""
    run.saved = monotonic()
    if run.process.is_main:
        run.progress.log_bytes = log_bytes(run.folder)
        weights = weights_of(run.reader, run.recipe.config, run.recipe.charset)
        trained = tensors_of(run.model) if run.average else None
        save_checkpoint(run.folder, run.recipe.config, weights, run.optimizer, run.progress, run.position, trained)


def finish(run: Run) -> None:
    """What is left to be shown of a run that has ended."""
    run.watch.close()
    if run.process.is_main:
        draw_curves(run.folder)
        if run.progress.iteration < run.recipe.config.n_iter and is_over(run):
            print(f"stopped early: {run.progress.num_worse} validations in a row found no better figure")
