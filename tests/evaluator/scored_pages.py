"""What the tests of `python -m evaluator.score` share: pages, and the command run on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from evaluator.score import main
from ocr.errors import run_command

Pages = dict[str, list[dict[str, Any]]]

TITLE = {"box": [0, 0, 60, 20], "text": "김해시"}
PRICE = {"quad": [80, 0, 140, 0, 140, 20, 80, 20], "text": "3,000"}
GOOD: Pages = {"a": [TITLE, PRICE]}


def run_score(folder: Path, reference: str, prediction: str, *options: str) -> int:
    """Run the command in this process, on R.jsonl and P.jsonl; the exit code."""
    paths = [folder / "R.jsonl", folder / "P.jsonl"]
    for path, content in zip(paths, (reference, prediction), strict=True):
        path.write_text(content, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["score", "--reference", str(paths[0]), "--prediction", str(paths[1]), *options])
        try:
            run_command(main)
        except SystemExit as end:
            assert isinstance(end.code, int)
            return end.code
    return 0


def lines(pages: Pages) -> str:
    return "".join(
        json.dumps({"page": name, "words": words}, ensure_ascii=False) + "\n" for name, words in pages.items()
    )


def scores_of(folder: Path, reference: Pages, prediction: Pages, *options: str) -> dict[str, Any]:
    assert run_score(folder, lines(reference), lines(prediction), "--out", str(folder / "scores.json"), *options) == 0
    scores: dict[str, Any] = json.loads((folder / "scores.json").read_bytes())
    return scores
