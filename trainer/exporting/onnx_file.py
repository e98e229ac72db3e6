"""Weights -> one ONNX file of any batch and width, compared with torch before it is kept."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec
import numpy as np
import torch

from ocr.backends import ONNX_INPUT, ONNX_LOGITS, ONNX_SUFFIX, Backend, OnnxBackend, OnnxMetadata, TorchBackend
from ocr.errors import DataError, UsageError
from ocr.networks.architectures import Attention
from ocr.networks.weight_files import Weights, load_model
from ocr.plumbing.files import write_whole

OPSET = 17
ATTENTION_STEPS = 64  # a graph has no loop that ends by itself: a text in ONNX has at most as many characters
LOGITS_TOLERANCE = 1e-3  # ONNX Runtime fuses and orders sums in its own way; 6e-5 was measured
TRACED_SHAPE = (2, 192)
COMPARED_SHAPES = ((1, 64), (3, 192), (5, 320), (2, 1024))
"""(batch, width), other ones than the graph was traced with."""
TIMED_SHAPE, TIMED_RUNS = (16, 192), 7


def export_onnx(weights: Weights, path: Path) -> str:
    """Write an ONNX file that `Recognizer.load` reads; gives a line with what was compared and how fast it is.

    Raises UsageError where onnx or onnxruntime is missing, DataError where the graph computes other logits than torch.
    """
    if path.suffix != ONNX_SUFFIX:
        raise UsageError(f"--onnx: {path} must end in {ONNX_SUFFIX}")
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--onnx: needs the package {error.name}; pip install onnx onnxruntime") from error
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / path.name
        trace(weights, aside)
        graph = onnx.load(aside)
        metadata = OnnxMetadata(weights.network, weights.character)
        graph.metadata_props.add(key="recognizer", value=msgspec.json.encode(metadata).decode())
        onnx.save(graph, aside)
        engines = TorchBackend(weights), OnnxBackend(aside)
        difference = compare(*engines)
        torch_ms, onnx_ms = milliseconds(*engines)
        with write_whole(path) as file:
            file.write(aside.read_bytes())
    return (
        f"{path}: {path.stat().st_size:,} bytes; logits within {difference:.1g} of torch's for "
        f"{len(COMPARED_SHAPES)} shapes; a patch of width {TIMED_SHAPE[1]} takes {onnx_ms:.2f} ms here, with torch "
        f"{torch_ms:.2f} ms ({torch.get_num_threads()} threads, batches of {TIMED_SHAPE[0]})"
    )


def trace(weights: Weights, path: Path) -> None:
    model = load_model(weights)
    if isinstance(model.Prediction, Attention):
        model.Prediction.max_steps = ATTENTION_STEPS
    num_rows, width = TRACED_SHAPE
    example = torch.zeros(num_rows, weights.network.input_channel, weights.network.img_height, width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every shape it traces; what the graph gives is compared below
        torch.onnx.export(
            model,
            (example,),
            path,
            input_names=[ONNX_INPUT],
            output_names=[ONNX_LOGITS],
            dynamic_axes={ONNX_INPUT: {0: "batch", 3: "width"}, ONNX_LOGITS: {0: "batch", 1: "frames"}},
            opset_version=OPSET,
            dynamo=False,  # the newer exporter asks for one more package, onnxscript
        )


def noise(shape: tuple[int, int], engine: Backend) -> np.ndarray:
    num_rows, width = shape
    color = (3,) if engine.network.input_channel == 3 else ()
    order = np.random.default_rng(width)
    return order.integers(0, 256, (num_rows, engine.network.img_height, width, *color), dtype=np.uint8)


def compare(ours: TorchBackend, theirs: OnnxBackend) -> float:
    """The largest difference of logits over `COMPARED_SHAPES`. Raises DataError for one that is no rounding."""
    largest = 0.0
    for shape in COMPARED_SHAPES:
        batch = noise(shape, ours)
        first, second = ours.logits(batch), theirs.logits(batch)
        frames = min(first.shape[1], second.shape[1])  # an attention in torch stops when all texts have ended
        difference = float((first[:, :frames] - second[:, :frames]).abs().max())
        if not difference <= LOGITS_TOLERANCE:
            raise DataError(f"--onnx: for {shape} logits differ from torch's by {difference:.2g}; nothing was written")
        largest = max(largest, difference)
    return largest


def milliseconds(*engines: Backend) -> list[float]:
    """Of one patch, by turns, the median."""
    batch = noise(TIMED_SHAPE, engines[0])
    times: list[list[float]] = [[] for _ in engines]
    for _ in range(TIMED_RUNS):
        for engine, seconds in zip(engines, times, strict=True):
            started = perf_counter()
            engine.logits(batch)
            seconds.append(perf_counter() - started)
    return [1000 * median(seconds) / len(batch) for seconds in times]
