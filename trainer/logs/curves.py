"""metrics.jsonl -> curves.png: how the loss fell and the figures rose, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ocr.plumbing.files import write_whole
from trainer.logs.metrics_log import METRICS_NAME, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES_NAME = "curves.png"
BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d9761c", "#2d8a4e", "#8a8f98"


def draw_curves(folder: Path) -> None:
    """Draw what a run's metrics.jsonl holds, beside it; nothing where a run has not got to its first line."""
    if not (folder / METRICS_NAME).exists():
        return
    from matplotlib.figure import Figure  # only here, and above for types alone: it takes a second

    lines = msgspec.json.Decoder(Line).decode_lines((folder / METRICS_NAME).read_bytes())
    validated = [line for line in lines if line.accuracy is not None]
    figure = Figure(figsize=(10, 9), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 2])
    draw(axes[0], lines, "loss", "training", BLUE)
    draw(axes[0], validated, "validation_loss", "validation", ORANGE, "o-")
    axes[0].set(ylabel="loss", yscale="log")
    draw(axes[1], validated, "accuracy", "accuracy", BLUE, "o-")
    draw(axes[1], validated, "norm_ed", "1-NED", GREEN, "o-", factor=100)
    draw(axes[1], validated, "cer", "CER", ORANGE, "o-", factor=100)
    axes[1].set(ylabel="% (words; CER: characters)")
    draw(axes[2], lines, "patches_per_second", "patches/s", GREY)
    fastest = max((line.patches_per_second for line in lines), default=0.0)
    axes[2].set(ylabel="patches/s", xlabel="iteration", ylim=(0, 1.2 * fastest or 1.0))
    rates = axes[2].twinx()
    draw(rates, lines, "lr", "learning rate", ORANGE)
    rates.set(ylabel="learning rate", ylim=(0, None))
    for axis in axes:
        axis.grid(color="#e3e6ea")
        axis.legend(loc="best" if axis is not axes[2] else "lower left", frameon=False)
    rates.legend(loc="lower right", frameon=False)
    with write_whole(folder / CURVES_NAME) as file:
        figure.savefig(file, format="png")


def draw(
    axis: Axes, lines: Sequence[Line], name: str, label: str, color: str, style: str = "-", factor: float = 1.0
) -> None:
    points = [(line.iteration, factor * value) for line in lines if (value := getattr(line, name)) is not None]
    x, y = zip(*points, strict=True) if points else ((), ())
    axis.plot(x, y, style, label=label, color=color, markersize=4, linewidth=1.4)
