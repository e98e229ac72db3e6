"""The report in words: what the terminal shows, and report.md with all intervals. Both hold the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from evaluator.metrics.breakdown import CharacterCount
from evaluator.metrics.experiment import EFFECTS, REFERENCE
from evaluator.metrics.figures import Scores
from evaluator.metrics.significance import Difference, Interval
from evaluator.report.report_files import Report, SystemReport

MAX_FAILURES_SHOWN = 5
MAX_CHARACTERS_SHOWN = 20

SHOWN_FIGURES = {
    "detection F1": "detection.f1",
    "CER": "recognition.cer",
    "accuracy": "recognition.accuracy",
    "end-to-end F1": "end_to_end.f1",
    "page-mean F1 (seed)": "end_to_end_seed.f1_page_mean",
    "CLEval detection": "cleval.detection.hmean",
    "CLEval end to end": "cleval.end_to_end.hmean",
}
"""What report.md shows with intervals, of the figures that report.json has all of."""

PRINTED_FIGURES = ("detection F1", "CER", "end-to-end F1", "page-mean F1 (seed)", "CLEval end to end")
PRINTED_EFFECTS = ("end-to-end F1", "CLEval end to end")

Rows = list[list[str]]
"""The first one is the header."""


def table(report: Report) -> str:
    """What to print: a line a system, what each part of a system brings, and what a reader must know of them."""
    return "\n".join([*columns(systems_table(report)), "", *columns(effects_table(report)), "", *notes(report)])


def summary(report: Report) -> str:
    """report.md."""
    parts = [
        [
            f"# How well EasyOCR reads {report.pages.listed:,} pages",
            "",
            f"{', '.join(report.eval_set)}, {report.device}",
        ],
        ["## The systems", "", *markdown(systems_table(report))],
        ["## Which part brings what", "", *markdown(effects_table(report))],
        ["## How sure each figure is", "", *markdown(intervals_table(report))],
        ["## How sure each difference is", "", *markdown(differences_table(report))],
        ["## Characters", "", *markdown(characters_table(report))],
        ["## Notes", "", *(f"- {line}" for line in notes(report))],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def systems_table(report: Report) -> Rows:
    extra = {"mAP": "ap_50_95", "GIoU": "mean_giou"}
    header = ["boxes", "recognizer", *PRINTED_FIGURES[:1], *extra, *PRINTED_FIGURES[1:]]
    rows = []
    for system in report.systems.values():
        first, *others = (figure(scores_at(system, SHOWN_FIGURES[name])) for name in PRINTED_FIGURES)
        detection = (figure(getattr(system.detection_extra, field)) for field in extra.values())
        rows.append([system.boxes, system.recognizer, first, *detection, *others])
    return [header, *rows]


def effects_table(report: Report) -> Rows:
    header = ["brought by"]
    for name in PRINTED_EFFECTS:
        header += [name, "p"]
    rows = []
    for effect, by_figure in report.effects.items():
        row = [effect]
        for name in PRINTED_EFFECTS:
            found = by_figure[SHOWN_FIGURES[name]]
            row += [with_interval(found.difference, found.interval, "+"), figure(found.p_value)]
        rows.append(row)
    return [header, *rows]


def intervals_table(report: Report) -> Rows:
    rows = [
        [
            name,
            *(with_interval(scores_at(system, place), system.intervals[place]) for system in report.systems.values()),
        ]
        for name, place in SHOWN_FIGURES.items()
    ]
    return [["figure", *report.systems], *rows]


def differences_table(report: Report) -> Rows:
    rows = [
        [name, *(with_p(by_figure[place]) for by_figure in report.effects.values())]
        for name, place in SHOWN_FIGURES.items()
    ]
    return [["figure", *report.effects], *rows]


def characters_table(report: Report) -> Rows:
    """What each recognizer does to characters where no detector takes part."""
    rows = []
    for system in report.systems.values():
        if system.boxes == REFERENCE:
            outside, confusions = system.breakdown.outside_alphabet, system.breakdown.confusions
            confused = [f"{each.reference} → {each.prediction} ({each.count:,})" for each in confusions.substituted]
            rows.append(
                [
                    system.recognizer,
                    f"{outside.num_outside:,} of {outside.num_words:,}",
                    shown(outside.characters),
                    ", ".join(confused[:MAX_CHARACTERS_SHOWN]),
                    shown(confusions.never_read),
                ]
            )
    return [["recognizer", "words outside the alphabet", "their characters", "most confused", "never read"], *rows]


def shown(characters: Sequence[CharacterCount]) -> str:
    first = [f"{each.character} ({each.count:,})" for each in characters[:MAX_CHARACTERS_SHOWN]]
    return ", ".join(first) + (", …" if len(characters) > len(first) else "")


def columns(rows: Rows) -> list[str]:
    """Lines of cells, each column as wide as its widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]


def markdown(rows: Rows) -> list[str]:
    header, *others = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *others)]


def scores_at(scores: Scores, place: str) -> float | None:
    """The figure at a name of `FIGURES`."""
    value: float | None = attrgetter(place)(scores)
    return value


def with_p(found: Difference) -> str:
    p = "" if found.p_value is None else f", p {found.p_value:.4f}"
    return with_interval(found.difference, found.interval, "+") + p


def with_interval(value: float | None, interval: Interval | None, sign: str = "") -> str:
    if value is None or interval is None:
        return figure(value)
    return f"{value:{sign}.4f} ({interval.low:{sign}.4f} to {interval.high:{sign}.4f})"


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def notes(report: Report) -> list[str]:
    return [
        "easyocr boxes: EasyOCR's own, as readtext's defaults group them; words: word by word; reference: the labels'.",
        *(f"{system.recognizer}: {system.name}, {', '.join(system.languages)}" for system in models(report)),
        *(f"{name}: {system.run}" for name, system in report.systems.items() if system.run),
        "CER (lower is better): over the words whose boxes match (IoU >= 0.5).",
        "end-to-end F1: a matched word earns max(0, 1 - CER), a missed or a false one nothing; over all words.",
        "page-mean F1 (seed): the mean of the pages' F1, 1 - CER not cut at 0, as the seed defines 0.369 -> 0.710.",
        "CLEval: the same by characters, so that a split or merged word keeps its credit but for one character.",
        "In brackets: 95 % of resampled sets of pages; p: how likely as large a difference is between equal systems.",
        *(f"{name}: {EFFECTS[name]}." for name in report.effects),
        *pages_read(report),
    ]


def models(report: Report) -> list[SystemReport]:
    """One system of each recognizer."""
    return list({system.recognizer: system for system in report.systems.values()}.values())


def pages_read(report: Report) -> list[str]:
    pages = report.pages
    lines = [f"Pages: {pages.read:,} of {pages.listed:,} read."]
    if pages.from_cache:
        lines[0] += f" The boxes of {pages.from_cache:,} were there from an earlier run."
    if pages.failed:
        lines[0] += f" {len(pages.failed):,} could not be read; their words count as missed:"
        lines += [f"  {key}: {reason}" for key, reason in list(pages.failed.items())[:MAX_FAILURES_SHOWN]]
        lines += ["  … all of them in report.json"] if len(pages.failed) > MAX_FAILURES_SHOWN else []
    return lines
