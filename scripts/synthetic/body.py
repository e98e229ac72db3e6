"""The text of a letter: numbered paragraphs, enclosures, the office that signs, and notes at the page's edges."""

from __future__ import annotations

from dataclasses import replace

from synthetic.sheet import Seal, Sheet

_LEVELS = (
    [f"{i}." for i in range(1, 20)],
    [f"{c}." for c in "가나다라마바사아자차카타파하"],
    [f"{i})" for i in range(1, 20)],
)
_BULLETS = (["□"], ["○", "ㅇ"], ["-", "·"])


def paragraphs(sheet: Sheet, y: float, until: float) -> float:
    """Write numbered or bulleted paragraphs until the base line passes `until`."""
    write, body = sheet.writer, sheet.body
    hang = write.pick([0.0, 1.4])
    numbered = write.chance(0.93)
    counts = [0, 0, 0]
    level = 0
    while y < min(until, sheet.bottom):
        mark = _LEVELS[level][counts[level] % 14] if numbered else write.pick(_BULLETS[level])
        left = sheet.left + (0.2 + 1.1 * level) * body.size
        words = [mark, *write.sentence()]
        if level == 0 and write.chance(0.4):
            words += write.sentence()
        y = sheet.flow(words, left, y, body, hang=hang * body.size)
        y += write.pick([0.0, 0.0, 0.0, 0.5]) * body.size
        counts[level] += 1
        counts[level + 1 :] = [0] * (2 - level)
        level = max(0, min(2, level + write.integer(-1, 2)))
    return y


def enclosures(sheet: Sheet, y: float) -> float:
    """List what is enclosed, and end the letter."""
    write, body = sheet.writer, sheet.body
    y += 0.4 * body.size
    num_enclosures = write.integer(1, 4)
    heading = ["붙임", ":"] if write.chance(0.4) else ["붙임"]
    x = sheet.left + sheet.row_width(["붙임", ":"], body) + sheet.gap * body.size
    for i in range(num_enclosures):
        words = [f"{i + 1}."] * (num_enclosures > 1) + write.words("{n} {n} {d}부.")
        if i == num_enclosures - 1:
            words += ["끝."]
        if i == 0:
            sheet.row(heading, sheet.left, y, body)
        y = sheet.flow(words, x, y, body)
    return y


def signature(sheet: Sheet, y: float) -> float:
    """Write who signs, letter-spaced and large, with the office's seal over the end."""
    write = sheet.writer
    style = sheet.title.sized(write.integer(14, 21) / 10, bold=True)
    y = max(y + 1.4 * style.size, sheet.bottom - write.integer(5, 16) * sheet.body.size)
    if y > sheet.bottom - style.size:
        return y
    office = write.office
    text = office[:-1] + {"시": "시장", "군": "군수"}[office[-1]]
    half = style.size * (0.8 * len(text) + write.integer(0, 6) / 10)
    middle = (sheet.left + sheet.right) / 2 + write.integer(0, 4) * sheet.body.size
    sheet.spread(text, middle - half, middle + half, y, style)
    if write.chance(0.85):
        side = float(write.integer(240, 340))
        x = middle + half - write.integer(20, 70) / 100 * side
        sheet.seals.append(Seal(x, y - 0.37 * style.size - side / 2, side, write.chance(0.2)))
    return y + 2.2 * style.size


def recipients(sheet: Sheet, y: float) -> float:
    """Write the distribution list that follows the signature of a circular."""
    if y + sheet.body.size > sheet.bottom:
        return y
    words = ["수신처", ":", *sheet.writer.words("{dept}장, {place}장, {dept}장, {place}장, {office}장")]
    return sheet.flow(words[: sheet.writer.integer(4, 8)], sheet.left, y, sheet.body.sized(0.9))


def receipt_stamp(sheet: Sheet, y: float) -> None:
    """Stamp in red when the letter came in and under which number, if there is room at the left."""
    write, style = sheet.writer, sheet.body.sized(0.9)
    row = 1.7 * style.size
    xs, ys = [sheet.left, sheet.left + 9.5 * style.size], [y + row * i for i in range(4)]
    if ys[-1] > sheet.bottom:
        return
    sheet.frame(xs, [ys[0], ys[-1]], outer=7, red=True)
    sheet.frame(xs, ys[1:3], 4, red=True)
    for words, top in zip((["접수"], write.words("{day}"), write.words("제 {num} 호")), ys[:3], strict=True):
        sheet.cell(words, (xs[0], top, xs[1], top + row), style, "center", red=True)


def footer(sheet: Sheet) -> None:
    """Write what forms have at their foot: a page number, the form's number, the paper's size and weight."""
    write, small = sheet.writer, sheet.body.sized(0.8)
    y = sheet.bottom + 3 * small.size
    if write.chance(0.3):
        sheet.center(["-", str(write.integer(1, 12)), "-"], (sheet.left + sheet.right) / 2, y, small)
    if write.chance(0.12):
        paper = write.pick(["(신문용지", "(보존용지", "(일반용지"])
        note = ["210㎜×297㎜", paper, write.pick(["54g/㎡)", "60g/㎡)", "70g/㎡)"])]
        sheet.row(note, sheet.right - sheet.row_width(note, small), y, small)
    if write.chance(0.15):
        sheet.row([f"190{write.integer(10, 99)}-{write.integer(1, 400):05d}일"], sheet.left, y, small)


def edge_words(sheet: Sheet, left: bool, right: bool) -> None:
    """Write at the very edges of the page what a fax machine prints there, or a clerk who filed the page."""
    write, style = sheet.writer, sheet.body.sized(0.85)
    if left:
        x, y = sheet.geometry.to_layout(-4, write.integer(60, 110))
        sheet.row([write.pick(["FROM", "접수", "총무과", "발신"]), ":", *write.words("{home}청")], x, y, style)
    if right:
        x, y = sheet.geometry.to_layout(sheet.geometry.width * sheet.geometry.stretch + 3, write.integer(60, 110))
        text = f"P.{write.integer(1, 20):02d}"
        # As wide as it will be drawn: small letters have advances of whole pixels.
        scale, plain = sheet.geometry.scale, replace(style, tracking=0.0)
        sheet.put(text, x - plain.sized(scale).advance(text) / scale, y, plain)


def marks(sheet: Sheet, y: float) -> float:
    """Write a line with marks that stand alone: "- 아 래 -", dots and dashes between spaces."""
    style = sheet.body
    middle = (sheet.left + sheet.right) / 2
    text = sheet.writer.pick(["아래", "다음", "기"])
    sheet.spread(f"-{text}-", middle - 3.5 * style.size, middle + 3.5 * style.size, y, style)
    return y + sheet.pitch * style.size
