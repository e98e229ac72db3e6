from __future__ import annotations

import pytest

from ocr.plumbing import progress as progress_module
from ocr.plumbing.progress import progress


def test_items_pass_through_and_a_log_gets_one_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(5), "build", "pages")) == [0, 1, 2, 3, 4]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("build: 100% 5/5 [00:00<00:00")
    assert "pages" in line


def test_a_long_step_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.0)
    losses = iter("321")
    assert len(list(progress(iter("abc"), "train", "iterations", total=3, note=lambda: f"loss {next(losses)}"))) == 3
    lines = capsys.readouterr().err.splitlines()
    assert [(line.split()[2], line.rpartition(", ")[2]) for line in lines] == [
        ("1/3", "loss 3]"),
        ("2/3", "loss 2]"),
        ("3/3", "loss 1]"),
    ]
