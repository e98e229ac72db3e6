"""What an evaluation leaves behind: report.json, pages.csv and a table on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from evaluator.end_to_end import PageReading, page_f1, page_f1_seed
from evaluator.score import Scores, recognition_scores
from ocr.files import written_whole
from ocr.page import Page

MAX_FAILURES_SHOWN = 5


class SystemReport(Scores, frozen=True, kw_only=True):
    """The scores of one system, and what it read with."""

    name: str
    languages: tuple[str, ...]


class PageCounts(msgspec.Struct, frozen=True):
    """Pages in the shards, pages read, and the reason for each that was not: its words count as missed."""

    listed: int
    read: int
    failed: dict[str, str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`report.json`. `seconds` maps a step to its wall time, summed over the pages."""

    systems: dict[str, SystemReport]
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
    labels: Mapping[str, Page], readings: Mapping[str, Mapping[str, PageReading]], failed: Mapping[str, str]
) -> list[PageRow]:
    """A row a page and system, pages in the order of `labels`; `readings` is by system, then by page."""
    return [
        PageRow(
            page=key,
            category=label.category,
            system=system,
            num_reference=by_page[key].num_reference,
            num_prediction=by_page[key].num_prediction,
            num_matched=len(by_page[key].pairs),
            cer=recognition_scores([by_page[key]]).cer,
            f1=page_f1(by_page[key]),
            f1_seed=page_f1_seed(by_page[key]),
            failure=failed.get(key, ""),
        )
        for key, label in labels.items()
        for system, by_page in readings.items()
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


def plain(value: object) -> object:
    return f"{value:.6f}" if isinstance(value, float) else value


def table(report: Report) -> str:
    """The scores to print: a line a system, then what a reader must know to compare the lines."""
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
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    return "\n".join([line.rstrip() for line in lines] + notes(report))


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def notes(report: Report) -> list[str]:
    pages = report.pages
    lines = [
        "CER (lower is better) and accuracy: over the words whose boxes match (IoU >= 0.5).",
        "end-to-end F1: a matched word earns max(0, 1 - CER), a missed or a false one nothing; over all words.",
        "page-mean F1 (seed): the mean of the pages' F1, 1 - CER not cut at 0, as the seed defines 0.369 -> 0.710.",
    ]
    if len(report.systems) > 1:
        lines.append("Both read the boxes of one detector (CRAFT, word level): they differ in the recognizer alone.")
    lines.append(f"Pages: {pages.read:,} of {pages.listed:,} read.")
    if pages.failed:
        lines[-1] += f" {len(pages.failed):,} could not be read; their words count as missed:"
        lines += [f"  {key}: {reason}" for key, reason in list(pages.failed.items())[:MAX_FAILURES_SHOWN]]
        lines += ["  … all of them in report.json"] if len(pages.failed) > MAX_FAILURES_SHOWN else []
    return lines
