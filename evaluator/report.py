"""What an evaluation leaves behind: report.json, pages.csv and a table on the terminal."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec

from evaluator.breakdown import Breakdown
from evaluator.figures import FIGURES, Scores, Sums, number
from evaluator.mean_precision import DetectionExtra
from evaluator.significance import Difference, Interval
from ocr.errors import UsageError
from ocr.files import written_whole
from ocr.page import Page

MAX_FAILURES_SHOWN = 5

SHOWN_FIGURES = {
    "detection F1": "detection.f1",
    "CER": "recognition.cer",
    "accuracy": "recognition.accuracy",
    "end-to-end F1": "end_to_end.f1",
    "page-mean F1 (seed)": "end_to_end_seed.f1_page_mean",
    "CLEval detection": "cleval.detection.hmean",
    "CLEval end to end": "cleval.end_to_end.hmean",
}
"""What the terminal shows with intervals, of the figures that report.json has all of."""


class SystemReport(Scores, frozen=True, kw_only=True):
    """The scores of one system, and what it read with; `intervals` are by the names of `figures.FIGURES`."""

    name: str
    languages: tuple[str, ...]
    intervals: dict[str, Interval | None]
    detection_extra: DetectionExtra
    breakdown: Breakdown


class PageCounts(msgspec.Struct, frozen=True):
    """Pages in the shards, pages read, and the reason for each that was not: its words count as missed."""

    listed: int
    read: int
    failed: dict[str, str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`report.json`. `seconds` maps a step to its wall time, summed over the pages.

    `comparison` is fine-tuned minus baseline, by the names of `figures.FIGURES`; empty where one was left out.
    """

    systems: dict[str, SystemReport]
    comparison: dict[str, Difference]
    detector: dict[str, str | float]
    pages: PageCounts
    eval_set: str
    device: str
    versions: dict[str, str]
    seconds: dict[str, float]


class PageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `pages.csv`: how one system read one page; `failure` is empty for a page that was read."""

    page: str
    category: str
    system: str
    num_reference: int
    num_prediction: int
    num_matched: int
    cer: float | None
    f1: float | None
    f1_seed: float
    failure: str


def page_rows(
    labels: Mapping[str, Page], sums: Mapping[str, Mapping[str, Sums]], failed: Mapping[str, str]
) -> list[PageRow]:
    """A row a page and system, pages in the order of `labels`; `sums` is by system, then by page."""
    return [
        PageRow(
            page=key,
            category=label.category,
            system=system,
            num_reference=int(page.num_reference),
            num_prediction=int(page.num_prediction),
            num_matched=int(page.num_matched),
            cer=number(FIGURES["recognition.cer"](page)),
            f1=number(FIGURES["end_to_end.f1"](page)),
            f1_seed=float(page.f1_seed),
            failure=failed.get(key, ""),
        )
        for key, label in labels.items()
        for system, page in ((system, by_page[key]) for system, by_page in sums.items())
    ]


def write_report(report: Report, rows: Sequence[PageRow], folder: Path) -> None:
    """Write `pages.csv`, then `report.json`: where the second is, the first is of the same run."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, PageRow.__struct_fields__)
    writer.writeheader()
    writer.writerows({name: plain(value) for name, value in msgspec.structs.asdict(row).items()} for row in rows)
    with written_whole(folder / "pages.csv") as file:
        file.write(text.getvalue().encode("utf-8-sig"))  # Without the BOM Excel takes Korean for Latin-1.
    with written_whole(folder / "report.json") as file:
        file.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def check_folder(out: Path) -> None:
    """Raise UsageError where a report could not be written in the end."""
    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(f"{nearest}: is a file, so no report can be written to {out}; choose another --out")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"{nearest}: not writable; choose another --out")


def plain(value: object) -> object:
    return f"{value:.6f}" if isinstance(value, float) else value


def table(report: Report) -> str:
    """What to print: a line a system, how sure each figure is, then what a reader must know to compare the lines."""
    header = ("system", "recognizer", "detection F1", "CER", "end-to-end F1", "page-mean F1 (seed)", "accuracy")
    rows = [
        (
            system,
            scores.name,
            figure(scores.detection.f1),
            figure(scores.recognition.cer),
            figure(scores.end_to_end.f1),
            figure(scores.end_to_end_seed.f1_page_mean),
            figure(scores.recognition.accuracy),
        )
        for system, scores in report.systems.items()
    ]
    return "\n".join([*columns(header, rows), "", *uncertainty(report), "", *notes(report)])


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    return [line.rstrip() for line in lines]


def uncertainty(report: Report) -> list[str]:
    """A line a figure: each system's with its interval and, where there are two systems, their difference."""
    header = ["figure", *report.systems] + ["difference", "p"] * bool(report.comparison)
    rows = []
    for name, place in SHOWN_FIGURES.items():
        cells = [with_interval(scores_at(system, place), system.intervals[place]) for system in report.systems.values()]
        if report.comparison:
            compared = report.comparison[place]
            cells += [with_interval(compared.difference, compared.interval, "+"), figure(compared.p_value)]
        rows.append([name, *cells])
    for name, field in {"mAP (0.50:0.95)": "ap_50_95", "mean GIoU": "mean_giou"}.items():
        cells = [figure(getattr(system.detection_extra, field)) for system in report.systems.values()]
        rows.append([name, *cells] + ["", ""] * bool(report.comparison))
    return columns(header, rows)


def scores_at(scores: Scores, place: str) -> float | None:
    """The figure at a name of `FIGURES`."""
    value: float | None = attrgetter(place)(scores)
    return value


def with_interval(value: float | None, interval: Interval | None, sign: str = "") -> str:
    if value is None or interval is None:
        return figure(value)
    return f"{value:{sign}.4f} ({interval.low:{sign}.4f} to {interval.high:{sign}.4f})"


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def notes(report: Report) -> list[str]:
    pages = report.pages
    lines = [
        "CER (lower is better) and accuracy: over the words whose boxes match (IoU >= 0.5).",
        "end-to-end F1: a matched word earns max(0, 1 - CER), a missed or a false one nothing; over all words.",
        "page-mean F1 (seed): the mean of the pages' F1, 1 - CER not cut at 0, as the seed defines 0.369 -> 0.710.",
        "CLEval: the same by characters, so that a split or merged word keeps its credit but for one character.",
        "In brackets: 95 % of resampled sets of pages give a figure between these two.",
    ]
    if report.comparison:
        lines.append("difference: finetuned - baseline; p: how likely one as large is if the two read equally well.")
    if len(report.systems) > 1:
        lines.append("Both read the boxes of one detector (CRAFT, word level): they differ in the recognizer alone.")
    lines.append(f"Pages: {pages.read:,} of {pages.listed:,} read.")
    if pages.failed:
        lines[-1] += f" {len(pages.failed):,} could not be read; their words count as missed:"
        lines += [f"  {key}: {reason}" for key, reason in list(pages.failed.items())[:MAX_FAILURES_SHOWN]]
        lines += ["  … all of them in report.json"] if len(pages.failed) > MAX_FAILURES_SHOWN else []
    return lines
