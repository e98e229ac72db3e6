"""How well texts are read. Counts travel between ranks and pages; the division comes last."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist


class TextCounts(msgspec.Struct):
    """Sums over pairs of a reference and a prediction text.

    CER = edits / reference characters (summed first, so long words weigh more); 1-NED = mean over the pairs of
    1 - edits / max(length), the seed's "normalized edit distance"; accuracy = share of equal pairs. Levenshtein
    distance over Unicode code points; texts are NFC on both sides, spaces and case count. A reference without text
    has CER 0 where nothing was read and 1 where something was. A figure over nothing is None.
    """

    num_pairs: int = 0
    num_equal: int = 0
    num_edits: int = 0
    num_characters: int = 0
    sum_cer: float = 0.0
    sum_one_minus_ned: float = 0.0

    def add(self, reference: str, prediction: str) -> int:
        """Count one pair; gives its edits."""
        edits = Levenshtein.distance(reference, prediction)
        self.count(reference, prediction, edits)
        return edits

    def add_all(self, references: Sequence[str], predictions: Sequence[str]) -> list[int]:
        """Count many pairs, with the same sums as one by one; gives the edits of each."""
        edits: list[int] = cpdist(references, predictions, scorer=Levenshtein.distance, dtype=np.int32).tolist()
        for pair in zip(references, predictions, edits, strict=True):
            self.count(*pair)
        return edits

    def count(self, reference: str, prediction: str, edits: int) -> None:
        self.num_pairs += 1
        self.num_equal += edits == 0
        self.num_edits += edits
        self.num_characters += len(reference)
        self.sum_cer += edits / len(reference) if reference else edits > 0
        self.sum_one_minus_ned += 1 - edits / (max(len(reference), len(prediction)) or 1)

    def merge(self, other: TextCounts) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def cer(self) -> float | None:
        return self.num_edits / self.num_characters if self.num_characters else None

    @property
    def cer_macro(self) -> float | None:
        return self.sum_cer / self.num_pairs if self.num_pairs else None

    @property
    def accuracy(self) -> float | None:
        return self.num_equal / self.num_pairs if self.num_pairs else None

    @property
    def one_minus_ned(self) -> float | None:
        return self.sum_one_minus_ned / self.num_pairs if self.num_pairs else None
