"""The evaluation, from shards to a report: every page is detected once and read by each recognizer."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import cv2
import easyocr
import msgspec
import torch

from evaluator.breakdown import break_down
from evaluator.detector import SETTINGS, detect, load_detector
from evaluator.end_to_end import PageReading, compare_page
from evaluator.figures import Sums, page_sums, scores_of, total
from evaluator.html.write import write_html
from evaluator.mean_precision import detection_extra
from evaluator.pages import UnreadablePage, decode_page, label_words, read_images, read_labels
from evaluator.recognizers import ReaderRecognizer, load_baseline, load_finetuned, read_boxes
from evaluator.report import PageCounts, Report, SystemReport, check_folder, page_rows, write_report
from evaluator.significance import Difference, differences, intervals
from evaluator.words import NO_WORDS, page_words
from ocr.config import Config
from ocr.errors import UsageError
from ocr.page import Page
from ocr.progress import progress
from ocr.shards import find_shards
from ocr.weights import DETECTOR, default_easyocr_dir

SYSTEMS = ("baseline", "finetuned")


def evaluate(
    config: Config,
    eval_set: str = "shards/evaluation",
    systems: Sequence[str] = SYSTEMS,
    easyocr_dir: Path | None = None,
    cuda: bool = False,
    out: Path = Path("report"),
    name: str = "finetuned",
) -> Report:
    """Evaluate `systems` (of "baseline", "finetuned") on the shards of `eval_set`; write the report to `out`.

    `name` is the fine-tuned recognizer's in `easyocr_dir`, by default EasyOCR's own folder. Whatever can be
    wrong with the question is found before the first page is read, and nothing is written before the last one is.
    Raises UsageError and DataError.
    """
    started, easyocr_dir = monotonic(), easyocr_dir or default_easyocr_dir()
    device = find_device(cuda)
    check_folder(out)
    shards = find_shards(eval_set)
    labels = read_labels(shards)
    recognizers = load_recognizers(config, systems, easyocr_dir, device, name)
    detector = load_detector(easyocr_dir, device)
    seconds: dict[str, float] = {}
    readings, failed = read_every_page(shards, labels, detector, recognizers, seconds)
    sums = {system: {key: page_sums(by_page[key]) for key in labels} for system, by_page in readings.items()}
    report = Report(
        systems={
            system: report_system(recognizer, labels, readings[system], sums[system], config.seed)
            for system, recognizer in recognizers.items()
        },
        comparison=compare_systems(sums, config.seed),
        detector={"network": DETECTOR, **SETTINGS},
        pages=PageCounts(listed=len(labels), read=len(labels) - len(failed), failed=failed),
        eval_set=eval_set,
        device=describe_device(device),
        versions=versions(),
        seconds={step: round(spent, 3) for step, spent in (seconds | {"total": monotonic() - started}).items()},
    )
    write_report(report, page_rows(labels, sums, failed), out)
    comparisons = {"finetuned − baseline": report.comparison} if report.comparison else {}
    write_html(report, comparisons, labels, readings, read_images(shards), out)
    return report


def read_every_page(
    shards: Sequence[Path],
    labels: Mapping[str, Page],
    detector: easyocr.Reader,
    recognizers: Mapping[str, ReaderRecognizer],
    seconds: dict[str, float],
) -> tuple[dict[str, dict[str, PageReading]], dict[str, str]]:
    """How each system reads each page, by system and page; and the reasons of those that could not be read at all."""
    readings: dict[str, dict[str, PageReading]] = {system: {} for system in recognizers}
    failed: dict[str, str] = {}
    for key, jpg in progress(read_images(shards), "evaluate", "pages", total=len(labels)):
        try:
            of_page = read_page(jpg, labels[key], detector, recognizers, seconds)
        except UnreadablePage as reason:
            failed[key] = str(reason)
            of_page = dict.fromkeys(recognizers, compare_page(label_words(labels[key]), NO_WORDS))
        for system, reading in of_page.items():
            readings[system][key] = reading
    return readings, failed


def read_page(
    jpg: bytes | None,
    label: Page,
    detector: easyocr.Reader,
    recognizers: Mapping[str, ReaderRecognizer],
    seconds: dict[str, float],
) -> dict[str, PageReading]:
    """How each system reads one page. Raises UnreadablePage."""
    image, reference = decode_page(jpg, label), label_words(label)
    with timed(seconds, "detection"):
        detection = detect(detector, image.rgb)
    readings = {}
    for system, recognizer in recognizers.items():
        with timed(seconds, system):
            read = read_boxes(recognizer, image.grey, detection)
        texts, confidences = [text for text, _ in read], [confidence for _, confidence in read]
        prediction = page_words(detection.words_P42, texts, confidences=confidences)
        readings[system] = compare_page(reference, prediction)
    return readings


def load_recognizers(
    config: Config, systems: Sequence[str], easyocr_dir: Path, device: str, name: str
) -> dict[str, ReaderRecognizer]:
    load: dict[str, Callable[[], ReaderRecognizer]] = {
        "baseline": lambda: load_baseline(config.baseline_model, easyocr_dir, device),
        "finetuned": lambda: load_finetuned(name, easyocr_dir, device),
    }
    if not systems or (unknown := [system for system in systems if system not in load]):
        raise UsageError(f"systems: {unknown if systems else 'none'}: choose from {', '.join(SYSTEMS)}")
    return {system: load[system]() for system in systems}


def report_system(
    recognizer: ReaderRecognizer,
    labels: Mapping[str, Page],
    readings: Mapping[str, PageReading],
    sums: Mapping[str, Sums],
    seed: int,
) -> SystemReport:
    """Everything about one system, from its readings and their sums by page."""
    pages, of_pages = list(sums.values()), [readings[key] for key in sums]
    totals = total(pages)
    return SystemReport(
        name=recognizer.name,
        languages=recognizer.languages,
        intervals=intervals(pages, seed),
        detection_extra=detection_extra(of_pages, totals),
        breakdown=break_down(of_pages, pages, [labels[key].category for key in sums], recognizer.alphabet),
        **msgspec.structs.asdict(scores_of(totals)),
    )


def compare_systems(sums: Mapping[str, Mapping[str, Sums]], seed: int) -> dict[str, Difference]:
    """The fine-tuned system minus the baseline, figure by figure; nothing unless both were evaluated."""
    if not sums.keys() >= set(SYSTEMS):
        return {}
    baseline, finetuned = (list(sums[system].values()) for system in SYSTEMS)
    return differences(baseline, finetuned, seed)


def find_device(cuda: bool) -> str:
    if cuda and not torch.cuda.is_available():
        raise UsageError("--cuda: torch sees no CUDA GPU here; leave --cuda out to evaluate on the CPU")
    return "cuda" if cuda else "cpu"


def describe_device(device: str) -> str:
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else f"cpu ({torch.get_num_threads()} threads)"


def versions() -> dict[str, str]:
    """The versions that scores depend on."""
    packages = ("easyocr", "torch", "numpy", "webdataset", "rapidfuzz", "shapely")
    return {"python": platform.python_version(), "opencv": cv2.__version__} | {
        package: version(package) for package in packages
    }


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the wall time of a block to `seconds[step]`."""
    started = monotonic()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + monotonic() - started
