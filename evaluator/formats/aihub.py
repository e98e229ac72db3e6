"""AI-Hub's labels as a reference, for systems that are scored without shards.

The shard builder has its own reader of them, since rooms do not import one another; here a word is refused for the
same reasons, and `tests/evaluator/formats/test_formats.py` holds the two together. The one difference: the builder
asks the image for its size, not the label, and here is no image: boxes are cut at the left and the top edge only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import msgspec

from evaluator.formats.found import EMPTY_TEXT, FoundPage, FoundWord, box_quad
from evaluator.metrics.page_words import MAX_COORDINATE
from ocr.page import Box, clip

BEYOND = int(MAX_COORDINATE)
NO_AREA = "no area on the page"
SAME_BOX = "box of another word"


class LabelWord(msgspec.Struct):
    xywh: tuple[int, int, int, int] = msgspec.field(name="annotation.bbox")
    text: str | None = msgspec.field(name="annotation.text", default=None)


class Label(msgspec.Struct):
    annotations: list[LabelWord]


def read_aihub(content: bytes) -> Iterator[FoundPage]:
    label = msgspec.json.decode(content, type=Label)
    page, taken = FoundPage(words=[]), set[Box]()
    for word in label.annotations:
        x, y, width, height = word.xywh
        text = unicodedata.normalize("NFC", word.text or "")
        box = clip((x, y, x + width, y + height), BEYOND, BEYOND)
        if not text.strip():
            page.refused[EMPTY_TEXT] += 1
        elif box is None:
            page.refused[NO_AREA] += 1
        elif box in taken:
            page.refused[SAME_BOX] += 1
        else:
            taken.add(box)
            page.words.append(FoundWord(box_quad(*box), text))
    yield page
