"""What becomes of each labeled word: a word of its page, a sample to train on, or a refusal that is counted."""

from __future__ import annotations

from collections import Counter

from ocr.labels.label import Label
from ocr.page import Box, Word, clip
from shard_builder.settings import Settings

EMPTY_TEXT = "empty text"
NO_AREA = "no area on the page"
SAME_BOX = "box of another word"
TOO_SMALL = "too small"
VERTICAL = "vertical"

VERTICAL_RATIO = 1.5  # height / width; 0.6 % of the words run from top to bottom, in form cells

IndexedWord = tuple[int, Word]
"""(the word's number in its label, the word)"""


def words_of(label: Label, width: int, height: int) -> tuple[list[IndexedWord], Counter[str]]:
    """The words of a page of `width` x `height` pixels, and how many were refused, by reason.

    Boxes are clipped to the page; texts stay as they are. Of words with the same clipped box the first one stays.
    """
    words: dict[Box, IndexedWord] = {}
    refused = Counter[str]()
    for index, labeled in enumerate(label.words):
        box = clip(labeled.box, width, height)
        if not labeled.text.strip():
            refused[EMPTY_TEXT] += 1
        elif box is None:
            refused[NO_AREA] += 1
        elif box in words:
            refused[SAME_BOX] += 1
        else:
            words[box] = index, Word(box, labeled.text)
    return list(words.values()), refused


def refuse(word: Word, settings: Settings) -> str | None:
    """Why a word of a page is no sample to train on, if so."""
    x0, y0, x1, y1 = word.box
    if min(x1 - x0, y1 - y0) < settings.min_side:
        return TOO_SMALL
    if settings.vertical_words == "refuse" and y1 - y0 > VERTICAL_RATIO * (x1 - x0) and len(word.text) > 1:
        return VERTICAL
    return None


def samples_of(words: list[IndexedWord], settings: Settings, fates: Counter[str]) -> list[IndexedWord]:
    """The words that a recognizer of lines can learn from; each refusal is counted in `fates`."""
    samples = []
    for index, word in words:
        if reason := refuse(word, settings):
            fates[reason] += 1
        else:
            samples.append((index, word))
    return samples
