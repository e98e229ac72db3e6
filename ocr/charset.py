"""The ordered alphabet: class i + 1 is character i, class 0 is the CTC blank."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise

import numpy as np

from ocr.errors import UsageError

BLANK = 0


def alphabet_fault(characters: str) -> str | None:
    """Why these can be no alphabet, if so."""
    doubled = sorted(character for character, number in Counter(characters).items() if number > 1)
    if doubled:
        return f"{''.join(doubled[:10])!r} stands in the alphabet more than once"
    unstable = [c for c in characters if unicodedata.normalize("NFC", c) != c]
    return f"{unstable[:10]!r} is not NFC, so no text ever holds it" if unstable else None


class Charset:
    """The characters a recognizer can write, in the order of its classes.

    The order is part of the weights: EasyOCR loads a permuted alphabet without a word and reads garbage with it.
    Raises `UsageError` for an empty alphabet, a character that stands in it twice, or one that NFC would change
    (texts are NFC, so such a class could never be learned).
    """

    def __init__(self, characters: str) -> None:
        if not characters:
            raise UsageError("character: the alphabet is empty; name one (korean_g2) or write its characters")
        if fault := alphabet_fault(characters):
            raise UsageError(f"character: {fault}; leave it out")
        self.characters = characters

    @cached_property
    def class_of(self) -> dict[str, int]:
        return {character: index for index, character in enumerate(self.characters, start=1)}

    @cached_property
    def class_table(self) -> np.ndarray:
        """int32: the class of each code point, 0 for a character outside the alphabet."""
        table = np.zeros(sys.maxunicode + 1, np.int32)
        table[[ord(character) for character in self.characters]] = range(1, self.num_classes)
        return table

    @property
    def num_classes(self) -> int:
        """One more than there are characters: the blank."""
        return len(self.characters) + 1

    def missing(self, text: str) -> str:
        """The characters of `text` that no class stands for, in order."""
        return "".join(character for character in text if character not in self.class_of)

    def encode(self, text: str) -> list[int]:
        """The classes of a text. Raises KeyError for a character outside the alphabet: filter first."""
        return [self.class_of[character] for character in text]

    def decode(self, classes: Iterable[int]) -> str:
        """The text of classes that are already collapsed (no blank)."""
        return "".join(self.characters[index - 1] for index in classes)

    def decode_greedy(self, classes_BT: np.ndarray) -> list[str]:
        """Best-path CTC decoding of the arg max classes, int (B, T)."""
        kept_BT = written_frames(classes_BT)
        text = self.decode(classes_BT[kept_BT].tolist())
        ends = kept_BT.sum(axis=1).cumsum().tolist()
        return [text[start:end] for start, end in pairwise([0, *ends])]


def written_frames(classes_BT: np.ndarray) -> np.ndarray:
    """Where CTC writes a character, bool (B, T): not where a class repeats the one before, and not at blanks."""
    written_BT = classes_BT != BLANK
    written_BT[:, 1:] &= classes_BT[:, 1:] != classes_BT[:, :-1]
    return np.asarray(written_BT)


def num_ctc_steps(text: str) -> int:
    """The fewest time steps in which CTC can write a text: one a character and a blank between equal neighbors.

    Source: Graves et al., Connectionist Temporal Classification, ICML 2006, section 3.1.
    """
    return len(text) + sum(left == right for left, right in pairwise(text))


def ks_x_1001() -> str:
    """What `+ksx1001` adds to an alphabet, in this order: the syllables, then the symbols."""
    return ks_x_1001_syllables() + ks_x_1001_symbols()


def ks_x_1001_syllables() -> str:
    """The 2,350 Hangul syllables of KS X 1001, rows 16 to 40, which make up nearly all Korean text."""
    return "".join(map(ks_x_1001_row, range(16, 41)))


SYMBOL_ROWS = (1, 2, 3, 4, 5, 7, 8, 9)
SYMBOL_CATEGORIES = frozenset("Pc Pd Ps Pe Pi Pf Po Sm Sc So Nl No".split())
MODERN_JAMO = frozenset(map(chr, range(ord("ㄱ"), ord("ㅣ") + 1)))
OTHER_LETTERS = frozenset("ㆍℓÅΩ")


def ks_x_1001_symbols() -> str:
    """The marks of KS X 1001 that Korean documents show, in its order: · ※ 「 ○ → ☎ ％ ￦ ㄱ ㆍ Ⅳ ㎡ ㉮ ① ½ and more.

    Of rows 1 to 5 and 7 to 9 these are all punctuation, symbols and numbers, and the letters that serve as such, as NFC
    leaves them in a text (Å and Ω). Left out are letters and digits of full width, Greek and European letters, old
    jamo, accents, spaces, and whole rows: 6 (lines of tables), 10 and 11 (kana), 12 (Cyrillic).
    """
    characters = unicodedata.normalize("NFC", "".join(map(ks_x_1001_row, SYMBOL_ROWS)))
    return "".join(
        character
        for character in dict.fromkeys(characters)  # Ω is a unit and a Greek letter
        if unicodedata.category(character) in SYMBOL_CATEGORIES or character in MODERN_JAMO | OTHER_LETTERS
    )


def ks_x_1001_row(row: int) -> str:
    """The characters of a row (1 to 94) of KS X 1001 in the order of their cells; empty cells are passed over."""
    cells = (bytes((0xA0 + row, 0xA0 + cell)) for cell in range(1, 95))
    return "".join(cell.decode("euc_kr", errors="ignore") for cell in cells)
