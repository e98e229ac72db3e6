"""How long the experiment takes beside what it replaces: two loops of `readtext`, each of which detects anew.

(a)  `Reader.readtext` with english_g2 over all pages, then with an export of it: two of the experiment's six systems
(b)  2 x 2: EasyOCR's boxes and words, read by both recognizers; no detection is known yet
(c)  the whole experiment: the labels' boxes as well
(d)  the whole experiment where the detections are known from an earlier run

They take turns, once a round, in one process with all networks loaded; a ratio is that of two in the same round, and
the median of the rounds is shown; on a busy machine the processor's time says more. Texts of EasyOCR's boxes are
compared: the settings are the same. --memory runs `python -m evaluator` on pages of 2480 x 3508 instead and says how
much memory it took at most.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import easyocr
import msgspec
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.drawn_maps import DrawnPage, drawn_pages
from bench.machine import ROOT, Machine, print_machine, this_machine

from evaluator.evaluate import load_tools
from evaluator.metrics.experiment import BASELINE, EASYOCR, FINETUNED, RECOGNIZERS, Cell
from evaluator.pipeline import Clock
from evaluator.reading import ReadPage, read_pages
from ocr.config import Config
from ocr.errors import run_command
from ocr.networks.easyocr_files import find_weights
from ocr.networks.weight_files import read_weights
from ocr.page import page_to_json
from ocr.reader import load_reader
from ocr.shards.manifest import write_shard
from trainer.export import write_files

LOOPS, GRID, WHOLE, AGAIN = "(a)  two readtext loops", "(b)  2 x 2", "(c)  the experiment", "(d)  again, boxes known"
WANTED = "(b) in 0.5 x (a) on two cores, the same texts, 3 GB at 2480 x 3508"
ENGLISH = Config(baseline_model="english_g2")


class Seconds(msgspec.Struct, frozen=True):
    """Of the wall clock, and of the processor, all threads together."""

    wall: float
    processor: float


class Round(msgspec.Struct, frozen=True):
    """By contender; `steps` are wall seconds of (c)."""

    seconds: dict[str, Seconds]
    steps: dict[str, float]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    threads: int
    num_pages: int
    pixels: str
    num_words: int
    rounds: list[Round]
    num_texts: int
    num_equal: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=2, metavar="N")
    parser.add_argument("--scale", type=float, default=0.5, metavar="S", help="1 is 300 dpi (default 0.5)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.")
    with tempfile.TemporaryDirectory(prefix="bench-evaluate-") as folder:
        if arguments.memory:
            measure_memory(Path(folder))
            return
        result = measure(Path(folder), list(drawn_pages(0, arguments.pages, arguments.scale)), arguments.rounds)
    print_result(result)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))


def measure(work: Path, pages: Sequence[DrawnPage], num_rounds: int) -> Result:
    easyocr_dir = prepare(work)
    readers = {
        BASELINE: with_detector("english_g2", easyocr_dir),
        FINETUNED: with_detector("finetuned", easyocr_dir),
    }
    paths = [work / f"{page.label.stem}.jpg" for page in pages]
    for path, page in zip(paths, pages, strict=True):
        path.write_bytes(page.image)
    blank = [DrawnPage(page.image, msgspec.structs.replace(page.label, words=())) for page in pages]
    rounds = []
    read_texts(readers, paths[:1])
    experiment(pages[:1], easyocr_dir, work / "warm")
    for number in range(num_rounds):
        cold, watch = work / f"cache-{number}", start()
        theirs = read_texts(readers, paths)
        seconds = {LOOPS: since(watch)}
        seconds[GRID], _, _ = experiment(blank, easyocr_dir, cold / "2x2")
        seconds[WHOLE], steps, read = experiment(pages, easyocr_dir, cold / "whole")
        seconds[AGAIN], _, _ = experiment(pages, easyocr_dir, cold / "whole")
        rounds.append(Round(seconds, steps))
        print(", ".join(f"{name.strip()} {each.wall:.1f} s" for name, each in seconds.items()), file=sys.stderr)
    num_texts, num_equal = compare(theirs, read)
    return Result(
        machine=this_machine(("easyocr", "torch", "opencv-python-headless", "numpy")),
        threads=torch.get_num_threads(),
        num_pages=len(pages),
        pixels=f"{pages[0].label.width}x{pages[0].label.height}",
        num_words=sum(len(page.label.words) for page in pages),
        rounds=rounds,
        num_texts=num_texts,
        num_equal=num_equal,
    )


def prepare(work: Path) -> Path:
    """EasyOCR's folder with CRAFT, english_g2, and english_g2 as an export."""
    easyocr_dir = work / "EasyOCR"
    find_weights("craft", easyocr_dir)
    write_files(read_weights(find_weights("english_g2", easyocr_dir)), "finetuned", easyocr_dir)
    return easyocr_dir


def with_detector(name: str, easyocr_dir: Path) -> easyocr.Reader:
    reader = load_reader(name, ["en"], easyocr_dir)
    reader.setDetector("craft")
    return reader


def experiment(
    pages: Sequence[DrawnPage], easyocr_dir: Path, cache: Path
) -> tuple[Seconds, dict[str, float], list[ReadPage]]:
    """Seconds, those of each step, and what was read; loading the networks does not count."""
    tools = load_tools(ENGLISH, RECOGNIZERS, easyocr_dir, "cpu", "finetuned", cache, Clock())
    labels, samples = {page.label.stem: page.label for page in pages}, [(page.label.stem, page.image) for page in pages]
    watch = start()
    read = list(read_pages(samples, labels, tools))
    return since(watch), tools.clock.seconds, read


def start() -> Seconds:
    return Seconds(perf_counter(), process_time())


def since(watch: Seconds) -> Seconds:
    return Seconds(perf_counter() - watch.wall, process_time() - watch.processor)


def read_texts(
    readers: Mapping[str, easyocr.Reader], paths: Sequence[Path]
) -> dict[str, list[list[tuple[str, float]]]]:
    return {
        name: [[(text, confidence) for _, text, confidence in reader.readtext(str(path))] for path in paths]
        for name, reader in readers.items()
    }


def compare(theirs: Mapping[str, list[list[tuple[str, float]]]], read: Sequence[ReadPage]) -> tuple[int, int]:
    """(texts of EasyOCR's boxes, how many are the Reader's); the order is the Reader's: boxes, then tilted quads."""
    pairs = [
        (text, own)
        for name, by_page in theirs.items()
        for page, texts in zip(read, by_page, strict=True)
        for (text, _), own in zip(texts, page.readings[Cell(EASYOCR, name).system].prediction.texts, strict=True)
    ]
    return len(pairs), sum(text == own for text, own in pairs)


def measure_memory(work: Path) -> None:
    easyocr_dir, pages = prepare(work), list(drawn_pages(0, 2, 1.0))
    samples = [(page.label.stem, {"jpg": page.image, "json": page_to_json(page.label)}) for page in pages]
    write_shard(work / "000000.tar", samples)
    command = [sys.executable, "-m", "evaluator", "--eval_set", str(work), "--easyocr-dir", str(easyocr_dir)]
    command += ["--out", str(work / "report"), "baseline_model=english_g2"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print_machine(this_machine(("easyocr", "torch", "opencv-python-headless", "numpy")))
    size = f"{pages[0].label.width}x{pages[0].label.height}"
    print(f"{len(pages)} pages of {size}: at most {peak / 1e9:.2f} GB; wanted: 3 GB")


def print_result(result: Result) -> None:
    print_machine(result.machine)
    print(
        f"{result.num_pages} pages of {result.pixels}, {result.num_words} words, {result.threads} threads, median of "
        f"{len(result.rounds)} rounds\n\n{'':28}{'s a page':>10}{'x (a)':>8}{'processor':>12}{'x (a)':>8}"
    )
    for name in result.rounds[0].seconds:
        cells = ""
        for kind, width in (("wall", 10), ("processor", 12)):
            pairs = [(getattr(each.seconds[name], kind), getattr(each.seconds[LOOPS], kind)) for each in result.rounds]
            seconds = median(own for own, _ in pairs) / result.num_pages
            cells += f"{seconds:>{width}.2f}{median(own / loops for own, loops in pairs):>8.2f}"
        print(f"{name:28}{cells}")
    print("\nsteps of (c), s a page")
    for step in result.rounds[0].steps:
        print(f"  {step:26}{median(each.steps[step] for each in result.rounds) / result.num_pages:>10.2f}")
    print(f"\ntexts as the Reader's: {result.num_equal} of {result.num_texts}\nwanted: {WANTED}")


if __name__ == "__main__":
    run_command(main)
