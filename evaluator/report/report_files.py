"""What an evaluation leaves behind: report.json, report.md, and every page and word as CSV."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from evaluator.metrics.breakdown import Breakdown
from evaluator.metrics.end_to_end import PageReading
from evaluator.metrics.figures import FIGURES, Scores, Sums, number
from evaluator.metrics.matching import iou
from evaluator.metrics.mean_precision import DetectionExtra
from evaluator.metrics.significance import Difference, Interval
from ocr.errors import UsageError
from ocr.page import Page
from ocr.plumbing.files import write_whole


class SystemReport(Scores, frozen=True, kw_only=True):
    """The scores of one system, whose boxes and recognizer are named as in `evaluator.metrics.experiment`.

    `name` is the recognizer's model, `run` the Python that reads a page so, empty where labels are needed for it.
    `intervals` are by the names of `figures.FIGURES`.
    """

    boxes: str
    recognizer: str
    name: str
    languages: tuple[str, ...]
    run: str
    intervals: dict[str, Interval | None]
    detection_extra: DetectionExtra
    breakdown: Breakdown


class PageCounts(msgspec.Struct, frozen=True):
    """Pages in the shards, pages read, and the reason for each that was not: its words count as missed.

    `from_cache` are those whose boxes were there from an earlier run.
    """

    listed: int
    read: int
    from_cache: int
    failed: dict[str, str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`report.json`. `seconds` maps a step to its wall time, summed over pages, threads and processes.

    `effects` are by the names of `experiment.EFFECTS`, then of `figures.FIGURES`; `boxes` are the settings of each
    detector.
    """

    systems: dict[str, SystemReport]
    effects: dict[str, dict[str, Difference]]
    boxes: dict[str, dict[str, float | str]]
    pages: PageCounts
    eval_set: list[str]
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


class WordRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `words.csv`: a reference with what was read for it, or a box that matched none.

    `box` is "x0 y0 x1 y1", the reference's where there is one; what a side does not have is empty.
    """

    page: str
    system: str
    box: str
    reference: str | None
    prediction: str | None
    iou: float | None
    correct: bool
    confidence: float | None


def page_rows(
    labels: Mapping[str, Page], sums: Mapping[str, Mapping[str, Sums]], failed: Mapping[str, str]
) -> Iterator[PageRow]:
    """A row a page and system, pages in the order of `labels`; `sums` is by system, then by page."""
    for key, label in labels.items():
        for system, by_page in sums.items():
            page = by_page[key]
            yield PageRow(
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


def word_rows(page: str, system: str, reading: PageReading) -> Iterator[WordRow]:
    """References in the order of the label, then false words; don't-care words and what lies on them are left out."""
    reference, prediction, read_for = reading.reference, reading.prediction, dict(reading.matches)
    boxes_N4, others_M4 = reference.boxes_N4, prediction.boxes_N4
    iou_NM = iou(boxes_N4, others_M4)
    counted = np.flatnonzero(~reference.dont_care_N).tolist()
    ignored = {*read_for.values(), *np.flatnonzero(reading.on_dont_care_M).tolist()}
    pairs: list[tuple[int | None, int | None]] = [(place, read_for.get(place)) for place in counted]
    pairs += [(None, place) for place in range(len(prediction.texts)) if place not in ignored]
    for place, read in pairs:
        box = others_M4[read] if place is None else boxes_N4[place]
        texts = None if place is None else reference.texts[place], None if read is None else prediction.texts[read]
        yield WordRow(
            page=page,
            system=system,
            box=" ".join(f"{corner:g}" for corner in box.tolist()),
            reference=texts[0],
            prediction=texts[1],
            iou=None if place is None or read is None else float(iou_NM[place, read]),
            correct=texts[0] == texts[1],
            confidence=None if read is None else float(prediction.confidences_N[read]),
        )


def write_report(
    report: Report,
    labels: Mapping[str, Page],
    readings: Mapping[str, Mapping[str, PageReading]],
    sums: Mapping[str, Mapping[str, Sums]],
    summary: str,
    folder: Path,
) -> None:
    """Write the CSV files and `report.md`, then `report.json`: where that is, the others are of the same run."""
    words = (
        row for key in labels for system, by_page in readings.items() for row in word_rows(key, system, by_page[key])
    )
    write_csv(folder / "words.csv", WordRow.__struct_fields__, words)
    write_csv(folder / "pages.csv", PageRow.__struct_fields__, page_rows(labels, sums, report.pages.failed))
    with write_whole(folder / "report.md") as file:
        file.write(summary.encode())
    with write_whole(folder / "report.json") as file:
        file.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[msgspec.Struct]) -> None:
    with write_whole(path) as file:
        text = io.TextIOWrapper(
            file, encoding="utf-8-sig", newline=""
        )  # Without the BOM Excel takes Korean for Latin-1.
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows([plain(value) for value in msgspec.structs.astuple(row)] for row in rows)
        text.detach()


def check_folder(folder: Path, option: str = "--out") -> None:
    """Raise UsageError where nothing could be written to a folder in the end; `option` is what names it."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(f"{nearest}: is a file, so nothing can be written to {folder}; choose another {option}")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"{nearest}: not writable; choose another {option}")


def plain(value: object) -> object:
    """A cell of a CSV file; None is empty."""
    return f"{value:.6f}" if isinstance(value, float) else value
