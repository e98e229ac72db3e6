"""What the tests of a whole evaluation share: its pages and systems, and what it wrote."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from ocr.config import Config

ENGLISH_CONFIG = Config(baseline_model="english_g2")
SYSTEMS = [
    f"{boxes}+{recognizer}" for boxes in ("easyocr", "words", "reference") for recognizer in ("baseline", "finetuned")
]
PAGES = ("page_0", "page_1", "page_2", "page_3")


def written(out: Path) -> dict[str, Any]:
    """report.json without what a run leaves of its own."""
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for name in ("seconds", "device", "eval_set"):
        report.pop(name)
    report["pages"].pop("from_cache")
    return report


def rows_of(out: Path, name: str) -> list[dict[str, str]]:
    content = (out / name).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")  # for Excel
    return list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
