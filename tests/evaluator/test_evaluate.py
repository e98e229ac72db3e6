"""A whole evaluation of drawn pages: what each system scores, and what is known of it without a doubt."""

from __future__ import annotations

from pathlib import Path

import easyocr
import pytest

from evaluator.evaluate import evaluate
from evaluator.evaluation_pages import find_page_shards, read_images
from evaluator.metrics.experiment import EFFECTS
from evaluator.metrics.figures import FIGURES
from evaluator.metrics.significance import Interval
from evaluator.report.report_files import Report
from evaluator.report.report_tables import table
from tests.evaluator.evaluated_pages import ENGLISH_CONFIG, SYSTEMS, rows_of, written


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


def test_a_second_run_detects_nothing_and_finds_the_same(
    evaluated: tuple[Report, Path], shards: Path, easyocr_dir: Path, tmp_path: Path
) -> None:
    assert evaluated[0].pages.from_cache == 0
    again = evaluate(ENGLISH_CONFIG, str(shards), ("baseline", "finetuned"), easyocr_dir, cuda=False, out=tmp_path)
    assert again.pages.from_cache == 3
    assert again.seconds["CRAFT"] < 0.1
    assert written(tmp_path) == written(evaluated[1])
    assert (tmp_path / "words.csv").read_bytes() == (evaluated[1] / "words.csv").read_bytes()
