"""Pages from a file or a folder of any known format, told by its content.

path -> files -> FoundPage (per format) -> PageSet: words by page, checked, NFC, and what was refused or mended
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np

from evaluator.formats.aihub import read_aihub
from evaluator.formats.found import FoundPage
from evaluator.formats.ocr_programs import TESSERACT_COLUMNS, read_easyocr, read_paddleocr, read_tesseract
from evaluator.formats.page_lines import read_page_lines
from evaluator.metrics.page_words import PageWords, in_turn, page_words
from ocr.errors import DataError, UsageError

Format = Literal["jsonl", "aihub", "easyocr", "paddleocr", "tesseract", "page", "alto", "hocr"]
FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "jsonl": (".jsonl", ".json"),
    "aihub": (".json",),
    "easyocr": (".json",),
    "paddleocr": (".json",),
    "tesseract": (".tsv",),
    "page": (".xml",),
    "alto": (".xml",),
    "hocr": (".hocr", ".html", ".htm", ".xhtml"),
}
"""What the files of a format are called in a folder; a single file may have any name."""

KEYS: dict[str, Format] = {"words": "jsonl", "annotations": "aihub", "rec_texts": "paddleocr", "res": "paddleocr"}
"""Which format a JSON object with this key is of."""

REMEDY = f"name its format, one of {', '.join(FORMATS)}"


class PageSet(msgspec.Struct, frozen=True, eq=False):
    """Words by page. `places` says for each page which file, and line, it came from.

    `refused` counts words that were left out, by reason; `num_turned` quads whose corners were put in turn.
    """

    pages: dict[str, PageWords]
    places: dict[str, str]
    refused: Counter[str]
    num_turned: int


def read_pages(path: Path, named: Format | None = None) -> PageSet:
    """The pages of a file, or of all files below a folder, whose names without suffix are the pages' then.

    `named` is the format where it need not be told by content. Raises UsageError where nothing can be read, and
    DataError with file and line for what is damaged or empty, and for a page that occurs twice.
    """
    found = PageSet({}, {}, Counter(), 0)
    num_turned = 0
    for file, format_name, content in read_files(path, named):
        for page in parse(file, format_name, content):
            place = f"{file}: line {page.line}" if page.line else str(file)
            name = unicodedata.normalize("NFC", page_name(file, format_name) if page.name is None else page.name)
            if name in found.places:
                raise DataError(f"{place}: page {name!r} came before, in {found.places[name]}; keep one of them")
            found.places[name] = place
            found.pages[name], turned = checked(page, place)
            found.refused.update(page.refused)
            num_turned += turned
    return msgspec.structs.replace(found, num_turned=num_turned)


def read_files(path: Path, named: Format | None) -> Iterator[tuple[Path, Format, bytes]]:
    """Each file with its format and content, without a byte order mark; a folder's files by name, all of one format."""
    first: tuple[Path, Format] | None = None
    for file in find_files(path, named):
        content = read_content(file)
        format_name = named or tell_format(content)
        if format_name is None:
            raise DataError(f"{file}: not told by its content; {REMEDY}, or mend the file")
        first = first or (file, format_name)
        if format_name != first[1]:
            raise DataError(f"{file}: looks like {format_name} and {first[0]} like {first[1]}; {REMEDY}")
        yield file, format_name, content


def read_content(file: Path) -> bytes:
    try:
        content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    if not content.strip():
        raise DataError(f"{file}: is empty; a page without words is a page with an empty list")
    return content


def find_files(path: Path, named: Format | None) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder")
    suffixes = SUFFIXES[named] if named else {suffix for known in SUFFIXES.values() for suffix in known}
    files = [file for file in path.rglob("*") if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    if not files:
        raise UsageError(f"{path}: no file of words below it ({', '.join(sorted(suffixes))})")
    return sorted(files)


def tell_format(content: bytes) -> Format | None:
    """The format of a file, None where it is none of ours."""
    head = content.lstrip()[:4096]
    if head.startswith(b"{"):
        return tell_object(content)
    if head.startswith(b"["):
        return tell_list(content)
    if head.startswith("\t".join(TESSERACT_COLUMNS[:2]).encode()):
        return "tesseract"
    roots: dict[bytes, Format] = {b"PcGts": "page", b"alto": "alto", b"html": "hocr"}
    root = re.search(rb"<(?:\w+:)?(PcGts|alto|html)\b", head) if head.startswith(b"<") else None
    return roots[root[1]] if root else None


def tell_object(content: bytes) -> Format | None:
    """By the keys of the first object, which may be one of many lines."""
    for text in (content, content.lstrip().splitlines()[0]):
        try:
            keys = msgspec.json.decode(text, type=dict[str, msgspec.Raw]).keys()
        except (msgspec.DecodeError, ValueError):
            continue
        return next((format_name for key, format_name in KEYS.items() if key in keys), None)
    return "jsonl"  # Broken JSON: the reader of lines says where.


def tell_list(content: bytes) -> Format | None:
    """EasyOCR's words are [corners, text, confidence], PaddleOCR's [corners, [text, confidence]], or pages of those."""
    try:
        items = msgspec.json.decode(content, type=list[msgspec.Raw])
        word = msgspec.json.decode(items[0], type=list[msgspec.Raw] | None) if items else None
    except (msgspec.DecodeError, ValueError):
        return None
    return "easyocr" if not items or (word and len(word) == 3 and bytes(word[1]).startswith(b'"')) else "paddleocr"


def parse(file: Path, format_name: Format, content: bytes) -> Iterator[FoundPage]:
    """The pages of one file. Raises DataError with the reader's reason."""
    try:
        yield from reader(format_name)(content)
    except (msgspec.DecodeError, ValueError) as error:
        reason = " ".join(str(error).split())
        place = "" if format_name == "jsonl" else f"not a page of {format_name}: "
        raise DataError(f"{file}: {place}{reason}") from error


def reader(format_name: Format) -> Callable[[bytes], Iterable[FoundPage]]:
    if format_name in ("page", "alto", "hocr"):
        return xml_reader(format_name)
    readers: dict[Format, Callable[[bytes], Iterable[FoundPage]]] = {
        "jsonl": read_page_lines,
        "aihub": read_aihub,
        "easyocr": read_easyocr,
        "paddleocr": read_paddleocr,
        "tesseract": read_tesseract,
    }
    return readers[format_name]


def xml_reader(format_name: Format) -> Callable[[bytes], Iterable[FoundPage]]:
    try:
        from evaluator.formats.xml_files import read_alto, read_hocr, read_page_xml
    except ImportError as error:
        raise UsageError(f"{format_name}: needs lxml; install it with `pip install lxml`") from error
    readers: dict[Format, Callable[[bytes], Iterable[FoundPage]]] = {
        "page": read_page_xml,
        "alto": read_alto,
        "hocr": read_hocr,
    }
    return readers[format_name]


def page_name(file: Path, format_name: Format) -> str:
    """The stem; PaddleOCR adds `_res` to its image's."""
    return file.stem.removesuffix("_res") if format_name == "paddleocr" else file.stem


def checked(page: FoundPage, place: str) -> tuple[PageWords, int]:
    """A page's words with their corners in turn, and how many quads that changed."""
    quads_N42 = np.array([word.quad for word in page.words], dtype=np.float64).reshape(-1, 4, 2)
    quads_N42, turned = in_turn(quads_N42)
    try:
        words = page_words(
            quads_N42,
            [word.text for word in page.words],
            [word.dont_care for word in page.words],
            [word.confidence for word in page.words],
        )
    except ValueError as error:
        raise DataError(f"{place}: {error}") from error
    return words, int(turned.sum())
