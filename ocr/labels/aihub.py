"""AI-Hub's label files: the only file on the way from zips to shards that knows their JSON.

    {"images": [{"image.category": "인.허가", "image.width": 2525, "image.height": 3557, …}],
     "annotations": [{"id": 2, "annotation.text": "김", "annotation.bbox": [886, 273, 143, 137]}, …]}

`bbox` is [x, y, width, height]. `id` has gaps and repeats, so nothing is keyed on it.
"""

from __future__ import annotations

import codecs
import unicodedata

import msgspec

from ocr.labels.label import Label, LabeledWord


class AiHubImage(msgspec.Struct, frozen=True):
    category: str = msgspec.field(name="image.category", default="")
    width: int = msgspec.field(name="image.width", default=0)
    height: int = msgspec.field(name="image.height", default=0)


class AiHubWord(msgspec.Struct, frozen=True, gc=False):
    xywh: tuple[int, int, int, int] = msgspec.field(name="annotation.bbox")
    text: str | None = msgspec.field(name="annotation.text", default=None)


class AiHubLabel(msgspec.Struct, frozen=True):
    images: tuple[AiHubImage, ...]
    annotations: tuple[AiHubWord, ...]


def read_label(content: bytes) -> Label:
    """Parse a label file, with or without a byte order mark. Raises ValueError where it is none."""
    try:
        label = msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8), type=AiHubLabel)
    except msgspec.DecodeError as error:  # a ValueError itself only from msgspec 0.19 on
        raise ValueError(str(error)) from error
    image = label.images[0] if label.images else AiHubImage()
    words = tuple(to_word(word) for word in label.annotations)
    return Label(unicodedata.normalize("NFC", image.category), image.width, image.height, words)


def to_word(word: AiHubWord) -> LabeledWord:
    x, y, width, height = word.xywh
    return LabeledWord((x, y, x + width, y + height), unicodedata.normalize("NFC", word.text or ""))
