"""What a run writes for people: log_train.txt in the seed's form, and log_dataset.txt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from trainer.checkpoint import Progress
from trainer.data.sample_table import listed_fates
from trainer.validate import Validation

RULE = "-" * 80


def training_block(n_iter: int, training_loss: float, found: Validation, progress: Progress) -> str:
    """One validation in the seed's form, the examples at its end."""
    lines = [
        f"[{progress.iteration}/{n_iter}]",
        f"Training loss: {training_loss:.5f} | Validation loss: {found.loss:.5f} | "
        f"Total {timedelta(seconds=int(progress.seconds))} elapsed",
        f"Current accuracy : {found.accuracy:.3f} | Current normalized edit distance: {found.norm_ed:.4f}",
        f"Best accuracy : {progress.best_accuracy:.3f} | Best normalized edit distance: {progress.best_norm_ed:.4f}",
        RULE,
        "Ground Truth | Prediction | Confidence Score & T/F",
        RULE,
        *(
            f"{reading.reference} | {reading.prediction} | {reading.confidence:.4f} "
            f"{reading.reference == reading.prediction}"
            for reading in found.examples
        ),
        RULE,
    ]
    return "\n".join(lines)


def counts_line(name: str, fates: Mapping[str, int]) -> str:
    """`validation: 2,231 samples, 2,120 used, 111 character outside the alphabet`."""
    return f"{name}: {sum(fates.values()):,} samples, {listed_fates(fates)}"


def append_line(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
