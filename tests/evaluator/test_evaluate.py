from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluator.__main__ import main
from evaluator.evaluate import evaluate
from evaluator.figures import FIGURES
from evaluator.report import Report, table
from evaluator.significance import Interval
from ocr.config import Config
from ocr.errors import UsageError, run_command
from ocr.page import page_to_json
from ocr.shards import write_shard
from tests.evaluator.conftest import draw_page

ENGLISH = Config(baseline_model="english_g2")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two readable pages and one whose image is cut off, in two shards."""
    folder = tmp_path_factory.mktemp("evaluation")
    first, first_label = draw_page("page_0", ["Hello World 2024", "Minister of Seoul"], tilted="Tilted")
    second, second_label = draw_page("page_1", ["Telephone 4271", "District Office"])
    cut, cut_label = draw_page("page_2", ["never seen"])
    write_shard(folder / "000000.tar", [("page_0", {"jpg": first, "json": page_to_json(first_label)})])
    write_shard(
        folder / "000001.tar",
        [
            ("page_1", {"jpg": second, "json": page_to_json(second_label)}),
            ("page_2", {"jpg": cut[:500], "json": page_to_json(cut_label)}),
        ],
    )
    return folder


@pytest.fixture(scope="module")
def evaluated(shards: Path, easyocr_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("reports") / "new" / "report"
    return evaluate(ENGLISH, str(shards), ("baseline", "finetuned"), easyocr_dir, cuda=False, out=out), out


def test_the_same_recognizer_twice_scores_the_same(evaluated: tuple[Report, Path]) -> None:
    systems = evaluated[0].systems
    baseline, finetuned = systems["baseline"], systems["finetuned"]
    assert (baseline.name, finetuned.name) == ("english_g2", "finetuned")
    for part in ("pages", "detection", "recognition", "end_to_end", "end_to_end_seed", "cleval", "detection_extra"):
        assert getattr(baseline, part) == getattr(finetuned, part)


def test_clear_pages_are_found_and_read(evaluated: tuple[Report, Path]) -> None:
    scores = evaluated[0].systems["baseline"]
    assert (scores.detection.num_reference, scores.detection.num_prediction) == (13, 11)
    assert scores.detection.num_matched == scores.recognition.num_pairs == 11
    assert scores.recognition.cer is not None and scores.recognition.cer < 0.05
    assert scores.end_to_end.f1 is not None and scores.end_to_end.f1 > 0.85


def test_a_page_that_cannot_be_read_stays_in_the_denominator(evaluated: tuple[Report, Path]) -> None:
    report, _ = evaluated
    assert (report.pages.listed, report.pages.read) == (3, 2)
    assert report.pages.failed == {"page_2": "the page image cannot be decoded"}
    scores = report.systems["finetuned"]
    assert scores.pages == 3
    assert scores.detection.recall == pytest.approx(11 / 13)
    assert scores.end_to_end_seed.f1_page_mean is not None and scores.end_to_end_seed.f1_page_mean <= 2 / 3
    assert "2 of 3 read. 1 could not be read; their words count as missed:\n  page_2: " in table(report)


def test_the_report_on_disk(evaluated: tuple[Report, Path], shards: Path) -> None:
    _, out = evaluated
    assert sorted(path.name for path in out.iterdir()) == ["html", "index.html", "pages.csv", "report.json"]
    written: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert set(written) == {"systems", "comparison", "detector", "pages", "eval_set", "device", "versions", "seconds"}
    assert set(written["systems"]["finetuned"]) == {
        *("pages", "detection", "recognition", "end_to_end", "end_to_end_seed", "cleval"),
        *("name", "languages", "intervals", "detection_extra", "breakdown"),
    }
    assert written["detector"]["width_ths"] == 0.0
    assert (written["eval_set"], written["device"].split()[0]) == (str(shards), "cpu")
    assert set(written["seconds"]) == {"detection", "baseline", "finetuned", "total"}


def test_every_figure_has_an_interval_and_a_difference(evaluated: tuple[Report, Path]) -> None:
    report, _ = evaluated
    assert set(report.comparison) == set(report.systems["baseline"].intervals) == set(FIGURES)
    same = report.comparison["end_to_end.f1"]
    assert (same.difference, same.interval, same.p_value) == (0.0, Interval(0.0, 0.0), 1.0)
    f1, interval = report.systems["baseline"].end_to_end.f1, report.systems["baseline"].intervals["end_to_end.f1"]
    assert interval is not None and f1 is not None
    assert interval.low <= f1 <= interval.high
    assert interval.low < interval.high


def test_detection_extra_and_breakdown(evaluated: tuple[Report, Path]) -> None:
    baseline = evaluated[0].systems["baseline"]
    extra, parts = baseline.detection_extra, baseline.breakdown
    assert extra.ap_50 is not None and extra.ap_75 is not None and extra.ap_50_95 is not None
    assert 0.8 < extra.ap_50 <= baseline.detection.recall + 0.01  # type: ignore[operator]
    assert extra.ap_50 >= extra.ap_50_95 > 0
    assert extra.mean_giou is not None and 0.5 < extra.mean_giou <= 1
    assert list(parts.by_category) == ["일반행정"]
    assert parts.by_category["일반행정"].detection == baseline.detection
    assert sum(group.num_words for group in parts.by_length.values()) == 13
    assert sum(group.num_matched for group in parts.by_height.values()) == 11
    assert parts.outside_alphabet.num_outside == 0


def test_pages_csv_opens_in_excel(evaluated: tuple[Report, Path]) -> None:
    content = (evaluated[1] / "pages.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    assert [(row["page"], row["system"]) for row in rows] == [
        (page, system) for page in ("page_0", "page_1", "page_2") for system in ("baseline", "finetuned")
    ]
    assert {row["category"] for row in rows} == {"일반행정"}
    assert (rows[0]["num_reference"], rows[0]["num_matched"], rows[0]["failure"]) == ("7", "7", "")
    failed = rows[-1]
    assert (failed["num_reference"], failed["num_prediction"], failed["cer"]) == ("2", "0", "")
    assert (failed["f1"], failed["f1_seed"], failed["failure"]) == (
        "0.000000",
        "0.000000",
        "the page image cannot be decoded",
    )


def test_the_table_has_a_line_a_system(evaluated: tuple[Report, Path]) -> None:
    header, baseline, finetuned, *_ = lines = table(evaluated[0]).splitlines()
    assert header.split("  ")[0] == "system"
    assert baseline.split()[:2] == ["baseline", "english_g2"]
    assert finetuned.split()[2:] == baseline.split()[2:]
    assert any(line.startswith("Both read the boxes of one detector") for line in lines)


def test_the_table_says_how_sure_it_is(evaluated: tuple[Report, Path]) -> None:
    lines = table(evaluated[0]).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("figure "))
    assert lines[start].split() == ["figure", "baseline", "finetuned", "difference", "p"]
    cer = next(line for line in lines[start:] if line.startswith("CER"))
    assert re.fullmatch(
        r"CER( +0\.\d{4} \(0\.\d{4} to 0\.\d{4}\)){2} +\+0\.0000 \(\+0\.0000 to \+0\.0000\) +1\.0000", cer
    )
    named = [line.split("  ")[0] for line in lines[start + 1 : lines.index("", start)]]
    assert named[-4:] == ["CLEval detection", "CLEval end to end", "mAP (0.50:0.95)", "mean GIoU"]


@pytest.mark.parametrize("systems", [(), ("baseline", "stock")])
def test_an_unknown_system_is_refused(
    shards: Path, easyocr_dir: Path, tmp_path: Path, systems: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="choose from baseline, finetuned"):
        evaluate(ENGLISH, str(shards), systems, easyocr_dir, cuda=False, out=tmp_path / "report")


def test_the_command(shards: Path, easyocr_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evaluator", "--eval_set", f"{shards}/{{000001..000001}}.tar", "--baseline"]
    command += ["--easyocr-dir", str(easyocr_dir), "--out", str(tmp_path / "report"), "baseline_model=english_g2"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[1].startswith("baseline  english_g2")
    assert run.stdout.splitlines()[-1].startswith(f"Report: {tmp_path}/report/index.html")
    assert {line.split(":")[0] for line in run.stderr.splitlines()} == {
        "evaluate",
        "report",
    }  # progress, and no warning
    report = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert (list(report["systems"]), report["comparison"]) == (["baseline"], {})


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        pytest.param(["--eval_set", "nowhere"], 2, "nowhere: no shard", id="no such folder"),
        pytest.param(["--eval_set", "nowhere/*.tar"], 2, "no shard", id="an empty glob"),
        pytest.param(["baseline_modell=korean_g2"], 2, "did you mean 'baseline_model'", id="a config typo"),
        pytest.param(["--config", "nowhere.yaml"], 2, "no such config file", id="no such config"),
        pytest.param(["--finetuned", "--name", "better"], 2, "better.pth: missing; run", id="no such export"),
        pytest.param(["--out", "{shards}/000000.tar"], 2, "is a file", id="a report where a file is"),
        pytest.param(["--out", "{shards}/000000.tar/report"], 2, "is a file", id="a report below a file"),
        pytest.param(["--eval_set", "{tmp}/no_label.tar"], 1, "page_7: has no label", id="a page without label"),
        pytest.param(["--eval_set", "{tmp}/damaged.tar"], 1, "page_7: damaged label", id="a damaged label"),
        pytest.param(["--eval_set", "{tmp}/no_tar.tar"], 1, "damaged shard", id="not a tar"),
    ],
)
def test_what_a_user_can_cause_is_one_line(
    shards: Path,
    easyocr_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    exit_code: int,
    reason: str,
) -> None:
    write_shard(tmp_path / "no_label.tar", [("page_7", {"jpg": b""})])
    write_shard(tmp_path / "damaged.tar", [("page_7", {"jpg": b"", "json": b'{"page": "pa'})])
    (tmp_path / "no_tar.tar").write_bytes(b"no tar")
    usual = ["--eval_set", str(shards), "--easyocr-dir", str(easyocr_dir), "--out", str(tmp_path / "report")]
    given = [argument.format(shards=shards, tmp=tmp_path) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["evaluator", "baseline_model=english_g2", *usual, *given])

    with pytest.raises(SystemExit) as exited:
        run_command(main)

    error = capsys.readouterr().err
    assert (exited.value.code, error.count("\n")) == (exit_code, 1)
    assert error.startswith("error: ") and reason in error
    assert not (tmp_path / "report").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_a_usage_error(shards: Path, easyocr_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--cuda: torch sees no CUDA GPU here"):
        evaluate(ENGLISH, str(shards), ("baseline",), easyocr_dir, cuda=True, out=tmp_path / "report")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_report_that_could_not_be_written_is_refused_first(shards: Path, easyocr_dir: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="not writable"):
        evaluate(ENGLISH, str(shards), ("baseline",), easyocr_dir, cuda=False, out=tmp_path / "report")
