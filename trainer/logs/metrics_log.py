"""What a run shows while it lives: metrics.jsonl, TensorBoard and the note beside the progress bar; rank 0 writes them.

every iteration     a rank keeps its loss, on the device, and what it read     Seen
now and then        what all ranks kept meets; a GPU is waited for             gather
                    a line of it, in three places                              Line, Watch
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import torch

from ocr.contact_sheet import SheetCell, contact_sheet
from ocr.errors import DataError, UsageError
from trainer.data.batch import Batch
from trainer.logs.text_logs import append_line
from trainer.ranks.process_group import Process, gathered
from trainer.validate import Misread

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRICS_NAME, BOARD_NAME = "metrics.jsonl", "tensorboard"
NAMED_SAMPLES = 3


class Seen:
    """What one rank did since the ranks last met."""

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.samples: list[tuple[list[str], list[str]]] = []
        self.num_patches = 0
        self.fates = Counter[str]()

    def add(self, loss: torch.Tensor, batch: Batch) -> None:
        self.losses.append(loss)
        self.samples.append((batch.keys, batch.shards))
        self.num_patches += len(batch.keys)
        self.fates.update(batch.fates)


class Told(NamedTuple):
    """What ranks tell each other; `fault` describes the first loss that is none, if there is one."""

    losses: list[float]
    num_patches: int
    fates: Counter[str]
    fault: str


def gather(seen: Seen, iteration: int, process: Process) -> Told:
    """What all ranks did: of each iteration the mean loss over all samples. Every rank has to ask.

    Raises DataError for a loss that is not finite.
    """
    losses = torch.stack(seen.losses).tolist() if seen.losses else []
    fault = fault_of(losses, seen, iteration - len(losses))
    told = gathered(Told(losses, seen.num_patches, seen.fates, fault), process)
    if faults := [rank.fault for rank in told if rank.fault]:
        raise DataError(faults[0])
    return Told(
        [fmean(of_ranks) for of_ranks in zip(*(rank.losses for rank in told), strict=True)],
        sum(rank.num_patches for rank in told),
        sum((rank.fates for rank in told), Counter[str]()),
        "",
    )


def fault_of(losses: list[float], seen: Seen, before: int) -> str:
    """What is said of the first loss that is not finite; `before` iterations were done before the first."""
    for iteration, (loss, (keys, shards)) in enumerate(zip(losses, seen.samples, strict=True), start=before + 1):
        if not math.isfinite(loss):
            named = ", ".join(f"{shard}: {key}" for key, shard in zip(keys[:NAMED_SAMPLES], shards, strict=False))
            return (
                f"iteration {iteration}: the training loss is {loss}; lower lr or grad_clip, or start from other "
                f"weights; last.pth is from before it. The first of its {len(keys)} patches: {named}"
            )
    return ""


class Line(msgspec.Struct, omit_defaults=True):
    """One line of metrics.jsonl: what was seen since the line before, and what a validation found.

    `loss` is the mean over the iterations since then. `data_wait` is the share of the time in which the loop waited
    for its loader, `validation_share` that of the run so far which went into validations.
    """

    iteration: int
    epoch: int
    loss: float
    lr: float
    patches_per_second: float
    data_wait: float
    validation_share: float
    seconds: float
    validation_loss: float | None = None
    accuracy: float | None = None
    norm_ed: float | None = None
    cer: float | None = None


class Watch:
    """The pace of a run since its last line, and on rank 0 what shows it."""

    def __init__(self, folder: Path, process: Process, iteration: int) -> None:
        self.folder, self.note = folder, ""
        self.board = opened_board(folder / BOARD_NAME, iteration) if process.is_main else None
        self.restart()

    def restart(self) -> None:
        self.num_patches, self.waited_seconds, self.start = 0, 0.0, monotonic()

    def waits_for(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; the time they are waited for is counted."""
        start = monotonic()
        for batch in batches:
            self.waited_seconds += monotonic() - start
            yield batch
            start = monotonic()

    def pace(self) -> tuple[float, float]:
        """(patches a second, share of the time that was waited for data) since the last line."""
        seconds = monotonic() - self.start
        return self.num_patches / seconds, self.waited_seconds / seconds

    def write(self, line: Line) -> None:
        if self.board is None:
            return
        append_line(self.folder / METRICS_NAME, msgspec.json.encode(line).decode())
        for name, value in msgspec.structs.asdict(line).items():
            if value is not None and name not in ("iteration", "seconds"):
                self.board.add_scalar(name, value, line.iteration)
        waiting = f"{100 * line.data_wait:.0f}% waiting for data"
        self.note = f"loss {line.loss:.4f}, {line.patches_per_second:,.0f} patches/s, {waiting}"

    def show_worst(self, worst: list[Misread], iteration: int) -> None:
        """The words that were read worst, as one picture; as text alone where there is no font for them."""
        if self.board is None or not worst:
            return
        cells = [
            SheetCell(word.patch, f"{word.reading.reference} → {word.reading.prediction or '∅'}") for word in worst
        ]
        try:
            sheet = contact_sheet([("true text → what was read", cells)])
        except UsageError:
            self.board.add_text("worst words", "\n\n".join(cell.text for cell in cells), iteration)
            return
        self.board.add_image("worst words", np.asarray(sheet), iteration, dataformats="HWC")

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


def opened_board(folder: Path, iteration: int) -> SummaryWriter:
    """What it holds of later iterations, from before a run was resumed, is not shown any more."""
    from torch.utils.tensorboard import SummaryWriter  # only here: it takes a second that other ranks can do without

    return SummaryWriter(str(folder), purge_step=iteration + 1)
