"""Seconds and memory of CRAFT on one page: EasyOCR's `Reader.detect`, and ours with the same boxes."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import easyocr
import numpy as np
import torch

from bench.drawn_maps import DrawnPage
from evaluator.craft import load_craft, maps_of
from evaluator.detector import READTEXT, easyocr_boxes
from evaluator.groupings import CANVAS_SIZE, MAG_RATIO
from evaluator.pages import decode_page

Detect = Callable[[np.ndarray], list[list[int]]]


def measure_craft(page: DrawnPage, easyocr_dir: Path, turns: int) -> None:
    """Print what both take, in turns, and whether their boxes are the same."""
    rgb = decode_page(page.image, page.label).rgb
    print(f"page {rgb.shape[1]} x {rgb.shape[0]}, {torch.get_num_threads()} threads, median of {turns} turns")
    peaks = {name: peak_memory(name, easyocr_dir, rgb) for name in SYSTEMS}
    systems = {name: make(easyocr_dir) for name, make in SYSTEMS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    boxes = {}
    for _ in range(turns):
        for name, detect in systems.items():
            started = perf_counter()
            boxes[name] = detect(rgb)
            seconds[name].append(perf_counter() - started)
    for name, own in seconds.items():
        same = boxes[name] == boxes["Reader.detect"]
        print(
            f"{name:14} {median(own):6.2f} s a page  peak {peaks[name]:.2f} GB  {len(boxes[name])} boxes, same: {same}"
        )


def reader_detect(folder: Path) -> Detect:
    reader = easyocr.Reader(
        ["en"],
        gpu=False,
        model_storage_directory=str(folder / "model"),
        recognizer=False,
        download_enabled=False,
        verbose=False,
    )

    def detect(page: np.ndarray) -> list[list[int]]:
        upright, _ = reader.detect(page, reformat=False, **READTEXT)
        height, width = page.shape[:2]
        boxes = np.array(upright[0], dtype=int).reshape(-1, 4)[:, [0, 2, 1, 3]]
        clipped: list[list[int]] = np.clip(boxes, 0, [width, height, width, height]).tolist()
        return clipped

    return detect


def our_detect(folder: Path) -> Detect:
    craft = load_craft(folder, "cpu")

    def detect(page: np.ndarray) -> list[list[int]]:
        (maps,) = maps_of(craft, [page], CANVAS_SIZE, MAG_RATIO)
        boxes: list[list[int]] = easyocr_boxes(maps, READTEXT).boxes_N4.tolist()
        return boxes

    return detect


SYSTEMS: dict[str, Callable[[Path], Detect]] = {"Reader.detect": reader_detect, "ours": our_detect}


def peak_memory(name: str, folder: Path, page: np.ndarray) -> float:
    """GB of a new process that detects one page."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(peak_of, (name, folder, page)))


def peak_of(name: str, folder: Path, page: np.ndarray) -> float:
    SYSTEMS[name](folder)(page)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
