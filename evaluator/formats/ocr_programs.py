"""What EasyOCR, PaddleOCR and Tesseract write, one file a page."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from evaluator.formats.found import EMPTY_TEXT, FoundPage, FoundWord, Point, box_quad, corner_quad

TESSERACT_COLUMNS = (
    *("level", "page_num", "block_num", "par_num", "line_num", "word_num"),
    *("left", "top", "width", "height", "conf", "text"),
)
TESSERACT_WORD = "5"
"""The level of a word; 1 to 4 are page, block, paragraph and line."""

EasyOcrWord = tuple[tuple[Point, Point, Point, Point], str, float]
PaddleWord = tuple[list[Point], tuple[str, float]]


class PaddleResult(msgspec.Struct):
    """PaddleOCR 3: `result.save_to_json()`."""

    rec_texts: list[str]
    rec_scores: list[float]
    rec_polys: list[list[Point]]


class WrappedPaddleResult(msgspec.Struct):
    """PaddleOCR 3: `result.json`."""

    res: PaddleResult


def read_easyocr(content: bytes) -> Iterator[FoundPage]:
    """`json.dumps` of what `Reader.readtext` gives: a list of [corners, text, confidence]."""
    words = msgspec.json.decode(content, type=list[EasyOcrWord])
    yield FoundPage([FoundWord(corner_quad(corners), text, confidence=sure) for corners, text, sure in words])


def read_paddleocr(content: bytes) -> Iterator[FoundPage]:
    """PaddleOCR 3's JSON of a page, or what version 2's `ocr` gives: a list of [corners, [text, confidence]]."""
    if content.lstrip().startswith(b"{"):
        yield FoundPage(paddle_words(decode_paddle(content)))
        return
    try:
        words = msgspec.json.decode(content, type=list[PaddleWord])
    except msgspec.ValidationError:
        pages = msgspec.json.decode(content, type=list[list[PaddleWord] | None])
        if len(pages) != 1:
            raise ValueError(f"holds {len(pages)} pages; write a file a page") from None
        words = pages[0] or []
    yield FoundPage([FoundWord(corner_quad(corners), text, confidence=sure) for corners, (text, sure) in words])


def decode_paddle(content: bytes) -> PaddleResult:
    if "res" in msgspec.json.decode(content, type=dict[str, msgspec.Raw]):
        return msgspec.json.decode(content, type=WrappedPaddleResult).res
    return msgspec.json.decode(content, type=PaddleResult)


def paddle_words(result: PaddleResult) -> list[FoundWord]:
    counts = {len(result.rec_texts), len(result.rec_scores), len(result.rec_polys)}
    if len(counts) > 1:
        raise ValueError(f"rec_texts, rec_scores and rec_polys have different lengths: {sorted(counts)}")
    found = zip(result.rec_polys, result.rec_texts, result.rec_scores, strict=True)
    return [FoundWord(corner_quad(corners), text, confidence=sure) for corners, text, sure in found]


def read_tesseract(content: bytes) -> Iterator[FoundPage]:
    """`tesseract page.png page tsv`. Words without text are how it reports pictures and rules, and are refused."""
    # Not splitlines, which would break a text at a form feed, too.
    header, *rows = [row.removesuffix("\r") for row in content.decode("utf-8").split("\n")]
    if tuple(header.split("\t")) != TESSERACT_COLUMNS:
        raise ValueError(f"line 1: the columns are not those of Tesseract: {', '.join(TESSERACT_COLUMNS)}")
    page, page_number = FoundPage(words=[]), None
    for number, row in enumerate(rows, start=2):
        level, *cells = row.split("\t")
        if level != TESSERACT_WORD:
            continue
        if len(cells) != len(TESSERACT_COLUMNS) - 1:
            raise ValueError(f"line {number}: {len(cells) + 1} columns instead of {len(TESSERACT_COLUMNS)}")
        if page_number not in (None, cells[0]):
            raise ValueError(f"line {number}: a second page begins; write a file a page")
        page_number = cells[0]
        if not cells[-1].strip():
            page.refused[EMPTY_TEXT] += 1
            continue
        try:
            page.words.append(tesseract_word(cells))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    yield page


def tesseract_word(cells: list[str]) -> FoundWord:
    left, top, width, height, confidence = (float(cell) for cell in cells[5:10])
    return FoundWord(box_quad(left, top, left + width, top + height), cells[-1], confidence=confidence / 100)
