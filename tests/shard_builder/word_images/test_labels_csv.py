"""labels.csv gives each text back as it was meant, whoever wrote it."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from ocr.errors import DataError
from shard_builder.word_images.image_set import LISTED_TWICE
from shard_builder.word_images.labels_csv import NO_COMMA, OPEN_QUOTE, LabelsCsv

TEXTS = [
    "김해시",
    "하며,",
    ",",
    '"',
    '""',
    '"김해를',
    '김해를"',
    '"김해"',
    '"가, 나"',
    'a "b" c',
    "3,000원",
    "경남 김해시",
    " 앞뒤 ",
    '5"',
    "2001",
    ",,,",
    '"",""',
    "'",
    "①㎡·",
    "\u2028",
    "\x85",
]
"""What a text may be; the last two are line breaks to Python's splitlines."""


def by_csv(quoting: int, line_end: str) -> Callable[[list[str]], str]:
    def write(texts: list[str]) -> str:
        file = io.StringIO()
        writer = csv.writer(file, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
        writer.writerow(["filename", "words"])
        writer.writerows([f"{index}.png", text] for index, text in enumerate(texts))
        return file.getvalue()

    return write


def as_it_stands(texts: list[str]) -> str:
    return "filename,words\n" + "".join(f"{index}.png,{text}\n" for index, text in enumerate(texts))


WRITERS: dict[str, Callable[[list[str]], str]] = {
    "CSV, quotes where needed": by_csv(csv.QUOTE_MINIMAL, "\r\n"),
    "CSV, quotes where needed, Unix lines": by_csv(csv.QUOTE_MINIMAL, "\n"),
    "CSV, quotes everywhere": by_csv(csv.QUOTE_ALL, "\r\n"),
    "as it stands": as_it_stands,
    "as it stands, without a last line end": lambda texts: as_it_stands(texts).removesuffix("\n"),
    "as it stands, byte order mark": lambda texts: "\ufeff" + as_it_stands(texts),
    "as it stands, blank lines": lambda texts: as_it_stands(texts).replace("\n", "\n\n"),
}


def listing_of(folder: Path, content: str | bytes) -> tuple[list[str], list[str], str]:
    """(texts of rows that are not refused, reasons of those that are, remark)."""
    (folder / "labels.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    found = LabelsCsv(folder).listing()
    texts = [row.text for row in found.rows if not row.refused]
    return texts, [row.refused for row in found.rows if row.refused], found.remark.partition(": ")[2]


@pytest.mark.parametrize("name", WRITERS)
def test_every_text_survives_every_writer(tmp_path: Path, name: str) -> None:
    texts, refused, _ = listing_of(tmp_path, WRITERS[name](TEXTS))
    assert texts == TEXTS
    assert not refused


def test_as_it_stands_is_as_easyocr_reads(tmp_path: Path) -> None:
    """EasyOCR's trainer cuts a line with this expression, as a separator of pandas."""
    content = as_it_stands(TEXTS)
    read = [re.split("^([^,]+),", line)[2] for line in content.split("\n")[1:-1]]
    assert listing_of(tmp_path, content)[0] == read == TEXTS


KEPT, TAKEN = "kept, as part of the texts", "taken off, as a CSV writer's"


@pytest.mark.parametrize(
    ("rows", "texts", "remark"),
    [
        pytest.param(
            ["a,김해시", "b,2001"],
            ["김해시", "2001"],
            "no text is in quotes, all are read as they stand",
            id="nothing to tell by",
        ),
        pytest.param(
            ["a,김해시", 'b,"하며,"'],
            ["김해시", "하며,"],
            f"quotes around texts are {TAKEN} (1 rows for CSV quoting, 0 against)",
            id="one row that a CSV writer wraps",
        ),
        pytest.param(
            ["a,하며,", "b,김해시"],
            ["하며,", "김해시"],
            "no text is in quotes, all are read as they stand",
            id="a comma that no CSV writer leaves bare",
        ),
        pytest.param(
            ["a,하며,", 'b,"하며,"'],
            ["하며,", '"하며,"'],
            f"quotes around texts are {KEPT} (1 rows for CSV quoting, 1 against)"
            "; 1 rows can be read either way, the first in line 3",
            id="as many for it as against it: as EasyOCR reads",
        ),
        pytest.param(
            ['a,"하며,"', 'b,"""김해를"', "c,3,000"],
            ["하며,", '"김해를', "3,000"],
            f"quotes around texts are {TAKEN} (2 rows for CSV quoting, 1 against)"
            "; 2 rows can be read either way, the first in line 2",
            id="one bare row among CSV rows can be read in one way only",
        ),
        pytest.param(
            ['a,"김해시"', "b,김해시"],
            ['"김해시"', "김해시"],
            f"quotes around texts are {KEPT} (0 rows for CSV quoting, 1 against)",
            id="no CSV writer wraps without need",
        ),
        pytest.param(
            ['a,"김해시"', 'b,"부산"'],
            ["김해시", "부산"],
            f"quotes around texts are {TAKEN} (0 rows for CSV quoting, 2 against)",
            id="unless it wraps all",
        ),
        pytest.param(
            ['"a","김해시"', '"b",2001'],
            ["김해시", "2001"],
            f"quotes around texts are {TAKEN} (2 rows for CSV quoting, 0 against)",
            id="names and words wrapped, numbers not",
        ),
        pytest.param(
            ['"a,1.png",김해시', 'b.png,"하며,"'],
            ["김해시", "하며,"],
            f"quotes around texts are {TAKEN} (2 rows for CSV quoting, 0 against)",
            id="a comma in a name",
        ),
        pytest.param(
            ['a,"', 'b,"""'],
            ['"', '"""'],
            "no text is in quotes, all are read as they stand",
            id="quotes that wrap nothing",
        ),
    ],
)
def test_a_file_is_told_by_its_rows(tmp_path: Path, rows: list[str], texts: list[str], remark: str) -> None:
    assert listing_of(tmp_path, "\n".join(["filename,words", *rows])) == (texts, [], remark)


def test_refused_rows_have_a_reason(tmp_path: Path) -> None:
    rows = ['a,"하며,"', "no comma at all", "b,부산", "b,대구", 'c,"over two lines', 'of text"', 'd,"하며,"']
    texts, refused, remark = listing_of(tmp_path, "\n".join(["filename,words", *rows]))
    assert texts == ["하며,", "부산", "하며,"]
    assert refused == [NO_COMMA, LISTED_TWICE, OPEN_QUOTE, NO_COMMA]
    assert remark.endswith("; 2 lines hold no comma, the first is line 3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            "김해시.png,김해시\n", "line 1: '김해시.png,김해시' where filename,words must stand", id="no header"
        ),
        pytest.param(",filename,words\n0,a,가\n", "line 1: ',filename,words' where filename,words", id="pandas' index"),
        pytest.param("filename;words\na;가\n", "line 1: 'filename;words' where", id="semicolons"),
        pytest.param(
            "filename,words\na,b\nc,김해시\n".encode("cp949"), "line 3: not UTF-8; save it as UTF-8", id="CP949"
        ),
        pytest.param("filename,words\na,가\n".encode("utf-16"), "line 1: not UTF-8; save it as UTF-8", id="UTF-16"),
    ],
)
def test_another_file_is_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as raised:
        listing_of(tmp_path, content)
    assert str(raised.value).startswith(f"{tmp_path / 'labels.csv'}: {message}")


NFC, NFD = unicodedata.normalize("NFC", "김해.png"), unicodedata.normalize("NFD", "김해.png")


@pytest.mark.parametrize(
    ("listed", "stored", "is_there"),
    [
        pytest.param("a.png", "a.png", True, id="beside the list"),
        pytest.param("a.png", "images/a.png", True, id="in images/"),
        pytest.param("images/a.png", "images/a.png", True, id="with its folder"),
        pytest.param("1/a.png", "1/a.png", True, id="in another folder"),
        pytest.param("1/a.png", "images/1/a.png", True, id="below images/"),
        pytest.param(NFC, NFD, True, id="NFD in the folder"),
        pytest.param(NFD, NFC, True, id="NFD in the list"),
        pytest.param("a.png", "b.png", False, id="not there"),
        pytest.param("a.png", "a.png/b.png", False, id="a folder"),
        pytest.param("a\0.png", "a.png", False, id="a null byte"),
        pytest.param("a" * 300, "a.png", False, id="a name that is too long"),
    ],
)
def test_where_an_image_is_looked_for(tmp_path: Path, listed: str, stored: str, is_there: bool) -> None:
    (tmp_path / stored).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / stored).write_bytes(b"12345")
    (tmp_path / "labels.csv").write_text(f"filename,words\n{listed},가\n")
    images = LabelsCsv(tmp_path)
    assert [row.num_bytes for row in images.listing().rows] == [5 if is_there else None]
    assert list(images.images([listed])) == [b"12345" if is_there else None]
