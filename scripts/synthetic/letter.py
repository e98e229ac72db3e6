"""Layout: what is on a page, from its plan."""

from __future__ import annotations

import numpy as np

from synthetic import body, letterhead, tables
from synthetic.fonts import Face
from synthetic.geometry import Geometry
from synthetic.plan import PagePlan
from synthetic.sheet import Sheet, Style
from synthetic.writer import Writer


def lay_out(plan: PagePlan, geometry: Geometry, faces: tuple[Face, ...]) -> Sheet:
    """Return the filled sheet: a letter, a letter with a table, a form, a list, or a page of plain text."""
    rng = plan.generator(purpose=1)
    sheet = _blank_sheet(plan, geometry, faces, rng)
    kinds = (_letter, _letter_with_table, _form, _list, _report)
    fill = kinds[int(rng.choice(len(kinds), p=[0.52, 0.17, 0.12, 0.06, 0.13]))]
    fill(sheet, "vertical" in plan.oddities)
    body.footer(sheet)
    body.edge_words(sheet, "left edge" in plan.oddities, "right edge" in plan.oddities)
    return sheet


def _blank_sheet(plan: PagePlan, geometry: Geometry, faces: tuple[Face, ...], rng: np.random.Generator) -> Sheet:
    face, title_face = (faces[int(rng.integers(len(faces)))] for _ in range(2))
    size = round(float(rng.uniform(42.0, 48.5)), 1)
    tracking = float(rng.choice([0.04, 0.08, 0.1, 0.13]))
    margin = float(rng.uniform(0.08, 0.12)) * geometry.width
    return Sheet(
        geometry=geometry,
        writer=Writer(rng, plan.year, plan.seed, plan.index),
        body=Style(face, size, bold=bool(rng.random() < 0.15), tracking=tracking),
        title=Style(title_face, size),
        faces=faces,
        gap=float(rng.uniform(0.45, 0.65)),
        pitch=float(rng.uniform(1.7, 2.4)),
        left=margin,
        right=geometry.width - margin * float(rng.uniform(0.8, 1.1)),
        top=float(rng.uniform(0.06, 0.1)) * geometry.height,
        bottom=float(rng.uniform(0.86, 0.92)) * geometry.height,
    )


def _letter(sheet: Sheet, vertical: bool) -> None:
    y = letterhead.letterhead(sheet, sheet.top)
    if vertical:
        y = letterhead.approval(sheet, y - sheet.body.size, vertical)
    y = letterhead.reference(sheet, y, receipt=not vertical and sheet.writer.chance(0.5))
    y = body.paragraphs(sheet, y, _share(sheet, 42, 62))
    _close(sheet, y)


def _letter_with_table(sheet: Sheet, vertical: bool) -> None:
    y = letterhead.letterhead(sheet, sheet.top)
    if vertical:
        y = letterhead.approval(sheet, y - sheet.body.size, vertical)
    y = letterhead.reference(sheet, y, receipt=not vertical and sheet.writer.chance(0.5))
    y = body.paragraphs(sheet, y, y + sheet.writer.integer(1, 14) * sheet.body.size)
    y = body.marks(sheet, y + 0.5 * sheet.body.size)
    y = tables.table(sheet, y - 0.6 * sheet.body.size, _share(sheet, 62, 80))
    _close(sheet, y)


def _form(sheet: Sheet, vertical: bool) -> None:
    y = sheet.top
    if sheet.writer.chance(0.5):
        y = letterhead.approval(sheet, y, vertical)
    y = letterhead.report_title(sheet, y)
    y = tables.form(sheet, y, _share(sheet, 55, 75), vertical)
    y = body.paragraphs(sheet, y, y + sheet.writer.integer(3, 16) * sheet.body.size)
    body.signature(sheet, y)


def _list(sheet: Sheet, vertical: bool) -> None:
    y = letterhead.approval(sheet, sheet.top, vertical) if vertical else sheet.top
    y = letterhead.report_title(sheet, y)
    y = tables.table(sheet, y, sheet.bottom)
    y = body.paragraphs(sheet, y, y + sheet.writer.integer(1, 12) * sheet.body.size)
    tables.table(sheet, y, sheet.bottom)


def _report(sheet: Sheet, vertical: bool) -> None:
    y = letterhead.approval(sheet, sheet.top, vertical) if vertical else sheet.top
    y = letterhead.report_title(sheet, y)
    y = body.paragraphs(sheet, y, _share(sheet, 38, 74))
    if sheet.writer.chance(0.5):
        tables.table(sheet, y, sheet.bottom)


def _close(sheet: Sheet, y: float) -> None:
    if sheet.writer.chance(0.7):
        y = body.enclosures(sheet, y)
    if sheet.writer.chance(0.85):
        y = body.signature(sheet, y)
        if sheet.writer.chance(0.5):
            y = body.recipients(sheet, y)
    if sheet.writer.chance(0.25):
        body.receipt_stamp(sheet, y)


def _share(sheet: Sheet, low: int, high: int) -> float:
    return sheet.writer.integer(low, high) / 100 * sheet.geometry.height
