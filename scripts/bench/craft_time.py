"""Seconds and memory of CRAFT on one page: EasyOCR's `Reader.detect`, and ours with the same boxes.

Ours, too, computed by ONNX Runtime and OpenVINO where these are installed (PyPI: onnx, onnxruntime, openvino). They are
given the page's size as a constant, batch normalizations folded, and as many threads as torch has.
"""

from __future__ import annotations

import multiprocessing
import resource
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import easyocr
import msgspec
import numpy as np
import torch

from bench.drawn_maps import DrawnPage
from evaluator.detection.box_kinds import CANVAS_SIZE, MAG_RATIO
from evaluator.detection.craft import Craft, load_craft, maps_of
from evaluator.detection.easyocr_boxes import READTEXT, easyocr_boxes
from evaluator.evaluation_pages import decode_page

INPUT = "canvas"
Detect = Callable[[np.ndarray], list[list[int]]]
Infer = Callable[[np.ndarray], np.ndarray]
"""float32 (1, 3, H, W) -> both maps, float32 (1, 2, H / 2, W / 2)."""


def measure_craft(page: DrawnPage, easyocr_dir: Path, turns: int) -> None:
    """Print what both take, in turns, and whether their boxes are the same."""
    rgb = decode_page(page.image, page.label).rgb
    print(f"page {rgb.shape[1]} x {rgb.shape[0]}, {torch.get_num_threads()} threads, median of {turns} turns")
    for name in SYSTEMS:
        peak_memory(name, easyocr_dir, rgb)  # writes the graph that it needs
    peaks = {name: peak_memory(name, easyocr_dir, rgb) for name in SYSTEMS}  # while this process is small: see below
    systems = {name: make(easyocr_dir) for name, make in SYSTEMS.items()}
    for detect in systems.values():
        detect(rgb)
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
            f"{name:19} {median(own):6.2f} s a page  peak {peaks[name]:.2f} GB  {len(boxes[name])} boxes, same: {same}"
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
    return detect_with(load_craft(folder, "cpu"))


def detect_with(craft: Craft) -> Detect:
    def detect(page: np.ndarray) -> list[list[int]]:
        (maps,) = maps_of(craft, [page], CANVAS_SIZE, MAG_RATIO)
        boxes: list[list[int]] = easyocr_boxes(maps, READTEXT).boxes_N4.tolist()
        return boxes

    return detect


def onnx_detect(folder: Path) -> Detect:
    import onnxruntime

    def compiled(graph: Path) -> Infer:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return lambda canvas: np.asarray(session.run(None, {INPUT: canvas})[0])

    return detect_with(elsewhere(folder, compiled))


def openvino_detect(folder: Path) -> Detect:
    import openvino

    def compiled(graph: Path) -> Infer:
        settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
        model = openvino.Core().compile_model(graph, "CPU", settings)
        return lambda canvas: np.array(model(canvas)[0])

    return detect_with(elsewhere(folder, compiled))


def elsewhere(folder: Path, compiled: Callable[[Path], Infer]) -> Craft:
    """CRAFT with its network computed by another engine; the first page of a size has it compiled."""
    craft = load_craft(folder, "cpu")
    engines: dict[tuple[int, ...], Infer] = {}

    def network(canvas: torch.Tensor, _: int) -> torch.Tensor:
        if canvas.shape not in engines:
            graph = folder / f"craft-{'x'.join(map(str, canvas.shape))}.onnx"
            if not graph.exists():
                trace(craft, canvas, graph)
            engines[canvas.shape] = compiled(graph)
        return torch.from_numpy(engines[canvas.shape](canvas.contiguous().numpy()))

    replaced: Any = network
    return msgspec.structs.replace(craft, network=replaced)


class InOneStrip(torch.nn.Module):
    """What is traced: a number given from outside would be an input of the graph."""

    def __init__(self, craft: Craft) -> None:
        super().__init__()
        self.network = craft.network

    def forward(self, canvas: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.network(canvas, 1 << 30)
        return maps


def trace(craft: Craft, canvas: torch.Tensor, graph: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(InOneStrip(craft), (canvas,), graph, input_names=[INPUT], opset_version=17, dynamo=False)


SYSTEMS: dict[str, Callable[[Path], Detect]] = {"Reader.detect": reader_detect, "ours": our_detect}
if find_spec("onnxruntime") and find_spec("onnx"):
    SYSTEMS["ours, ONNX Runtime"] = onnx_detect
if find_spec("openvino") and find_spec("onnx"):
    SYSTEMS["ours, OpenVINO"] = openvino_detect


def peak_memory(name: str, folder: Path, page: np.ndarray) -> float:
    """GB of a new process that detects one page; at least those of this one, which Linux has it inherit."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(peak_of, (name, folder, page)))


def peak_of(name: str, folder: Path, page: np.ndarray) -> float:
    SYSTEMS[name](folder)(page)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
