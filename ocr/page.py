"""A page and its words, as every room knows them."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np

JPEG_BEGINS, JPEG_SCAN, JPEG_ENDS = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in page pixels; x1 and y1 lie one past the last pixel."""


class Word(msgspec.Struct, frozen=True):
    """One labeled region of a page. `text` is NFC and not empty; `box` lies inside the page and holds area."""

    box: Box
    text: str


class Page(msgspec.Struct, frozen=True, rename={"stem": "page"}):
    """A page's label: the member `<stem>.json` of an evaluation sample.

    As JSON: `{"page": stem, "category": …, "width": …, "height": …, "words": [{"box": [x0, y0, x1, y1], "text": …}]}`.
    """

    stem: str
    category: str
    width: int
    height: int
    words: tuple[Word, ...]


def page_to_json(page: Page) -> bytes:
    return msgspec.json.encode(page)


def page_from_json(label: bytes) -> Page:
    """Raises `msgspec.DecodeError` (of which `ValidationError` is one) or UnicodeDecodeError for what is not a page."""
    return msgspec.json.decode(label, type=Page)


def clip(box: Box, width: int, height: int) -> Box | None:
    """The part of a box that lies on a page of `width` x `height` pixels; None where nothing is left."""
    x0, y0, x1, y1 = box
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def decode_image(content: bytes, color: bool) -> np.ndarray | None:
    """The pixels of a page's image file, uint8 grey (H, W) or BGR (H, W, 3); None where there are none, or not all.

    Grey is the JPEG's own luma, as EasyOCR reads it from a file. Boxes are of the pixels as they are stored, so an
    orientation tag does not turn the page. A JPEG without an end after its last scan was cut off: OpenCV 4 would fill
    the rest of the page with grey.
    """
    if content.startswith(JPEG_BEGINS) and content.rfind(JPEG_ENDS) < content.rfind(JPEG_SCAN):
        return None
    flags = (cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE) | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # no bytes at all, or a size beyond OpenCV's limit
        return None


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of a box, which must lie on the page; a view, (h, w) or (h, w, 3) as the image is."""
    x0, y0, x1, y1 = box
    return image[y0:y1, x0:x1]
