"""What an evaluation leaves on disk and on the terminal: report.json, report.md, the CSV files, the table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from evaluator.metrics.experiment import EFFECTS
from evaluator.report.report_files import Report
from evaluator.report.report_tables import summary, table
from tests.evaluator.evaluated_pages import PAGES, SYSTEMS, rows_of


def test_the_report_on_disk(evaluated: tuple[Report, Path], shards: Path) -> None:
    _, out = evaluated
    names = ["html", "index.html", "pages.csv", "report.json", "report.md", "words.csv"]
    assert sorted(path.name for path in out.iterdir()) == names
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert set(report) == {"systems", "effects", "boxes", "pages", "eval_set", "device", "versions", "seconds"}
    assert set(report["systems"]["words+finetuned"]) == {
        *("pages", "detection", "recognition", "end_to_end", "end_to_end_seed", "cleval"),
        *("boxes", "recognizer", "name", "languages", "run", "intervals", "detection_extra", "breakdown"),
    }
    assert report["boxes"]["easyocr"]["width_ths"] == 0.5
    assert (report["eval_set"], report["device"].split()[0]) == ([str(shards)], "cpu")
    assert set(report["seconds"]) == {
        *("verification", "decode", "CRAFT", "boxes", "baseline", "finetuned", "comparison", "total"),
    }


def test_a_row_a_page_and_system(evaluated: tuple[Report, Path]) -> None:
    rows = rows_of(evaluated[1], "pages.csv")
    assert [(row["page"], row["system"]) for row in rows] == [(page, name) for page in PAGES for name in SYSTEMS]
    assert {row["category"] for row in rows} == {"일반행정"}
    assert (rows[2]["num_reference"], rows[2]["num_matched"], rows[2]["failure"]) == ("7", "7", "")
    failed, blank = rows[-len(SYSTEMS) - 1], rows[-1]
    assert (blank["num_reference"], blank["num_prediction"], blank["f1"], blank["f1_seed"]) == (
        "0",
        "0",
        "",
        "0.000000",
    )
    assert (failed["num_reference"], failed["num_prediction"], failed["cer"]) == ("2", "0", "")
    assert (failed["f1"], failed["f1_seed"], failed["failure"]) == (
        "0.000000",
        "0.000000",
        "the page image cannot be decoded",
    )


def test_a_row_a_word_and_system(evaluated: tuple[Report, Path]) -> None:
    report, out = evaluated
    rows = rows_of(out, "words.csv")
    for name, scores in report.systems.items():
        own = [row for row in rows if row["system"] == name]
        references, false = [row for row in own if row["reference"]], [row for row in own if not row["reference"]]
        matched = [row for row in references if row["iou"]]
        assert (len(references), len(matched)) == (13, scores.detection.num_matched)
        assert len(matched) + len(false) == scores.detection.num_prediction
        assert scores.recognition.accuracy is not None
        assert sum(row["correct"] == "True" for row in own) == round(scores.recognition.accuracy * len(matched))
    assert rows[-1] == {
        **{"page": "page_2", "system": "reference+finetuned", "box": rows[-1]["box"], "reference": "seen"},
        **{"prediction": "", "iou": "", "correct": "False", "confidence": ""},
    }
    assert re.fullmatch(r"\d+ \d+ \d+ \d+", rows[-1]["box"])


def test_the_table_has_a_line_a_system_and_a_line_an_effect(evaluated: tuple[Report, Path]) -> None:
    lines = table(evaluated[0]).splitlines()
    assert [line.split()[:2] for line in lines[:7]] == [["boxes", "recognizer"], *(name.split("+") for name in SYSTEMS)]
    assert [line.split("  ")[0] for line in lines[8:14]] == ["brought by", *EFFECTS]
    number = r"[+-]\d\.\d{4}"
    assert re.fullmatch(rf"both( +{number} \({number} to {number}\) +\d\.\d{{4}}){{2}}", lines[11])
    assert max(map(len, lines[:14])) <= 120


def test_the_summary_holds_the_numbers_of_the_table(evaluated: tuple[Report, Path]) -> None:
    report, out = evaluated
    text = (out / "report.md").read_text(encoding="utf-8")
    assert text == summary(report)
    for line in table(report).splitlines()[:14]:
        for cell in re.split(r"  +", line):
            assert cell in text
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0] == "# How well EasyOCR reads 4 pages" and len(headings) == 7
