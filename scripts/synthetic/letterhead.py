"""The head of a letter: office name, slogan, address, reference lines, and the boxes people sign in."""

from __future__ import annotations

from itertools import pairwise

from synthetic import vocabulary as v
from synthetic.sheet import MIDDLE, Rule, Sheet, Style

SIGNERS = ("담당", "계장", "과장", "국장", "부시장", "시장")


def letterhead(sheet: Sheet, y: float) -> float:
    """Write the office's name letter-spaced over the page, with slogan and address."""
    write = sheet.writer
    office = write.office
    small = sheet.body.sized(0.95)
    middle = (sheet.left + sheet.right) / 2
    if write.chance(0.6):
        sheet.center(write.pick(v.SLOGANS).split(), middle, y, small)
        y += 0.8 * small.size
    title = sheet.title.sized(write.integer(18, 29) / 10, bold=True)
    y += 1.15 * title.size
    half = title.size * (0.75 * len(office) + write.integer(0, 12) / 10)
    sheet.spread(office, middle - half, middle + half, y, title)
    y += 0.5 * title.size
    y = _address(sheet, y + small.size, middle) if write.chance(0.75) else y + 0.3 * small.size
    if write.chance(0.7):
        sheet.rule(sheet.left, y, sheet.right, y, 5)
        if write.chance(0.5):
            sheet.rule(sheet.left, y + 12, sheet.right, y + 12, 3)
    return y + 1.8 * sheet.body.size


def _address(sheet: Sheet, y: float, middle: float) -> float:
    write, small = sheet.writer, sheet.body.sized(0.9)
    fax = write.pick(["전송", "FAX", "팩스"])
    address = write.words("우{zip} {address} / 전화 {phone} / " + fax + " {phone}")
    if write.chance(0.5):
        sheet.center(address, middle, y, small)
        return y + 0.6 * small.size
    sheet.row(address[:5], sheet.left, y, small)
    sheet.row(address[5:], sheet.left, y + sheet.pitch * small.size, small)
    return y + (sheet.pitch + 0.6) * small.size


def reference(sheet: Sheet, y: float, receipt: bool) -> float:
    """Write document number, date, recipient and subject; at the right, if asked for, a `receipt` table."""
    write, body = sheet.writer, sheet.body
    start = y
    labels_end = sheet.left + body.advance("문서번호")
    values = labels_end + 1.3 * sheet.gap * body.size
    for label, template in _reference_lines(sheet):
        if len(label) == 2:
            sheet.spread(label, sheet.left, labels_end, y, body)
        else:
            sheet.put(label, sheet.left, y, body)
        sheet.row(write.words(template), values, y, body)
        y += sheet.pitch * body.size
    if receipt:
        y = max(y, _receipt_table(sheet, start - body.size) + 1.2 * body.size)
    y = subject(sheet, y + 0.2 * body.size)
    if write.chance(0.6):
        sheet.rule(sheet.left, y - 1.05 * body.size, sheet.right, y - 1.05 * body.size, write.integer(3, 6))
        y += 0.5 * body.size
    return y


def _reference_lines(sheet: Sheet) -> list[tuple[str, str]]:
    write = sheet.writer
    lines = [
        (write.pick(["문서번호", "분류기호", "시행번호"]), "{doc}"),
        (write.pick(["시행일자", "시행일자", "기안일자"]), write.pick(["{date}", "{date} (5년)"])),
        ("수신", write.pick(["{office}", "수신처 참조", "{person} 귀하", "내부결재"])),
    ]
    return lines + [("참조", "{dept}장")] * write.chance(0.7) + [("경유", "{office}")] * write.chance(0.15)


def subject(sheet: Sheet, y: float) -> float:
    """Write the subject line."""
    bold = sheet.body.sized(1.0, bold=sheet.writer.chance(0.4))
    right = sheet.left + bold.advance("문서번호")
    sheet.spread("제목", sheet.left, right, y, bold)
    return sheet.flow(sheet.writer.subject(), right + 1.3 * sheet.gap * bold.size, y, bold) + 0.3 * bold.size


def _receipt_table(sheet: Sheet, y: float) -> float:
    """Rule the table where the receiving office notes date, number and who shall act."""
    style = sheet.body.sized(0.85)
    row = 1.75 * style.size
    x0 = sheet.right - 17 * style.size
    xs = [x0, x0 + 1.9 * style.size, x0 + 6.4 * style.size, x0 + 11.6 * style.size, sheet.right]
    ys = [y + row * i for i in range(5)]
    sheet.frame(xs[1:], ys, 3)
    sheet.frame([xs[0], xs[1]], [ys[0], ys[-1]], 3)
    sheet.vertical_cell("접수", (xs[0], ys[0], xs[1], ys[-1]), style)
    for text, (top, bottom) in zip(("일자", "번호", "처리과", "담당자"), pairwise(ys), strict=True):
        sheet.label_cell(text, (xs[1], top, xs[2], bottom), style)
    for template, (top, bottom) in zip(("{date}", "{num}", "{dept}", "{person}"), pairwise(ys), strict=True):
        if sheet.writer.chance(0.6):
            sheet.cell(sheet.writer.words(template), (xs[2], top, xs[3], bottom), style, "center")
    _scribble(sheet, xs[3] + style.size, (ys[0] + ys[-1]) / 2, 2 * style.size)
    return ys[-1]


def approval(sheet: Sheet, y: float, vertical: bool) -> float:
    """Rule the boxes in which clerk, section chief and head sign, at the right; return the next base line."""
    write, style = sheet.writer, sheet.body.sized(0.85)
    column = write.integer(40, 56) / 10 * style.size
    signers = SIGNERS[: write.integer(3, 6)]
    lead = 2.0 * style.size if vertical else 0.0
    x0 = sheet.right - column * len(signers) - lead
    xs = [x0 + lead + column * i for i in range(len(signers) + 1)]
    ys = [y, y + 1.75 * style.size, y + 5.2 * style.size]
    sheet.frame(xs, ys, 3)
    if vertical:
        sheet.frame([x0, xs[0]], [ys[0], ys[-1]], 3)
        sheet.vertical_cell(write.pick(["결재", "결재", "공람", "협조"]), (x0, ys[0], xs[0], ys[-1]), style)
    for signer, (left, right) in zip(signers, pairwise(xs), strict=True):
        sheet.label_cell(signer, (left, ys[0], right, ys[1]), style)
        if write.chance(0.75):
            _scribble(sheet, left + 0.25 * column, (ys[1] + ys[2]) / 2, 0.5 * column)
    if write.chance(0.3):
        sheet.row(write.words("{date}"), sheet.left, ys[1] + MIDDLE * style.size, style)
    return ys[-1] + 1.6 * sheet.body.size


def _scribble(sheet: Sheet, x: float, y: float, width: float) -> None:
    """Sign with a pen: a few loops, which no label mentions."""
    write = sheet.writer
    points = [(x + width * i / 9, y + width * write.integer(-40, 41) / 100 * (1 - i / 14)) for i in range(10)]
    points = [(px + width * write.integer(-12, 13) / 100, py) for px, py in points]
    sheet.rules.append(Rule(tuple(smooth(points)), write.integer(4, 9)))


def smooth(points: list[tuple[float, float]], rounds: int = 3) -> list[tuple[float, float]]:
    """Round a line's corners (Chaikin's cutting)."""
    for _ in range(rounds):
        cut = [points[0]]
        for (x0, y0), (x1, y1) in pairwise(points):
            cut += [(0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1), (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1)]
        points = [*cut, points[-1]]
    return points


def report_title(sheet: Sheet, y: float) -> float:
    """Write the title of a plan, report or form, in a frame or plain, letter-spaced where it is short."""
    write = sheet.writer
    style = sheet.title.sized(write.integer(14, 19) / 10, bold=True)
    middle = (sheet.left + sheet.right) / 2
    y += 1.3 * style.size
    if write.chance(0.5):
        text = write.pick(["신청서", "허가증", "조사서", "명세서", "보고서", "의견서", "회의록", "공고"])
        half = style.size * (len(text) + 0.3 * write.integer(0, 6))
        sheet.spread(text, middle - half, middle + half, y, style)
    else:
        words = write.words(write.pick(["{n} {n} 계획", "{n} {n} 현황", "{year}년도 {n} {n}", "{n} {n} 결과 보고"]))
        half = min(sheet.row_width(words, style), sheet.right - sheet.left) / 2
        sheet.center(words, middle, y, style)
        if write.chance(0.4):
            _frame_title(sheet, middle, half, y, style)
    return y + 1.9 * style.size


def _frame_title(sheet: Sheet, middle: float, half: float, y: float, style: Style) -> None:
    pad = 0.8 * style.size
    xs, ys = [middle - half - pad, middle + half + pad], [y - 1.35 * style.size, y + 0.65 * style.size]
    sheet.frame(xs, ys, outer=5)
