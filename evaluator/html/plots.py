"""Plots for the overview, drawn by matplotlib as SVG that takes its colors and its font from the page around it.

matplotlib knows no CSS, so it draws with placeholder colors, and these become CSS variables afterwards: light and dark
share one drawing. Titles and axes' names are HTML around the plot, where they can be translated.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluator.metrics.significance import Interval

INK, MUTED, GRID = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0400{number:02x}" for number in range(8))
"""Placeholders. A ninth system takes the first one's color; markers and its name still tell the two apart."""

VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(SERIES)
}
MARKERS, LETTERS = "osD^vPX*", "●■◆▲▼✚✖★"
"""matplotlib's names, and what stands for them in a legend."""

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it is read out, found by the browser's search, and set in its font
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a "$" in a name is a dollar
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "text.color": INK,
    "font.size": 11,
}
INCHES_A_ROW, INCHES_A_LETTER, INCHES_A_PLOT, INCHES_A_PANEL = 0.34, 0.085, 8.2, 5.2

Named = Mapping[str, float | None]
Shift = tuple[float, float]
"""In points, 1/72 of an inch."""

Ranged = tuple[float | None, Interval | None]


def interval_plot(figures: Mapping[str, Mapping[str, Ranged]]) -> Markup:
    """A panel a figure, a row a system: the figure and its interval. `figures` is by place in scores.json, then system.

    The panels' titles are marked with `data-t`, as words of the page that are translated.
    """
    systems = list(next(iter(figures.values())))
    figure, panels = rows_figure(systems, len(figures))
    for axes, (place, by_system) in zip(panels, figures.items(), strict=True):
        axes.set_title(place, fontsize=11, loc="left")
        for row, (value, interval) in enumerate(by_system.values()):
            if value is None:
                continue
            color = SERIES[row % len(SERIES)]
            if interval is not None:
                axes.plot([interval.low, interval.high], [row, row], color=color, linewidth=2.5, solid_capstyle="butt")
            axes.plot([value], [row], MARKERS[row % len(MARKERS)], color=color, markersize=7)
            note(axes, f"{value:.3f}", value, row, "center", (0, 7))
    title = rf"<text ([^>]*>({'|'.join(map(re.escape, figures))})</text>)"
    return Markup(re.sub(title, r'<text data-t="figure.\2" \1', svg(figure)))


def histogram_plot(values: Mapping[str, Sequence[float]]) -> Markup:
    """A row a system: how many pages have which F1, and a line at their median."""
    figure, (axes,) = rows_figure(list(values), 1, height=0.62)
    edges = np.linspace(0, 1, 26)
    counts = {system: np.histogram(pages, edges)[0] for system, pages in values.items()}
    highest = max((int(count.max()) for count in counts.values()), default=0) or 1
    for row, (system, pages) in enumerate(values.items()):
        color, base = SERIES[row % len(SERIES)], row + 0.45
        # Rows run downwards, so a bar grows upwards to smaller numbers.
        axes.bar(edges[:-1], -0.8 * counts[system] / highest, 0.036, base, align="edge", color=color, alpha=0.75)
        if pages:
            median = float(np.median(pages))
            axes.plot([median, median], [base, base - 0.85], color=INK, linewidth=1.2)
            if median < 0.9:
                note(axes, f"{median:.2f}", median, base - 0.85, "left", (3, -8))
            else:
                note(axes, f"{median:.2f}", median, base - 0.85, "right", (-3, -8))
    return Markup(svg(figure))


def groups_plot(groups: Mapping[str, Named], num_words: Mapping[str, int]) -> Markup:
    """A row a group of words, a marker a system; at the right how many words the group has.

    `groups` is by group, then by system.
    """
    figure, (axes,) = rows_figure(list(groups), 1)
    for row, (group, by_system) in enumerate(groups.items()):
        axes.axhline(row, color=GRID, linewidth=0.8, zorder=0)
        for number, value in enumerate(by_system.values()):
            if value is not None:
                marker, color = MARKERS[number % len(MARKERS)], SERIES[number % len(SERIES)]
                axes.plot([value], [row], marker, color=color, markersize=7, alpha=0.85, clip_on=False)
        axes.text(1.03, row, f"{num_words[group]:,}", va="center", color=MUTED, fontsize=9)
    return Markup(svg(figure))


def note(axes: Axes, text: str, x: float, y: float, side: Literal["left", "center", "right"], shift: Shift) -> None:
    """Write beside a point; `side` is that of the text where the point is."""
    axes.annotate(text, (x, y), shift, textcoords="offset points", ha=side, fontsize=9, color=INK)


def rows_figure(names: Sequence[str], num_panels: int, height: float = INCHES_A_ROW) -> tuple[Figure, list[Axes]]:
    """Panels side by side from 0 to 1, with a named row for each of `names`, the first one at the top."""
    wide = INCHES_A_PLOT if num_panels == 1 else INCHES_A_PANEL * num_panels
    above, below = (0.35 if num_panels > 1 else 0.08), 0.35
    inches = height * len(names) + above + below
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(wide, inches))
        panels = list(figure.subplots(1, num_panels, sharey=True, squeeze=False)[0])
        for axes in panels:
            axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xticks=np.linspace(0, 1, 6))
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", linewidth=0.6)
            axes.set_axisbelow(True)
    left = max((letters(name) for name in names), default=1) * INCHES_A_LETTER + 0.15
    figure.subplots_adjust(left / wide, below / inches, 1 - 0.65 / wide, 1 - above / inches, wspace=0.1)
    return figure, panels


def letters(name: str) -> int:
    """The width of a name in Latin letters: matplotlib's own font has no Hangul to measure."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name)


def svg(figure: Figure) -> str:
    """The drawing as an element to put into HTML; the same drawing gives the same bytes."""
    buffer = io.StringIO()
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser's fonts have it
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*">', "<g>", drawing)  # names of several drawings on one page would repeat
    drawing = re.sub(
        r"(fill|stroke): (#\w{6})", lambda found: f"{found[1]}: {VARIABLES.get(found[2], found[2])}", drawing
    )
    return drawing
