"""Counts, tables and bars in plain text, for terminals of 80 columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

LINE_COLUMNS = 80
BAR_COLUMNS = 36
BAR_PARTS = "▏▎▍▌▋▊▉█"  # eighths of a column
MAX_BARS = 16
STEPS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def num_columns(text: str) -> int:
    """How wide a terminal shows a text: Korean letters take two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with the first column to the left, all others to the right."""
    widths = [max(num_columns(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = (" " * (width - num_columns(cell)) for cell, width in zip(row, widths, strict=True))
        cells = [row[0] + first, *(space + cell for space, cell in zip(others, row[1:], strict=True))]
        yield "  ".join(cells).rstrip()


def wrapped(items: Iterable[str], indent: int, separator: str = "  ") -> Iterator[str]:
    """Items side by side, in lines that fit the terminal."""
    line = ""
    for item in items:
        if line and indent + num_columns(line + separator + item) > LINE_COLUMNS:
            yield " " * indent + line
            line = ""
        line += separator + item if line else item
    if line:
        yield " " * indent + line


def quantile(values: np.ndarray, share: float) -> int:
    """The smallest of the values that `share` of them do not exceed."""
    return int(np.quantile(values, share, method="inverted_cdf"))


def histogram(values: np.ndarray) -> Iterator[str]:
    """A bar a range of whole numbers; the last one takes all above it, at most a hundredth of them."""
    if not len(values):
        return
    most = quantile(values, 0.99)
    step = next((step for step in STEPS if most < step * MAX_BARS), STEPS[-1])
    num_bars = most // step + 1
    counts = np.bincount(np.minimum(values // step, num_bars), minlength=num_bars + 1)
    labels = [range_of(index * step, (index + 1) * step - 1) for index in range(num_bars)]
    labels.append(f"{num_bars * step:,} …")
    first = int(np.flatnonzero(counts)[0])
    for label, number in zip(labels[first:], counts[first:].tolist(), strict=True):
        if number or label != labels[-1]:
            bar = bar_of(number / int(counts.max()))
            yield f"{label:>11}  {bar:<{BAR_COLUMNS}}  {number:>11,}  {number / len(values):>6.1%}"


def range_of(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def bar_of(share: float) -> str:
    """A bar of `share` of the columns, to the eighth of one; a thin one for what is not nothing."""
    eighths = round(share * BAR_COLUMNS * 8)
    if share > 0:
        eighths = max(eighths, 1)
    whole, part = divmod(eighths, 8)
    return BAR_PARTS[-1] * whole + (BAR_PARTS[part - 1] if part else "")
