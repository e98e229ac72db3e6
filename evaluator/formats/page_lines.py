"""Our own form, one page a line:

    {"page": "id", "words": [{"quad": [x1, y1, … x4, y4], "text": "…", "dont_care": false, "confidence": 0.9}, …]}

`"box": [x0, y0, x1, y1]` may stand for the quad; `dont_care` and `confidence` may be left out. Where `dont_care` is,
a text of "###" says it, as in ICDAR's files. The label in an evaluation shard is such a line, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from evaluator.formats.found import Coordinate, FoundPage, FoundWord, Quad, box_quad

ILLEGIBLE = "###"


class LineWord(msgspec.Struct):
    text: str
    quad: (
        tuple[Coordinate, Coordinate, Coordinate, Coordinate, Coordinate, Coordinate, Coordinate, Coordinate] | None
    ) = None
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    dont_care: bool | None = None
    confidence: float = 1.0


class PageLine(msgspec.Struct):
    page: str
    words: list[LineWord]


def read_page_lines(content: bytes) -> Iterator[FoundPage]:
    """The pages of a file: a line each, or one JSON object over any lines. Raises ValueError with the line's number."""
    decoder = msgspec.json.Decoder(PageLine)
    for number, line in objects(content):
        try:
            yield found_page(decoder.decode(line), number)
        except (msgspec.DecodeError, ValueError) as error:
            raise ValueError(f"line {number}: {explain(str(error), line)}") from error


def objects(content: bytes) -> list[tuple[int, bytes]]:
    """The JSON objects of a file that is not empty, and the line each begins in: all of it where line 1 is cut off."""
    lines = [(number, line) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]
    try:
        msgspec.json.decode(lines[0][1])
    except (msgspec.DecodeError, ValueError):
        return [(lines[0][0], content)]
    return lines


def found_page(page: PageLine, line: int) -> FoundPage:
    return FoundPage(
        words=[found_word(word, number) for number, word in enumerate(page.words, start=1)], name=page.page, line=line
    )


def found_word(word: LineWord, number: int) -> FoundWord:
    dont_care = word.text == ILLEGIBLE if word.dont_care is None else word.dont_care
    return FoundWord(quad_of(word, number), word.text, dont_care, word.confidence)


def quad_of(word: LineWord, number: int) -> Quad:
    if word.quad is not None:
        return word.quad
    if word.box is None:
        raise ValueError(f"word {number} has neither a quad nor a box")
    try:
        return box_quad(*word.box)
    except ValueError as error:
        raise ValueError(f"word {number}: {error}") from error


def explain(error: str, line: bytes) -> str:
    """msgspec's reason, with the word's number for its path, and Python's NaN by name."""
    if "malformed" in error and (found := re.search(rb"[:\[,]\s*(-?(?:NaN|Infinity))\b", line)):
        return f"{found[1].decode()} is no number of JSON, and no page pixel"
    reason, _, place = error.partition(" - at `$.words[")
    if not place:
        return error
    number, _, field = place.rstrip("`").partition("]")
    return f"word {int(number) + 1}: {reason}{f' in {field[1:]}' if field else ''}"
