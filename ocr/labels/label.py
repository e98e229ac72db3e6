"""What a label says, whichever data set it is of. A data set is one file, such as aihub.py, with one function:

read_label(content: bytes) -> Label      raises ValueError for what is no label
"""

from __future__ import annotations

import msgspec

from ocr.page import Box


class LabeledWord(msgspec.Struct, frozen=True, gc=False):
    """A word as it was labeled: the box may leave the page or hold no area, the text may be empty."""

    box: Box
    text: str


class Label(msgspec.Struct, frozen=True):
    """A page's words, in the label's order. `width` and `height` are what the label says: the image may differ."""

    category: str
    width: int
    height: int
    words: tuple[LabeledWord, ...]
