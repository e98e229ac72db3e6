"""What a training run comes to, for whoever called it."""

from __future__ import annotations

from pathlib import Path

import msgspec


class TrainingReport(msgspec.Struct, frozen=True, kw_only=True):
    """`folder` holds the run, of `iterations` so far; under torchrun every rank is given the same figures.

    `best_accuracy` is the percentage of validation words that were read without a fault, `best_norm_ed` the mean of
    1 - edits / max(length), 0 to 1: of the best validation each, -1 before the first one. `seconds` are wall time.
    """

    folder: Path
    iterations: int
    best_accuracy: float
    best_norm_ed: float
    seconds: float

    @property
    def best_accuracy_path(self) -> Path:
        """The weights that read the most words without a fault."""
        return self.folder / "best_accuracy.pth"

    @property
    def best_norm_ed_path(self) -> Path:
        """The weights with the highest `best_norm_ed`: those to export."""
        return self.folder / "best_norm_ed.pth"
