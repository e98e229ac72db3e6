"""The evaluation, from shards to a report: every page is detected once, and its boxes read once by each recognizer."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from time import monotonic

import cv2
import msgspec
import torch

from evaluator.detection.box_kinds import load_groupings
from evaluator.detection.craft import load_craft
from evaluator.detection.detection_cache import open_cache, shrink
from evaluator.evaluation_pages import find_page_shards, read_images, read_labels, verify
from evaluator.html.write import check_replaceable, write_html
from evaluator.metrics.breakdown import break_down
from evaluator.metrics.end_to_end import PageReading
from evaluator.metrics.experiment import (
    BASELINE,
    EASYOCR,
    FINETUNED,
    RECOGNIZERS,
    REFERENCE,
    WORDS,
    Cell,
    cells,
    effects,
)
from evaluator.metrics.figures import Sums, page_sums, scores_of, total
from evaluator.metrics.mean_precision import detection_extra
from evaluator.metrics.significance import intervals
from evaluator.page_shares import Process, gathered, joined
from evaluator.pipeline import Clock
from evaluator.reading import ReadPage, Tools, read_pages
from evaluator.recognizers import LoadedRecognizer, load_baseline, load_finetuned
from evaluator.report.report_files import PageCounts, Report, SystemReport, check_folder, write_report
from evaluator.report.report_tables import summary
from ocr.config import Config
from ocr.errors import UsageError
from ocr.networks.easyocr_files import default_easyocr_dir
from ocr.page import Page
from ocr.plumbing.progress import progress


def evaluate(
    config: Config,
    eval_set: str | Sequence[str] = "shards/evaluation",
    recognizers: Sequence[str] = RECOGNIZERS,
    easyocr_dir: Path | None = None,
    cuda: bool = False,
    out: Path = Path("report"),
    name: str = "finetuned",
    cache: Path | None = None,
) -> Report:
    """Evaluate `recognizers` (of "baseline", "finetuned") on the shards of `eval_set`; write the report to `out`.

    Each reads the boxes of EasyOCR, words, and those of the labels: see `evaluator.metrics.experiment`. `name` is the
    fine-tuned recognizer's in `easyocr_dir`, by default EasyOCR's own folder; detections are kept in `cache`, by
    default `easyocr_dir/detections`. Under torchrun every rank reads its share of the pages and gives the report of
    all; rank 0 writes it. Whatever can be wrong with the question is found before the first page is read, and nothing
    is written before the last one is. Raises UsageError and DataError.
    """
    started, clock, easyocr_dir = monotonic(), Clock(), easyocr_dir or default_easyocr_dir()
    cache = cache or easyocr_dir / "detections"
    eval_set = [eval_set] if isinstance(eval_set, str) else list(eval_set)
    with joined(cuda) as process:
        check_folder(out)
        check_replaceable(out)
        check_folder(cache, "--cache")
        shards = find_page_shards(eval_set)
        with clock.timed("verification"):
            verify(process.share(shards))
        labels = read_labels(shards)
        tools = load_tools(config, recognizers, easyocr_dir, process.device, name, cache, clock)
        pages = read_all_pages(shards, labels, tools, process)
        systems = cells(recognizers)
        readings = {cell.system: {key: pages[key].readings[cell.system] for key in labels} for cell in systems}
        sums = {system: {key: page_sums(by_page[key]) for key in labels} for system, by_page in readings.items()}
        report = Report(
            systems={
                cell.system: report_system(cell, tools, labels, readings[cell.system], sums[cell.system], config.seed)
                for cell in systems
            },
            effects=effects(sums, config.seed),
            boxes={boxes: dict(grouping.settings) for boxes, grouping in tools.groupings.items()},
            pages=count_pages(pages),
            eval_set=eval_set,
            device=describe_device(process),
            versions=versions(),
            seconds=rounded(clock.seconds | {"total": monotonic() - started}),
        )
        if process.is_main:
            write_report(report, labels, readings, sums, summary(report), out)
            on_reference = [cell.system for cell in systems if cell.boxes == REFERENCE]
            write_html(report, report.effects, labels, readings, read_images(shards), out, on_reference)
            shrink(cache)
    return report


def load_tools(
    config: Config,
    recognizers: Sequence[str],
    easyocr_dir: Path,
    device: str,
    name: str,
    cache: Path,
    clock: Clock,
) -> Tools:
    """The networks, and the ways from maps to boxes with their caches."""
    load: dict[str, Callable[[], LoadedRecognizer]] = {
        BASELINE: lambda: load_baseline(config.baseline_model, easyocr_dir, device),
        FINETUNED: lambda: load_finetuned(name, easyocr_dir, device),
    }
    if not recognizers or (unknown := [each for each in recognizers if each not in load]):
        raise UsageError(f"recognizers: {unknown if recognizers else 'none'}: choose from {', '.join(RECOGNIZERS)}")
    groupings = load_groupings(easyocr_dir, name)
    return Tools(
        recognizers={each: load[each]() for each in recognizers},
        craft=load_craft(easyocr_dir, device),
        groupings=groupings,
        caches={boxes: open_cache(cache, boxes, grouping.settings, device) for boxes, grouping in groupings.items()},
        clock=clock,
    )


def read_all_pages(
    shards: Sequence[str], labels: Mapping[str, Page], tools: Tools, process: Process
) -> dict[str, ReadPage]:
    """Every page by its key, in the order of `labels`, whichever rank read it; adds up the ranks' clocks."""
    samples = islice(read_images(shards), process.rank, None, process.num_ranks)
    read: Iterable[ReadPage] = read_pages(samples, labels, tools)
    if process.is_main:
        read = progress(read, "evaluate", "pages", total=len(process.share(list(labels))))
    parts = gathered((list(read), tools.clock.seconds), process)
    for _, seconds in parts[: process.rank] + parts[process.rank + 1 :]:
        tools.clock.add(seconds)
    by_key = {page.key: page for pages, _ in parts for page in pages}
    return {key: by_key[key] for key in labels}


def report_system(
    cell: Cell,
    tools: Tools,
    labels: Mapping[str, Page],
    readings: Mapping[str, PageReading],
    sums: Mapping[str, Sums],
    seed: int,
) -> SystemReport:
    """Everything about one system, from its readings and their sums by page."""
    pages, of_pages, recognizer = list(sums.values()), list(readings.values()), tools.recognizers[cell.recognizer]
    totals = total(pages)
    return SystemReport(
        boxes=cell.boxes,
        recognizer=cell.recognizer,
        name=recognizer.name,
        languages=recognizer.languages,
        run=how_to_run(cell, recognizer),
        intervals=intervals(pages, seed),
        detection_extra=detection_extra(of_pages, totals),
        breakdown=break_down(of_pages, pages, [labels[key].category for key in sums], recognizer.alphabet),
        **msgspec.structs.asdict(scores_of(totals)),
    )


def how_to_run(cell: Cell, recognizer: LoadedRecognizer) -> str:
    """The Python that reads a page as a system does."""
    ways = {
        EASYOCR: f'{recognizer.reader}.readtext("page.jpg")',
        WORDS: f'evaluator.page_reader.PageReader.load("{recognizer.name}").read("page.jpg")',
    }
    return ways.get(cell.boxes, "")


def count_pages(pages: Mapping[str, ReadPage]) -> PageCounts:
    failed = {key: page.failure for key, page in pages.items() if page.failure}
    from_cache = sum(page.from_cache for page in pages.values())
    return PageCounts(listed=len(pages), read=len(pages) - len(failed), from_cache=from_cache, failed=failed)


def describe_device(process: Process) -> str:
    ranks = f"{process.num_ranks} processes, " if process.num_ranks > 1 else ""
    if process.device != "cpu":
        return f"{ranks}cuda ({torch.cuda.get_device_name(process.device)})"
    return f"{ranks}cpu ({torch.get_num_threads()} threads)"


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {step: round(spent, 3) for step, spent in seconds.items()}


def versions() -> dict[str, str]:
    """The versions that scores depend on."""
    packages = ("easyocr", "torch", "numpy", "webdataset", "rapidfuzz", "shapely")
    return {"python": platform.python_version(), "opencv": cv2.__version__} | {
        package: version(package) for package in packages
    }
