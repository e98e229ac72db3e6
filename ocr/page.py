"""A page and its words, as every room knows them."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np

JPEG_BEGINS, JPEG_SCAN, JPEG_ENDS = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, but for the three that are none
PNG_BEGINS = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
MAX_PIXELS = 150_000_000
"""An A3 sheet at 600 dpi has 70 million; a larger size in a file's header is damage or malice and would fill memory."""

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
    if 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height:  # as all but a few are
        return box
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def image_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels as the header of a JPEG or PNG says them; None where there is no such header.

    JPEG: the markers before the scan are walked to the frame header (ITU T.81, B.2). PNG: IHDR comes first.
    """
    if content.startswith(PNG_BEGINS):
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if not content.startswith(JPEG_BEGINS):
        return None
    at = content.find(0xFF, 2)
    while 0 <= at <= len(content) - 9:
        marker = content[at + 1]
        if marker in JPEG_FRAMES:
            return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(content[at + 5 : at + 7], "big")
        # 0xFF may be repeated as fill; every other marker before the frame is followed by its length. Decoders pass
        # over bytes that are no marker, so this does, too: no size is to go unseen.
        at = content.find(0xFF, at + 1 if marker == 0xFF else at + 2 + int.from_bytes(content[at + 2 : at + 4], "big"))
    return None


def decode_image(content: bytes, color: bool) -> np.ndarray | None:
    """The pixels of a page's image file, uint8 grey (H, W) or BGR (H, W, 3); None where there are none, or not all.

    None, too, for an image that says it has more than MAX_PIXELS.

    Grey is the JPEG's own luma, as EasyOCR reads it from a file. Boxes are of the pixels as they are stored, so an
    orientation tag does not turn the page. A JPEG without an end after its last scan was cut off: OpenCV 4 would fill
    the rest of the page with grey.
    """
    if content.startswith(JPEG_BEGINS) and content.find(JPEG_SCAN, max(content.rfind(JPEG_ENDS), 0)) >= 0:
        return None
    width, height = image_size(content) or (0, 0)
    if width * height > MAX_PIXELS:
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
