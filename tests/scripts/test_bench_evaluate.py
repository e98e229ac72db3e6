"""The benchmark of the experiment runs on one small page, and its texts are the Reader's."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_evaluate import AGAIN, GRID, LOOPS, WHOLE, draw, measure, print_result


def test_all_contenders_run_and_read_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = measure(tmp_path, draw(1, scale=0.15), num_rounds=1)
    assert list(result.rounds[0].seconds) == [LOOPS, GRID, WHOLE, AGAIN]
    assert result.num_texts == result.num_equal > 10
    print_result(result)
    printed = capsys.readouterr().out
    assert all(f"\n{name}" in printed for name in (LOOPS, GRID, WHOLE, AGAIN))
