from __future__ import annotations

import csv
import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any

import easyocr
import pytest
import torch

from evaluator.__main__ import main
from evaluator.evaluate import evaluate
from evaluator.experiment import EFFECTS
from evaluator.figures import FIGURES
from evaluator.pages import find_page_shards, read_images
from evaluator.report import Report
from evaluator.significance import Interval
from evaluator.tables import summary, table
from ocr.config import Config
from ocr.errors import UsageError, run_command
from ocr.page import page_to_json
from ocr.shards import write_shard
from tests.evaluator.conftest import draw_page

ENGLISH = Config(baseline_model="english_g2")
SYSTEMS = [
    f"{boxes}+{recognizer}" for boxes in ("easyocr", "words", "reference") for recognizer in ("baseline", "finetuned")
]
PAGES = ("page_0", "page_1", "page_2", "page_3")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pages of words, one whose image is cut off, and a blank one, in two shards."""
    folder = tmp_path_factory.mktemp("evaluation")
    first, first_label = draw_page("page_0", ["Hello World 2024", "Minister of Seoul"], tilted="Tilted")
    second, second_label = draw_page("page_1", ["Telephone 4271", "District Office"], gap=12)
    cut, cut_label = draw_page("page_2", ["never seen"])
    blank, blank_label = draw_page("page_3", [])
    write_shard(folder / "000000.tar", [("page_0", {"jpg": first, "json": page_to_json(first_label)})])
    write_shard(
        folder / "000001.tar",
        [
            ("page_1", {"jpg": second, "json": page_to_json(second_label)}),
            ("page_2", {"jpg": cut[:500], "json": page_to_json(cut_label)}),
            ("page_3", {"jpg": blank, "json": page_to_json(blank_label)}),
        ],
    )
    return folder


@pytest.fixture(scope="module")
def evaluated(shards: Path, easyocr_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("reports") / "new" / "report"
    return evaluate(ENGLISH, str(shards), ("baseline", "finetuned"), easyocr_dir, cuda=False, out=out), out


def written(out: Path) -> dict[str, Any]:
    """report.json without what a run leaves of its own."""
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for name in ("seconds", "device", "eval_set"):
        report.pop(name)
    report["pages"].pop("from_cache")
    return report


def test_the_same_recognizer_twice_scores_the_same(evaluated: tuple[Report, Path]) -> None:
    systems = evaluated[0].systems
    assert list(systems) == SYSTEMS
    for boxes in ("easyocr", "words", "reference"):
        baseline, finetuned = systems[f"{boxes}+baseline"], systems[f"{boxes}+finetuned"]
        assert (baseline.name, finetuned.name) == ("english_g2", "finetuned")
        for part in ("pages", "detection", "recognition", "end_to_end", "end_to_end_seed", "cleval", "detection_extra"):
            assert getattr(baseline, part) == getattr(finetuned, part)


def test_clear_pages_are_found_and_read(evaluated: tuple[Report, Path]) -> None:
    scores = evaluated[0].systems["words+baseline"]
    assert (scores.detection.num_reference, scores.detection.num_prediction) == (13, 11)
    assert scores.detection.num_matched == scores.recognition.num_pairs == 11
    assert scores.recognition.cer is not None and scores.recognition.cer < 0.05
    assert scores.end_to_end.f1 is not None and scores.end_to_end.f1 > 0.85


@pytest.mark.parametrize("page", ["page_0", "page_1"])
def test_easyocrs_boxes_are_read_as_readtext_reads_them(
    evaluated: tuple[Report, Path], shards: Path, easyocr_dir: Path, tmp_path: Path, page: str
) -> None:
    """With readtext's own defaults, whatever they are; one page holds a tilted word, one words that it glues."""
    (jpg,) = (jpg for key, jpg in read_images(find_page_shards([str(shards)])) if key == page)
    assert jpg is not None
    (tmp_path / "page.jpg").write_bytes(jpg)
    reader = easyocr.Reader(
        ["en"],
        gpu=False,
        model_storage_directory=str(easyocr_dir / "model"),
        download_enabled=False,
        verbose=False,
        quantize=False,
    )
    theirs = sorted((text, sure) for _, text, sure in reader.readtext(str(tmp_path / "page.jpg")))
    ours = sorted(
        (row["prediction"], float(row["confidence"]))
        for row in rows_of(evaluated[1], "words.csv")
        if row["system"] == "easyocr+baseline" and row["page"] == page and row["confidence"]
    )
    assert [text for text, _ in ours] == [text for text, _ in theirs]
    assert [sure for _, sure in ours] == pytest.approx([sure for _, sure in theirs], abs=1e-4)
    assert len(ours) == {"page_0": 7, "page_1": 2}[page]


def test_the_reference_boxes_are_all_found(evaluated: tuple[Report, Path]) -> None:
    """Of the pages that can be read."""
    scores = evaluated[0].systems["reference+baseline"]
    assert (scores.detection.num_matched, scores.detection.num_prediction) == (11, 11)
    assert scores.detection_extra.mean_giou == 1
    assert scores.run == ""


def test_a_page_that_cannot_be_read_stays_in_the_denominator(evaluated: tuple[Report, Path]) -> None:
    report, _ = evaluated
    assert (report.pages.listed, report.pages.read) == (4, 3)
    assert report.pages.failed == {"page_2": "the page image cannot be decoded"}
    for scores in report.systems.values():
        assert scores.pages == 4
        assert scores.detection.num_reference == 13
        assert scores.end_to_end_seed.f1_page_mean is not None and scores.end_to_end_seed.f1_page_mean <= 2 / 4
    assert "3 of 4 read. 1 could not be read; their words count as missed:\n  page_2: " in table(report)


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


def test_every_system_says_how_a_page_is_read_so(evaluated: tuple[Report, Path], easyocr_dir: Path) -> None:
    assert [system.run for system in evaluated[0].systems.values()] == [
        """easyocr.Reader(['en'], quantize=False).readtext("page.jpg")""",
        """easyocr.Reader(['en'], recog_network='finetuned', quantize=False).readtext("page.jpg")""",
        """evaluator.page_reader.PageReader.load("english_g2").read("page.jpg")""",
        """evaluator.page_reader.PageReader.load("finetuned").read("page.jpg")""",
        "",
        "",
    ]


def test_every_figure_has_an_interval_and_an_effect(evaluated: tuple[Report, Path]) -> None:
    report, _ = evaluated
    assert list(report.effects) == list(EFFECTS)
    assert all(set(by_figure) == set(FIGURES) for by_figure in report.effects.values())
    same = report.effects["fine-tuning"]["end_to_end.f1"]
    assert (same.difference, same.interval, same.p_value) == (0.0, Interval(0.0, 0.0), 1.0)
    better = report.effects["word boxes"]["end_to_end.f1"].difference
    assert better is not None and better > 0.1
    for scores in report.systems.values():
        f1, interval = scores.end_to_end.f1, scores.intervals["end_to_end.f1"]
        assert interval is not None and f1 is not None
        assert interval.low <= f1 <= interval.high


def test_detection_extra_and_breakdown_of_each_system(evaluated: tuple[Report, Path]) -> None:
    for scores in evaluated[0].systems.values():
        extra, parts = scores.detection_extra, scores.breakdown
        assert extra.ap_50 is not None and extra.ap_75 is not None and extra.ap_50_95 is not None
        assert 1 >= extra.ap_50 >= extra.ap_50_95 - 1e-9 > 0
        assert extra.mean_giou is not None and 0.5 < extra.mean_giou <= 1
        assert list(parts.by_category) == ["일반행정"]
        assert parts.by_category["일반행정"].detection == scores.detection
        assert sum(group.num_words for group in parts.by_length.values()) == 13
        assert sum(group.num_matched for group in parts.by_height.values()) == scores.detection.num_matched
        assert parts.outside_alphabet.num_outside == 0


def rows_of(out: Path, name: str) -> list[dict[str, str]]:
    content = (out / name).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")  # for Excel
    return list(csv.DictReader(content.decode("utf-8-sig").splitlines()))


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


def test_a_second_run_detects_nothing_and_finds_the_same(
    evaluated: tuple[Report, Path], shards: Path, easyocr_dir: Path, tmp_path: Path
) -> None:
    assert evaluated[0].pages.from_cache == 0
    again = evaluate(ENGLISH, str(shards), ("baseline", "finetuned"), easyocr_dir, cuda=False, out=tmp_path)
    assert again.pages.from_cache == 3
    assert again.seconds["CRAFT"] < 0.1
    assert written(tmp_path) == written(evaluated[1])
    assert (tmp_path / "words.csv").read_bytes() == (evaluated[1] / "words.csv").read_bytes()


def run_evaluator(
    *arguments: object, program: Sequence[str] = (sys.executable, "-m")
) -> subprocess.CompletedProcess[str]:
    command = [*program, "evaluator", *map(str, arguments), "baseline_model=english_g2"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_two_ranks_give_the_report_of_one(
    evaluated: tuple[Report, Path], shards: Path, easyocr_dir: Path, tmp_path: Path
) -> None:
    """Each reads its own pages, detected anew; one writes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    run = run_evaluator(
        *(
            "--eval_set",
            shards,
            "--easyocr-dir",
            easyocr_dir,
            "--out",
            tmp_path / "report",
            "--cache",
            tmp_path / "new",
        ),
        program=torchrun,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("Report: ") == 1
    assert written(tmp_path / "report") == written(evaluated[1])
    for name in ("words.csv", "pages.csv"):
        assert (tmp_path / "report" / name).read_bytes() == (evaluated[1] / name).read_bytes()
    report = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert report["device"].startswith("2 processes, cpu")
    assert report["pages"]["from_cache"] == 0
    assert len(list((tmp_path / "new").glob("*/*.json"))) == 6  # a file a page and detector


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.skipif(which("curl") is None, reason="WebDataset reads http:// with curl")
def test_shards_of_any_place_are_the_same_pages(
    evaluated: tuple[Report, Path], shards: Path, easyocr_dir: Path, tmp_path: Path
) -> None:
    of_all = written(evaluated[1])["systems"]
    with served(shards) as address:
        for number, eval_set in enumerate(
            (
                [f"{shards}/000000.tar", f"{shards}/{{000001..000001}}.tar"],
                [f"pipe:cat {shards}/{{000000..000000}}.tar", f"{address}/{{000001..000001}}.tar"],
            )
        ):
            out = tmp_path / str(number)
            report = evaluate(ENGLISH, eval_set, ("baseline",), easyocr_dir, cuda=False, out=out)
            assert report.eval_set == eval_set
            assert written(out)["systems"] == {name: of_all[name] for name in SYSTEMS[::2]}


@pytest.mark.parametrize("recognizers", [(), ("baseline", "stock")])
def test_an_unknown_recognizer_is_refused(
    shards: Path, easyocr_dir: Path, tmp_path: Path, recognizers: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="choose from baseline, finetuned"):
        evaluate(ENGLISH, str(shards), recognizers, easyocr_dir, cuda=False, out=tmp_path / "report")


def test_the_command(shards: Path, easyocr_dir: Path, tmp_path: Path) -> None:
    run = run_evaluator(
        *("--eval_set", f"{shards}/{{000001..000001}}.tar", "--baseline"),
        *("--easyocr-dir", easyocr_dir, "--out", tmp_path / "report"),
    )
    assert run.returncode == 0, run.stderr
    assert [line.split()[:2] for line in run.stdout.splitlines()[1:4]] == [name.split("+") for name in SYSTEMS[::2]]
    assert run.stdout.splitlines()[-1].startswith(f"Report: {tmp_path}/report/index.html")
    assert {line.split(":")[0] for line in run.stderr.splitlines()} == {"evaluate", "report"}  # progress, no warning
    report = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert (list(report["systems"]), list(report["effects"])) == (SYSTEMS[::2], ["word boxes"])


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        pytest.param(["--eval_set", "nowhere"], 2, "nowhere: no shard", id="no such folder"),
        pytest.param(["--eval_set", "nowhere/*.tar"], 2, "no shard", id="an empty glob"),
        pytest.param(["--eval_set", "{shards}/000000.tar"], 1, "page_0: this page came before", id="a shard twice"),
        pytest.param(["baseline_modell=korean_g2"], 2, "did you mean 'baseline_model'", id="a config typo"),
        pytest.param(["--config", "nowhere.yaml"], 2, "no such config file", id="no such config"),
        pytest.param(["--finetuned", "--name", "better"], 2, "better.pth: missing; run", id="no such export"),
        pytest.param(["--out", "{shards}/000000.tar"], 2, "is a file", id="a report where a file is"),
        pytest.param(["--out", "{shards}/000000.tar/report"], 2, "is a file", id="a report below a file"),
        pytest.param(["--cache", "{tmp}/no_tar.tar"], 2, "choose another --cache", id="a cache where a file is"),
        pytest.param(["--eval_set", "{tmp}/no_label.tar"], 1, "page_7: has no label", id="a page without label"),
        pytest.param(["--eval_set", "{tmp}/damaged.tar"], 1, "page_7: damaged label", id="a damaged label"),
        pytest.param(["--eval_set", "{tmp}/no_tar.tar"], 1, "damaged shard", id="not a tar"),
        pytest.param(["--eval_set", "{tmp}/flipped.tar"], 1, "changed since it was written", id="a flipped bit"),
        pytest.param(
            ["--eval_set", "pipe:head -c 3000 {tmp}/no_label.tar"],
            1,
            "damaged shard: unexpected end of data;",
            id="a cut pipe",
        ),
        pytest.param(["--eval_set", "pipe:cat {tmp}/nowhere.tar 2>&-"], 1, "damaged shard", id="a pipe that fails"),
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
    write_shard(tmp_path / "no_label.tar", [("page_7", {"jpg": bytes(9000)})])
    write_shard(tmp_path / "damaged.tar", [("page_7", {"jpg": b"", "json": b'{"page": "pa'})])
    (tmp_path / "no_tar.tar").write_bytes(b"no tar")
    write_shard(tmp_path / "flipped.tar", [("page_7", {"jpg": bytes(9000), "json": b"{}"})])
    with (tmp_path / "flipped.tar").open("r+b") as file:
        file.seek(600)
        file.write(b"\1")
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
