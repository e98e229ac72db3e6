"""PAGE, ALTO and hOCR, one file a page. Where a line has words they are read, else the line itself is.

Elements are told by their local names: the versions of PAGE and ALTO differ in namespace, not in what is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from evaluator.formats.found import EMPTY_TEXT, FoundPage, FoundWord, Quad, box_quad, corner_quad

Element = Any  # lxml has no types of its own.

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
HOCR_BOX = re.compile(r"\bbbox\s+(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)")
HOCR_CONFIDENCE = re.compile(r"\bx_wconf\s+([\d.]+)")
HOCR_LINES = {"ocr_line", "ocrx_line", "ocr_header", "ocr_textfloat", "ocr_caption"}


def parse_xml(content: bytes) -> Element:
    """The root. Raises ValueError with the line; entities are not resolved and nothing is fetched."""
    try:
        return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not XML: {error.msg}") from error


def elements(root: Element, name: str) -> list[Element]:
    return list(root.iter(f"{{*}}{name}"))


def one_page(pages: list[Element], what: str) -> Element:
    if len(pages) != 1:
        raise ValueError(f"holds {len(pages)} {what} elements; write a file a page")
    return pages[0]


def placed(element: Element, error: ValueError) -> ValueError:
    return ValueError(f"line {element.sourceline}: {error}")


def read_page_xml(content: bytes) -> Iterator[FoundPage]:
    """PRImA's PAGE XML. A region of other than four corners stands for the upright box around it."""
    page = one_page(elements(parse_xml(content), "Page"), "Page")
    found = [part for line in elements(page, "TextLine") for part in elements(line, "Word") or [line]]
    yield FoundPage([page_xml_word(part) for part in found])


def page_xml_word(element: Element) -> FoundWord:
    """A word and its first reading."""
    try:
        readings = sorted(element.findall("{*}TextEquiv"), key=lambda reading: int(reading.get("index", 0)))
        text = readings[0].findtext("{*}Unicode", "") if readings else ""
        confidence = float(readings[0].get("conf", 1)) if readings else 1.0
        return FoundWord(page_xml_quad(element), text, confidence=confidence)
    except ValueError as error:
        raise placed(element, error) from error


def page_xml_quad(element: Element) -> Quad:
    if (coordinates := element.find("{*}Coords")) is None:
        raise ValueError("a word without Coords")
    if points := coordinates.get("points"):
        return corner_quad(pairs(points))
    # Before 2013 the points were elements.
    return corner_quad([(float(point.get("x")), float(point.get("y"))) for point in coordinates.findall("{*}Point")])


def pairs(numbers: str) -> list[tuple[float, float]]:
    """ "1,2 3,4" or "1 2 3 4" -> [(1, 2), (3, 4)]."""
    values = [float(number) for number in NUMBER.findall(numbers)]
    if len(values) % 2:
        raise ValueError(f"{len(values)} numbers are no points: {numbers!r}")
    return list(zip(values[::2], values[1::2], strict=True))


def read_alto(content: bytes) -> Iterator[FoundPage]:
    """ALTO of any version, in pixels. Raises ValueError for another unit: without a resolution it says no pixel."""
    root = parse_xml(content)
    unit = root.findtext(".//{*}MeasurementUnit", "pixel").strip()
    if unit != "pixel":
        raise ValueError(f"coordinates in {unit}; export ALTO in pixels")
    page = one_page(elements(root, "Page"), "Page")
    yield FoundPage([alto_word(string) for string in elements(page, "String")])


def alto_word(string: Element) -> FoundWord:
    polygon = string.find("{*}Shape/{*}Polygon")
    try:
        if polygon is not None:
            quad = corner_quad(pairs(polygon.get("POINTS", "")))
        else:
            x, y, width, height = (float(string.get(name, "nan")) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
            quad = box_quad(x, y, x + width, y + height)
        return FoundWord(quad, string.get("CONTENT", ""), confidence=float(string.get("WC", 1)))
    except ValueError as error:
        raise placed(string, error) from error


def read_hocr(content: bytes) -> Iterator[FoundPage]:
    """hOCR, XHTML or HTML. Words without text are how Tesseract reports pictures and rules, and are refused."""
    root = etree.fromstring(content, etree.HTMLParser(encoding="utf-8", no_network=True))
    if root is None:
        raise ValueError("not HTML")
    one_page(with_class(root, {"ocr_page"}), "ocr_page")
    words = with_class(root, {"ocrx_word"})
    lines = [line for line in with_class(root, HOCR_LINES) if with_class(line, {"ocrx_word"} | HOCR_LINES) == [line]]
    page = FoundPage(words=[])
    for element in [*words, *lines]:
        text = " ".join("".join(element.itertext()).split())
        if text:
            page.words.append(hocr_word(element, text))
        else:
            page.refused[EMPTY_TEXT] += 1
    yield page


def with_class(root: Element, classes: set[str]) -> list[Element]:
    return [element for element in root.iter("*") if classes & set(element.get("class", "").split())]


def hocr_word(element: Element, text: str) -> FoundWord:
    title = element.get("title", "")
    if not (box := HOCR_BOX.search(title)):
        raise placed(element, ValueError(f"no bbox in {title!r}"))
    confidence = HOCR_CONFIDENCE.search(title)
    try:
        quad = box_quad(*(float(side) for side in box.groups()))
    except ValueError as error:
        raise placed(element, error) from error
    return FoundWord(quad, text, confidence=float(confidence[1]) / 100 if confidence else 1.0)
