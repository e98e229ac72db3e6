"""Which part brings what, on readings whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from evaluator.metrics.experiment import BOXES, EFFECTS, RECOGNIZERS, Cell, cells, effects
from evaluator.metrics.figures import Sums, page_sums
from tests.evaluator.made_words import reading

RIGHT = page_sums(reading([(0, 20, "가나")], [(0, 20, "가나")]))
WRONG = page_sums(reading([(0, 20, "가나")], [(0, 20, "다라")]))
FIGURE = "end_to_end.f1"


def sums(num_right: dict[str, int], num_pages: int = 40) -> dict[str, dict[str, Sums]]:
    """Systems that read the first so many pages right."""
    return {
        system: {f"page_{number}": RIGHT if number < right else WRONG for number in range(num_pages)}
        for system, right in num_right.items()
    }


def table(easyocr: Sequence[int], words: Sequence[int], reference: Sequence[int]) -> dict[str, int]:
    rows = zip(BOXES, (easyocr, words, reference), strict=True)
    return {
        Cell(boxes, recognizer).system: right
        for boxes, row in rows
        for recognizer, right in zip(RECOGNIZERS, row, strict=True)
    }


def test_the_cells_are_named_by_boxes_and_recognizer() -> None:
    assert [cell.system for cell in cells(["finetuned"])] == [
        "easyocr+finetuned",
        "words+finetuned",
        "reference+finetuned",
    ]
    assert len(cells(RECOGNIZERS)) == 6


@pytest.mark.parametrize(
    ("easyocr", "words", "expected"),
    [
        pytest.param((10, 10), (20, 20), (10, 0, 10, 0), id="boxes alone"),
        pytest.param((10, 20), (10, 20), (0, 10, 10, 0), id="fine-tuning alone"),
        pytest.param((10, 14), (20, 24), (10, 4, 14, 0), id="both, whichever comes first"),
        pytest.param((10, 10), (10, 30), (10, 10, 20, 20), id="one needs the other"),
    ],
)
def test_what_each_part_brings(
    easyocr: tuple[int, int], words: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    found = effects(sums(table(easyocr, words, (30, 40))), seed=1)
    assert list(found) == list(EFFECTS)
    values = [found[name][FIGURE].difference for name in EFFECTS]
    assert values == pytest.approx([part / 40 for part in (*expected, 10)])
    boxes, tuning, both, interaction, _ = (found[name][FIGURE] for name in EFFECTS)
    assert boxes.difference is not None and tuning.difference is not None and both.difference is not None
    assert boxes.difference + tuning.difference == pytest.approx(both.difference)
    assert both.p_value is not None and both.p_value < 0.01
    assert interaction.p_value is None and interaction.interval is not None


def test_one_recognizer_alone_shows_what_boxes_bring() -> None:
    num_right = {system: right for system, right in table((0, 10), (0, 20), (0, 40)).items() if "finetuned" in system}
    found = effects(sums(num_right), seed=1)
    assert list(found) == ["word boxes"]
    assert found["word boxes"][FIGURE].difference == 0.25
