"""EasyOCR's trainer's form: a folder with labels.csv, `filename,words` in its first line, and the images beside it
or in its folder images/.

EasyOCR reads what follows a row's first comma as it stands. CSV writers (Python's csv, pandas, a spreadsheet) put a
text that holds a comma or a quote in quotes and double those inside: EasyOCR then trains on `"하며,"` where `하며,` was
meant. Both kinds of file are about and look alike in most rows, so each is told by its own rows.

A text is *wrapped* when it begins and ends with a quote and those between come in pairs. One that is not wrapped can
be read in one way only: as it stands. A wrapped one can be read in two, and the file decides:

    for CSV quoting       wrapped, with a comma or a quote inside       "하며,"    as a CSV writer would
                          the file name is wrapped                      "a.png","김해를"
    against it            not wrapped, with a comma or a quote inside   하며,      as no CSV writer would
                          wrapped without need                          "김해시"   likewise
    neither               all others                                    김해시

Wrapped texts are unwrapped where more rows are for it than against it, or where all texts are wrapped. Where there are
rows of both kinds, the wrapped ones are counted as ambiguous.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from ocr.errors import DataError
from ocr.plumbing.progress import progress
from shard_builder.word_images.image_set import LISTED_TWICE, ImageList, Row

LIST_NAME = "labels.csv"
IMAGES_NAME = "images"
HEADER = ("filename", "words")

NO_COMMA = "no comma in its line"
OPEN_QUOTE = "a quote that is not closed"

WRAPPED = re.compile(r'"((?:[^"]|"")*)"')
WRAPPED_NAME = re.compile(r'"((?:[^"]|"")*)",')


class LabelsCsv(msgspec.Struct, frozen=True):
    """A folder of this form."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / LIST_NAME

    def listing(self) -> ImageList:
        evidence = weigh(read_lines(self.path))
        rows: list[Row] = []
        seen: set[str] = set()
        for line in progress(read_lines(self.path), self.path.name, "rows", total=evidence.num_lines):
            text, refused = read_text(line, evidence.is_quoted)
            if not refused and line.name in seen:
                refused = LISTED_TWICE
            seen.add(line.name)
            num_bytes = None if refused else find(self.folder, line.name)[1]
            rows.append(Row(line.name, nfc(text), num_bytes, refused))
        return ImageList(rows, f"{self.path}: {evidence.remark()}")

    def images(self, names: Sequence[str]) -> Iterator[bytes | None]:
        for name in names:
            path, num_bytes = find(self.folder, name)
            yield None if num_bytes is None else Path(path).read_bytes()


def find(folder: Path, name: str) -> tuple[str, int | None]:
    """An image's path and size; None for one that is not there.

    A name that macOS had to do with may be NFD in the list or in the folder, and NFC in the other.
    """
    for form in [name] if name.isascii() else [name, nfc(name), unicodedata.normalize("NFD", name)]:
        for place in (f"{folder}/{IMAGES_NAME}", str(folder)):
            path = os.path.join(place, form)
            try:
                found = os.stat(path)
            except (OSError, ValueError):  # ValueError: a null byte in the name
                continue
            if stat.S_ISREG(found.st_mode):
                return path, found.st_size
    return name, None


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line of the list, cut at its first comma; `text` is what follows, as it stands, None where no comma does."""

    number: int
    name: str
    text: str | None
    is_name_wrapped: bool


class Evidence(msgspec.Struct):
    """What the lines say about how the list was written; see the module. Lines are named by their number."""

    num_lines: int = 0
    num_for: int = 0
    num_against: int = 0
    num_wrapped: int = 0
    first_wrapped: int = 0
    num_without_comma: int = 0
    first_without_comma: int = 0

    @property
    def are_all_wrapped(self) -> bool:
        return 0 < self.num_wrapped == self.num_lines - self.num_without_comma

    @property
    def is_quoted(self) -> bool:
        return self.num_for > self.num_against or self.are_all_wrapped

    @property
    def num_ambiguous(self) -> int:
        contradicted = self.num_for > 0 and self.num_against > 0 and not self.are_all_wrapped
        return self.num_wrapped if contradicted else 0

    def remark(self) -> str:
        if self.num_wrapped:
            how = "taken off, as a CSV writer's" if self.is_quoted else "kept, as part of the texts"
            said = (
                f"quotes around texts are {how} ({self.num_for:,} rows for CSV quoting, {self.num_against:,} against)"
            )
        else:
            said = "no text is in quotes, all are read as they stand"
        if self.num_ambiguous:
            said += f"; {self.num_ambiguous:,} rows can be read either way, the first in line {self.first_wrapped}"
        if self.num_without_comma:
            said += f"; {self.num_without_comma:,} lines hold no comma, the first is line {self.first_without_comma}"
        return said


def read_lines(path: Path) -> Iterator[Line]:
    """Each line after the header that is not blank. Raises DataError for another header and what is not UTF-8."""
    with path.open("rb") as file:
        for number, encoded in enumerate(file, start=1):
            try:
                line = (encoded.removeprefix(codecs.BOM_UTF8) if number == 1 else encoded).decode().rstrip("\r\n")
            except UnicodeDecodeError as error:
                remedy = "save it as UTF-8 (spreadsheets call it CSV UTF-8)"
                raise DataError(f"{path}: line {number}: not UTF-8; {remedy}") from error
            if number == 1:
                check_header(path, line)
            elif line:
                yield parse_line(number, line)


def check_header(path: Path, line: str) -> None:
    if tuple(column.strip().strip('"') for column in line.split(",")) != HEADER:
        raise DataError(f"{path}: line 1: {line[:60]!r} where {','.join(HEADER)} must stand")


def parse_line(number: int, line: str) -> Line:
    if wrapped := WRAPPED_NAME.match(line):
        return Line(number, unwrapped(wrapped[1]), line[wrapped.end() :], True)
    name, comma, text = line.partition(",")
    return Line(number, name, text if comma else None, False)


def unwrapped(inside: str) -> str:
    return inside.replace('""', '"')


def weigh(lines: Iterable[Line]) -> Evidence:
    found = Evidence()
    for line in lines:
        found.num_lines += 1
        if line.text is None:
            found.num_without_comma += 1
            found.first_without_comma = found.first_without_comma or line.number
            continue
        inside = line.text
        if is_wrapped := WRAPPED.fullmatch(line.text) is not None:
            found.num_wrapped += 1
            found.first_wrapped = found.first_wrapped or line.number
            inside = line.text[1:-1]
        is_special = "," in inside or '"' in inside
        if line.is_name_wrapped or (is_wrapped and is_special):
            found.num_for += 1
        elif is_wrapped or is_special:
            found.num_against += 1
    return found


def read_text(line: Line, is_quoted: bool) -> tuple[str, str]:
    """(text, why it is no sample or "")."""
    if line.text is None:
        return "", NO_COMMA
    if not is_quoted or not line.text.startswith('"'):
        return line.text, ""
    wrapped = WRAPPED.fullmatch(line.text)
    return (unwrapped(wrapped[1]), "") if wrapped else ("", OPEN_QUOTE)
