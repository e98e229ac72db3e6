"""The experiment: which boxes are read by which recognizer, and what is compared to learn which part brings what.

boxes \\ recognizer    baseline              finetuned
easyocr               easyocr+baseline      easyocr+finetuned       EasyOCR's own grouping, as readtext
words                 words+baseline        words+finetuned         word by word, `evaluator.tune`'s thresholds
reference             reference+baseline    reference+finetuned     the labels' boxes: recognition alone
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from evaluator.metrics.figures import Sums
from evaluator.metrics.significance import Difference, Pages, differences, interaction

EASYOCR, WORDS, REFERENCE = "easyocr", "words", "reference"
BOXES = (EASYOCR, WORDS, REFERENCE)
BASELINE, FINETUNED = "baseline", "finetuned"
RECOGNIZERS = (BASELINE, FINETUNED)

EFFECTS = {
    "word boxes": "words instead of easyocr boxes, the mean over the recognizers",
    "fine-tuning": "finetuned instead of baseline, the mean over easyocr and words boxes",
    "both": "words+finetuned instead of easyocr+baseline: the two above together",
    "interaction": "how much more fine-tuning brings on words boxes than on easyocr boxes",
    "fine-tuning, reference boxes": "finetuned instead of baseline where no detector takes part",
}
"""What `effects` gives, and what each is."""


class Cell(msgspec.Struct, frozen=True):
    """One system: whose boxes are read, and by which recognizer."""

    boxes: str
    recognizer: str

    @property
    def system(self) -> str:
        return f"{self.boxes}+{self.recognizer}"


def cells(recognizers: Sequence[str]) -> list[Cell]:
    """Boxes by boxes."""
    return [Cell(boxes, recognizer) for boxes in BOXES for recognizer in recognizers]


def effects(sums: Mapping[str, Mapping[str, Sums]], seed: int) -> dict[str, dict[str, Difference]]:
    """Those of `EFFECTS` that the systems of `sums` allow, each for every figure; `sums` is by system, then by page."""

    def pages(boxes: str, recognizer: str) -> Pages:
        return list(sums[Cell(boxes, recognizer).system].values())

    present = [recognizer for recognizer in RECOGNIZERS if Cell(WORDS, recognizer).system in sums]
    found = {"word boxes": differences([(pages(EASYOCR, each), pages(WORDS, each)) for each in present], seed)}
    if len(present) < len(RECOGNIZERS):
        return found
    tuned = {boxes: (pages(boxes, BASELINE), pages(boxes, FINETUNED)) for boxes in BOXES}
    return found | {
        "fine-tuning": differences([tuned[EASYOCR], tuned[WORDS]], seed),
        "both": differences([(tuned[EASYOCR][0], tuned[WORDS][1])], seed),
        "interaction": interaction(tuned[EASYOCR], tuned[WORDS], seed),
        "fine-tuning, reference boxes": differences([tuned[REFERENCE]], seed),
    }
