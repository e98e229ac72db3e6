"""Ruled tables and forms."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

from synthetic import vocabulary as v
from synthetic.sheet import Align, Frame, Sheet


class Column(NamedTuple):
    """A kind of column: its possible heads, the template of a value, where values stand, its share of the width."""

    heads: str
    template: str
    align: Align
    share: int


FIRST_COLUMNS = (
    Column("연번 순위 번호", "{d}", "center", 2),
    Column("구분 사업명 항목별 내역", "{n} {n}", "left", 5),
    Column("부서명 부서별 담당부서", "{dept}", "center", 4),
    Column("읍면동 지역별 구분", "{place}", "center", 4),
    Column("성명 대표자 신청인", "{person}", "center", 4),
    Column("구분", "{n}", "center", 4),
)
COLUMNS = (
    Column("사업비 금액 예산액 집행액 잔액 국비 도비 시비", "{won}", "right", 5),
    Column("소재지 위치 주소 대지위치", "{place} {num}", "left", 6),
    Column("성명 소유자 업체명 대표자", "{person}", "center", 4),
    Column("사업명 내역 산출기초 주요내용", "{n} {n}", "left", 6),
    Column("용도 구조 지목 종류", "{n}", "center", 4),
    Column("수량 건수 세대 인구", "{d}", "right", 3),
    Column("면적 연면적", "{area}", "right", 4),
    Column("비고", "{n}", "center", 3),
    Column("품명 규격 물품", "{n}", "left", 4),
    Column("부서명 처리부서", "{dept}", "center", 5),
    Column("근거법령 관련법", "{law}", "left", 6),
    Column("비율 진도", "{percent}%", "right", 3),
    Column("신청일 처리일 생년월일 기간", "{day}", "center", 5),
    Column("비고", "-", "center", 2),
    Column("전화번호 연락처", "{phone}", "center", 5),
)


def table(sheet: Sheet, y: float, until: float) -> float:
    """Rule a table of names and amounts that ends above `until`; return the next base line."""
    write = sheet.writer
    row = sheet.body.size * write.integer(17, 24) / 10
    num_rows = min(write.integer(5, 17), int((min(until, sheet.bottom) - y) / row))
    if num_rows < 2:
        return y
    kinds = [write.pick(FIRST_COLUMNS), *(write.pick(COLUMNS) for _ in range(write.integer(2, 5)))]
    xs = columns(sheet, [kind.share for kind in kinds])
    ys = [y + row * i for i in range(num_rows + 1)]
    sheet.frame(xs, ys, 3, outer=write.integer(3, 7))
    if write.chance(0.3):
        sheet.rule(xs[0], ys[1] + 9, xs[-1], ys[1] + 9, 3)
    for kind, (left, right) in zip(kinds, pairwise(xs), strict=True):
        _column(sheet, kind, [(left, top, right, bottom) for top, bottom in pairwise(ys)])
    return ys[-1] + 1.9 * sheet.body.size


def columns(sheet: Sheet, shares: list[int]) -> list[float]:
    """Return the lines between columns of these shares, from margin to margin."""
    width = (sheet.right - sheet.left) / sum(shares)
    return [sheet.left + width * share for share in accumulate(shares, initial=0)]


def _column(sheet: Sheet, kind: Column, boxes: list[Frame]) -> None:
    write = sheet.writer
    style = sheet.body.sized(0.88)
    filled = write.integer(55, 110) / 100
    sheet.label_cell(write.pick(kind.heads.split()), boxes[0], style)
    for box in boxes[1:]:
        if write.chance(filled):
            sheet.cell(write.words(kind.template), box, style, kind.align)


def form(sheet: Sheet, y: float, until: float, vertical: bool) -> float:
    """Rule a form of labels and values, some of its rows gathered under a vertical word; return the next base line."""
    write = sheet.writer
    style = sheet.body.sized(0.9)
    row = style.size * write.integer(20, 27) / 10
    num_rows = min(write.integer(6, 16), int((min(until, sheet.bottom) - y) / row))
    if num_rows < 3:
        return y
    lead = 2.1 * style.size if vertical else 0.0
    xs = columns(sheet, [3, 6, 3, 6])
    ys = [y + row * i for i in range(num_rows + 1)]
    sheet.frame([xs[0], xs[-1]], [ys[0], ys[-1]], outer=write.integer(4, 8))
    group = min(num_rows, 4) if vertical else 0
    if vertical:
        sheet.rule(xs[0] + lead, ys[0], xs[0] + lead, ys[group], 3)
        word = write.pick([word for word in v.VERTICAL if len(word) <= group])
        sheet.vertical_cell(word, (xs[0], ys[0], xs[0] + lead, ys[group]), style)
    fields = list(v.FORM_FIELDS)
    for i in range(num_rows):
        left = xs[0] + (lead if i < group else 0.0)
        _form_row(sheet, fields, [left, *xs[1:]], ys[i], ys[i + 1])
    return ys[-1] + 1.9 * sheet.body.size


def _form_row(sheet: Sheet, fields: list[str], xs: list[float], y0: float, y1: float) -> None:
    """Fill one row: a label and a wide value, or twice a label and a value; take what is asked from `fields`."""
    write, style = sheet.writer, sheet.body.sized(0.9)
    halves = [xs] if write.chance(0.4) else [xs[:3], xs[2:]]
    sheet.rule(xs[0], y1, xs[-1], y1, 3)
    for half in halves:
        label_room, value_room = half[1] - half[0] - style.size, half[-1] - half[1] - style.size
        field = write.pick([field for field in fields if style.advance(field.split("=")[0]) < label_room])
        fields.remove(field)
        label, template = field.split("=")
        sheet.label_cell(label, (half[0], y0, half[1], y1), style)
        sheet.rule(half[1], y0, half[1], y1, 3)
        if half is not halves[-1]:
            sheet.rule(half[2], y0, half[2], y1, 3)
        words = write.words(template)
        if write.chance(0.9) and sheet.row_width(words, style) < value_room:
            sheet.cell(words, (half[1], y0, half[-1], y1), style, "center" if write.chance(0.5) else "left")
