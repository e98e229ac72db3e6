"""AI-Hub's label files: the only place that knows their JSON.

    {"images": [{"image.category": "인.허가", …}],
     "annotations": [{"id": 2, "annotation.text": "김", "annotation.bbox": [886, 273, 143, 137], …}]}

`bbox` is [x, y, width, height]. `id` has gaps and repeats, so nothing is keyed on it; `image.width` and `image.height`
are not asked: the page is as large as its image decodes.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter

import msgspec

from ocr.page import Box, Page, Word, clip

EMPTY_TEXT = "empty text"
NO_AREA = "no area on the page"
SAME_BOX = "box of another word"


class AiHubImage(msgspec.Struct, frozen=True):
    category: str = msgspec.field(name="image.category", default="")


class AiHubWord(msgspec.Struct, frozen=True):
    xywh: tuple[int, int, int, int] = msgspec.field(name="annotation.bbox")
    text: str | None = msgspec.field(name="annotation.text", default=None)


class AiHubLabel(msgspec.Struct, frozen=True):
    images: tuple[AiHubImage, ...]
    annotations: tuple[AiHubWord, ...]


def read_label(content: bytes) -> AiHubLabel:
    """Parse a label file, with or without a byte order mark. Raises ValueError where it is none."""
    try:
        return msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8), type=AiHubLabel)
    except msgspec.DecodeError as error:  # a ValueError itself only from msgspec 0.19 on
        raise ValueError(str(error)) from error


def to_page(label: AiHubLabel, stem: str, width: int, height: int) -> tuple[Page, Counter[str]]:
    """A page of `width` x `height` pixels with its usable words, and how many were refused, by reason.

    Boxes are clipped to the page; texts are made NFC and otherwise left as they are. Of words with the same clipped
    box the first one stays.
    """
    words: dict[Box, Word] = {}
    refused = Counter[str]()
    for annotation in label.annotations:
        x, y, box_width, box_height = annotation.xywh
        text = unicodedata.normalize("NFC", annotation.text or "")
        box = clip((x, y, x + box_width, y + box_height), width, height)
        if not text.strip():
            refused[EMPTY_TEXT] += 1
        elif box is None:
            refused[NO_AREA] += 1
        elif box in words:
            refused[SAME_BOX] += 1
        else:
            words[box] = Word(box, text)
    category = unicodedata.normalize("NFC", label.images[0].category) if label.images else ""
    return Page(stem, category, width, height, tuple(words.values())), refused
