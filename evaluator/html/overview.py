"""The overview: the tables and plots of `index.html`, as the template takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from evaluator.html.outcomes import sum_fates
from evaluator.html.plots import groups_plot, histogram_plot, interval_plot
from evaluator.metrics.breakdown import Breakdown, CharacterCount, Confusion
from evaluator.metrics.end_to_end import PageReading, page_f1
from evaluator.metrics.figures import FIGURES
from evaluator.metrics.significance import Difference, Interval
from evaluator.report.report_files import Report, SystemReport
from evaluator.report.report_tables import scores_at

RESULT_FIGURES = (
    "end_to_end.f1",
    "detection.f1",
    "recognition.accuracy",
    "recognition.cer",
    "cleval.end_to_end.hmean",
    "end_to_end_seed.f1_page_mean",
)
PLOTTED_FIGURES = ("detection.f1", "recognition.accuracy", "end_to_end.f1")
COMPARED_FIGURES = ("end_to_end.f1", "detection.f1", "recognition.accuracy", "recognition.cer")
LOW_IS_GOOD = frozenset({"recognition.cer", "recognition.cer_macro"})
GROUPINGS = ("category", "height", "length")

Comparisons = Mapping[str, Mapping[str, Difference]]
"""By name, then by figure."""

NUM_CONFUSIONS = 24
NUM_CHARACTERS = 60
NUM_REASONS = 20


class Cell(msgspec.Struct, frozen=True):
    """A figure of a system; `best` where no rival's is better."""

    value: float | None
    interval: Interval | None = None
    best: bool = False


class GroupRow(msgspec.Struct, frozen=True):
    """Figures of the words of one group, read by one system."""

    group: str
    num_words: int
    detection_recall: float | None
    accuracy: float | None
    cer: float | None
    end_to_end_recall: float | None


class Characters(msgspec.Struct, frozen=True):
    """What one system does to characters; each list the most frequent first."""

    substituted: Sequence[Confusion]
    deleted: Sequence[CharacterCount]
    inserted: Sequence[CharacterCount]
    never_read: Sequence[CharacterCount]
    outside: Sequence[CharacterCount]
    num_outside: int


class System(msgspec.Struct, frozen=True):
    """A line of every table; `recognizer` says what it reads with."""

    name: str
    recognizer: str
    cells: dict[str, Cell]
    fates: Counter[str]
    groups: dict[str, list[GroupRow]]
    characters: Characters


class Overview(msgspec.Struct, frozen=True):
    """`plots` are by name; `facts` are how the run was made; `failures` the usual reasons, and how often."""

    systems: list[System]
    comparisons: Comparisons
    plots: dict[str, Markup]
    facts: dict[str, str]
    failures: dict[str, int]


def overview(
    report: Report,
    comparisons: Comparisons,
    readings: Mapping[str, Mapping[str, PageReading]],
    given_boxes: Collection[str],
) -> Overview:
    """Systems in `given_boxes` did not look for words: no rivals of those that did, since they miss none."""
    rivals = [system for name, system in report.systems.items() if name not in given_boxes]
    return Overview(
        systems=[
            System(
                name=name,
                recognizer=system.name,
                cells={place: cell(place, system, rivals) for place in FIGURES},
                fates=sum_fates(readings[name]),
                groups=groups(system.breakdown),
                characters=characters(system.breakdown),
            )
            for name, system in report.systems.items()
        ],
        comparisons=comparisons,
        plots=plots(report, readings),
        facts=facts(report),
        failures=dict(Counter(report.pages.failed.values()).most_common(NUM_REASONS)),
    )


def cell(place: str, system: SystemReport, rivals: Sequence[SystemReport]) -> Cell:
    value = scores_at(system, place)
    values = [other for other in (scores_at(rival, place) for rival in rivals) if other is not None]
    is_rival = len(rivals) > 1 and any(rival is system for rival in rivals)
    best = is_rival and bool(values) and value == (min(values) if place in LOW_IS_GOOD else max(values))
    return Cell(value, system.intervals[place], best)


def groups(breakdown: Breakdown) -> dict[str, list[GroupRow]]:
    """The rows of each of `GROUPINGS`."""
    by_category = [
        GroupRow(
            group=category,
            num_words=scores.detection.num_reference,
            detection_recall=scores.detection.recall,
            accuracy=scores.recognition.accuracy,
            cer=scores.recognition.cer,
            end_to_end_recall=scores.end_to_end.recall,
        )
        for category, scores in breakdown.by_category.items()
    ]
    by_measure = {
        grouping: [
            GroupRow(
                group=group,
                num_words=scores.num_words,
                detection_recall=scores.detection_recall,
                accuracy=scores.accuracy,
                cer=scores.cer,
                end_to_end_recall=scores.end_to_end_recall,
            )
            for group, scores in by_group.items()
        ]
        for grouping, by_group in (("height", breakdown.by_height), ("length", breakdown.by_length))
    }
    return {"category": sorted(by_category, key=lambda row: -row.num_words), **by_measure}


def characters(breakdown: Breakdown) -> Characters:
    found, outside = breakdown.confusions, breakdown.outside_alphabet
    return Characters(
        substituted=found.substituted[:NUM_CONFUSIONS],
        deleted=found.deleted[:NUM_CONFUSIONS],
        inserted=found.inserted[:NUM_CONFUSIONS],
        never_read=found.never_read[:NUM_CHARACTERS],
        outside=outside.characters[:NUM_CHARACTERS],
        num_outside=outside.num_outside,
    )


def plots(report: Report, readings: Mapping[str, Mapping[str, PageReading]]) -> dict[str, Markup]:
    """The drawings, by the name of their caption."""
    page_f1s = {
        name: [f1 for f1 in map(page_f1, by_page.values()) if f1 is not None] for name, by_page in readings.items()
    }
    by_system = {name: groups(system.breakdown) for name, system in report.systems.items()}
    drawn = {
        "intervals": interval_plot(
            {
                place: {
                    name: (scores_at(system, place), system.intervals[place]) for name, system in report.systems.items()
                }
                for place in PLOTTED_FIGURES
            }
        ),
        "page_f1": histogram_plot(page_f1s),
    }
    for grouping in GROUPINGS:
        rows = {name: {row.group: row for row in by_name[grouping]} for name, by_name in by_system.items()}
        num_words = {group: row.num_words for by_group in rows.values() for group, row in by_group.items()}
        drawn[grouping] = groups_plot(
            {
                group: {
                    name: by_group[group].accuracy if group in by_group else None for name, by_group in rows.items()
                }
                for group in num_words
            },
            num_words,
        )
    return drawn


def facts(report: Report) -> dict[str, str]:
    """Everything in the report that is no score, by its place: what was evaluated, with what, on what."""
    found: dict[str, str] = {}

    def collect(place: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                collect(f"{place}.{name}" if place else name, inner)
        else:
            found[place] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    scores = {"systems", "effects", "pages"}
    collect("", {name: value for name, value in msgspec.to_builtins(report).items() if name not in scores})
    return found
