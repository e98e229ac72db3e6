"""`python -m evaluator.score`: what it writes and says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluator.scored_pages import GOOD, PRICE, TITLE, lines, run_score, scores_of


def test_scores_json_holds_exactly_this(tmp_path: Path) -> None:
    prediction = {"a": [TITLE, PRICE | {"text": "3.000"}, {"box": [200, 0, 240, 20], "text": "x"}]}
    assert scores_of(tmp_path, GOOD, prediction) == {
        "pages": 1,
        "detection": {
            "precision": pytest.approx(2 / 3),
            "recall": 1.0,
            "f1": 0.8,
            "num_matched": 2,
            "num_reference": 2,
            "num_prediction": 3,
        },
        "recognition": {
            "cer": 1 / 8,
            "cer_macro": pytest.approx(1 / 10),
            "accuracy": 1 / 2,
            "one_minus_ned": 0.9,
            "num_pairs": 2,
        },
        "end_to_end": {"precision": pytest.approx(0.6), "recall": 0.9, "f1": 0.72, "f1_page_mean": 0.72},
        "end_to_end_seed": {"f1_page_mean": 0.72},
        "cleval": {
            "detection": {"recall": 1.0, "precision": pytest.approx(8 / 9), "hmean": pytest.approx(16 / 17)},
            "end_to_end": {"recall": 7 / 8, "precision": pytest.approx(7 / 9), "hmean": pytest.approx(14 / 17)},
            "num_split": 0,
            "num_merged": 0,
            "num_overlapped": 0,
        },
    }


def test_no_torch_is_imported(tmp_path: Path) -> None:
    for name in ("R.jsonl", "P.jsonl"):
        (tmp_path / name).write_text(lines(GOOD), encoding="utf-8")
    arguments = ["score", "--reference", str(tmp_path / "R.jsonl"), "--prediction", str(tmp_path / "P.jsonl")]
    check = (
        f"import sys; sys.argv = {arguments}; from evaluator.score import main; main(); "
        "sys.exit(bool({'torch', 'easyocr', 'torchvision', 'webdataset', 'lxml'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["end_to_end"]["f1"] == 1.0


def test_the_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "R.jsonl").write_text(lines(GOOD), encoding="utf-8")
    command = [sys.executable, "-m", "evaluator.score", "--reference", str(tmp_path / "R.jsonl")]
    command += ["--prediction", str(tmp_path / "nowhere")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"error: {tmp_path}/nowhere: no such file or folder\n"


def test_options(tmp_path: Path) -> None:
    """A band that falls, read as one that rises; and a wide false word."""
    falling = {"quad": [0, 0, 200, 100, 200, 120, 0, 20], "text": "가"}
    rising = {"quad": [0, 100, 200, 0, 200, 20, 0, 120], "text": "가"}
    false = {"box": [300, 0, 500, 40], "text": "나"}
    reference, prediction = {"a": [falling]}, {"a": [rising, false]}
    assert scores_of(tmp_path, reference, prediction)["detection"]["num_matched"] == 1
    by_quad = scores_of(tmp_path, reference, prediction, "--polygon")
    assert by_quad["detection"]["num_matched"] == by_quad["recognition"]["num_pairs"] == 0
    assert by_quad["end_to_end_seed"]["f1_page_mean"] == 0.6667
    found = {"a": [falling, false]}
    assert scores_of(tmp_path, reference, found)["cleval"]["detection"]["precision"] == 1 / 2
    assert scores_of(tmp_path, reference, found, "--cleval-fp", "intended")["cleval"]["detection"]["precision"] == 1 / 6


def test_scores_that_could_not_be_written_are_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_score(tmp_path, "not read", "not read", "--out", str(tmp_path)) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: is a folder; name a file\n"
    assert run_score(tmp_path, "not read", "not read", "--out", str(tmp_path / "R.jsonl" / "scores.json")) == 2
    assert "R.jsonl: is a file, so nothing can be written" in capsys.readouterr().err
    assert run_score(tmp_path, lines(GOOD), lines(GOOD), "--out", str(tmp_path / "new" / "folder" / "scores.json")) == 0
    assert capsys.readouterr().out == f"Scores of 1 pages: {tmp_path}/new/folder/scores.json\n"


def test_what_was_mended_or_missing_is_said_and_the_scores_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    z_order = {"quad": [0, 0, 60, 0, 0, 20, 60, 20], "text": "김해시"}
    assert run_score(tmp_path, lines({"a": [TITLE], "b": [PRICE]}), lines({"a": [z_order]})) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["pages"] == 2
    assert said.err.splitlines() == [
        "note: prediction: 1 of its quads had corners out of turn; they were put in turn, clockwise",
        "note: prediction: 1 of 2 pages missing; their words count as missed",
    ]


def test_refused_words_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = {
        "images": [],
        "annotations": [{"annotation.bbox": [0, 0, 9, 9], "annotation.text": text} for text in ("", "김")],
    }
    assert run_score(tmp_path, json.dumps(label), "[]") == 1, "the files of one page are called differently"
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "P.json").write_text(json.dumps(label), encoding="utf-8")
    assert run_score(tmp_path, "[]", "[]", "--reference", str(tmp_path / "labels"), "--reference-format", "aihub") == 0
    said = capsys.readouterr()
    assert "note: reference: left out: empty text: 1" in said.err
    assert json.loads(said.out)["detection"]["num_reference"] == 1
