from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from evaluator.end_to_end import PageReading, compare_page, credit, credit_seed, page_f1, page_f1_seed
from evaluator.score import scores_of
from ocr.page import Box, Word

Line = list[tuple[int, int, str]]
"""Words of one line, 20 pixels high, as (x0, x1, text)."""


def read_line(references: Line, predictions: Line) -> PageReading:
    def box(x0: int, x1: int) -> Box:
        return (x0, 0, x1, 20)

    return compare_page(
        [Word(box(x0, x1), text) for x0, x1, text in references],
        np.array([box(x0, x1) for x0, x1, _ in predictions]).reshape(-1, 4),
        [text for _, _, text in predictions],
    )


WORD: Line = [(0, 120, "가나다라마바")]
FIVE: Line = [(40 * index, 40 * index + 30, text) for index, text in enumerate("가나다라마")]


@pytest.mark.parametrize(
    ("references", "predictions", "detection_f1", "f1", "f1_seed"),
    [
        pytest.param(WORD, WORD, 1, 1, 1, id="read right"),
        pytest.param(WORD, [(0, 55, "가나다"), (65, 120, "라마바")], 0, 0, 0, id="split in two"),
        pytest.param([(0, 60, "가나다"), (80, 140, "라마바")], [(0, 140, "가나다라마바")], 0, 0, 0, id="merged"),
        pytest.param(FIVE, [(0, 190, "가 나 다 라 마")], 0, 0, 0, id="a line of five merged"),
        pytest.param(WORD, [(0, 80, "가나다라")], 1, 2 / 3, 0.6667, id="missing characters"),
        pytest.param(WORD, [(0, 80, "가나다라"), (40, 120, "다라마바")], 2 / 3, 4 / 9, 0.4444, id="overlapping"),
        pytest.param(
            [(0, 20, "가"), (40, 60, "나")],
            [(0, 20, "다라마"), (40, 60, "나")],
            1,
            0.5,
            -0.5,
            id="CER of 3 and a right one",
        ),
        pytest.param(
            [(0, 20, "가"), (40, 60, "나")], [(0, 20, "다라"), (40, 60, "나")], 1, 0.5, 0, id="credits that sum to zero"
        ),
        pytest.param(WORD, [(0, 120, "")], 1, 0, 0, id="found and not read"),
        pytest.param([(0, 60, " 가나")], [(0, 60, "가나 ")], 1, 1 / 3, 1, id="blanks at the ends"),
        pytest.param([(0, 60, "가 나")], [(0, 60, "가나")], 1, 2 / 3, 0.6667, id="a blank inside"),
        pytest.param([(0, 60, "No.")], [(0, 60, "no.")], 1, 2 / 3, 0.6667, id="case counts"),
        pytest.param(WORD, [(200, 320, "가나다라마바")], 0, 0, 0, id="right text in the wrong place"),
        pytest.param(WORD, [], 0, 0, 0, id="nothing found"),
        pytest.param([], WORD, 0, 0, 0, id="found on a blank page"),
        pytest.param([], [], None, None, 0, id="a blank page read as blank"),
    ],
)
def test_f1s_of_one_line(
    references: Line, predictions: Line, detection_f1: float | None, f1: float | None, f1_seed: float
) -> None:
    reading = read_line(references, predictions)
    scores = scores_of([reading])
    assert scores.detection.f1 == (None if detection_f1 is None else pytest.approx(detection_f1))
    assert page_f1(reading) == scores.end_to_end.f1 == (None if f1 is None else pytest.approx(f1))
    assert page_f1_seed(reading) == scores.end_to_end_seed.f1_page_mean == f1_seed


@pytest.mark.parametrize(
    ("reference", "prediction", "ours", "seed"),
    [
        ("김해시", "김해시", 1, 1),
        ("김해시", "김해", 2 / 3, 2 / 3),
        ("가", "나다라", 0, -2),
        ("가", "", 0, 0),
        ("가", " ", 0, 0),
        ("가 ", "가", 1 / 2, 1),
        (" ", "나다", 0, -1),
    ],
)
def test_credit_of_one_pair(reference: str, prediction: str, ours: float, seed: float) -> None:
    assert credit(reference, prediction) == pytest.approx(ours)
    assert credit_seed(reference, prediction) == pytest.approx(seed)


def test_scoring_needs_no_torch() -> None:
    """Other systems' texts will be scored where no torch is installed."""
    check = "import sys, evaluator.score; sys.exit('torch' in sys.modules or 'easyocr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
