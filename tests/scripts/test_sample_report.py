from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sample_report import main


def test_a_sample_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--pages", "3", "--drawn", "2", "--scale", "0.2"]
    monkeypatch.setattr(sys, "argv", ["sample_report.py", str(tmp_path), *arguments])
    main()
    assert f"{tmp_path}/index.html: " in capsys.readouterr().out
    assert "words+finetuned" in (tmp_path / "index.html").read_text(encoding="utf-8")
    # The last page is one that cannot be read.
    assert len(list((tmp_path / "html" / "pages").iterdir())) == 3
    assert len(list((tmp_path / "html" / "scans").iterdir())) == 2
