"""What computes a network: torch, on a CPU or a GPU, or ONNX Runtime, a tenth faster on a CPU and more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from ocr.charset import Charset
from ocr.decoding.beam_search import BeamSearch
from ocr.decoding.decode import Reading, read_input, read_logits
from ocr.errors import DataError, UsageError
from ocr.networks.network import Network
from ocr.networks.weight_files import Weights, load_model
from ocr.patch import to_input

ONNX_INPUT, ONNX_LOGITS = "input", "logits"
ONNX_SUFFIX = ".onnx"
CPU_FULL_WIDTH = 64
"""Of patches wider than this a batch holds fewer: what a layer writes, the next one then finds in the CPU's caches."""
GPU_FULL_WIDTH = 640  # only so that memory does not grow


class OnnxMetadata(msgspec.Struct, frozen=True):
    """What an ONNX file says beside its graph, as JSON under "recognizer"."""

    network: Network
    character: str


class TorchBackend:
    """The network of some weights on a device."""

    def __init__(self, weights: Weights, device: torch.device | str = "cpu") -> None:
        self.network, self.charset = weights.network, Charset(weights.character)
        self.device = torch.device(device)
        # Convolutions on a CPU are quicker in this layout, by a third where it was measured.
        self.on_cpu = self.device.type == "cpu"
        layout = torch.channels_last if self.on_cpu else torch.contiguous_format
        self.model = load_model(weights).to(self.device).to(memory_format=layout)
        self.full_width = CPU_FULL_WIDTH if self.on_cpu else GPU_FULL_WIDTH

    @torch.inference_mode()
    def read(self, batch: np.ndarray, beam: BeamSearch | None) -> list[Reading]:
        """uint8 (B, H, W), fitted and padded -> readings."""
        return read_input(self.model, self.input(batch), self.charset, beam)

    @torch.inference_mode()
    def logits(self, batch: np.ndarray) -> torch.Tensor:
        """uint8 (B, H, W) -> float32 logits (B, frames, C) on the device."""
        logits_BTC: torch.Tensor = self.model(self.input(batch))
        return logits_BTC

    def input(self, batch: np.ndarray) -> torch.Tensor:
        return to_input(torch.from_numpy(batch).to(self.device))


class OnnxBackend:
    """An ONNX file that `python -m trainer.export --onnx FILE` wrote, on the CPU with as many threads as torch has.

    Raises UsageError where onnxruntime is not installed or the file is not there, DataError for another ONNX file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        try:
            import onnxruntime
            from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf
        except ImportError as error:
            raise UsageError(f"{path}: needs ONNX Runtime; pip install onnxruntime") from error

        def session(num_threads: int) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = num_threads
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        self.on_cpu, self.full_width, self.num_threads = True, CPU_FULL_WIDTH, torch.get_num_threads()
        try:
            self.alone = session(1)  # of several batches, each in a thread of its own
            self.shared = session(self.num_threads) if self.num_threads > 1 else self.alone
            text = self.alone.get_modelmeta().custom_metadata_map["recognizer"]
        except (Fail, InvalidGraph, InvalidProtobuf, KeyError) as error:
            raise DataError(f"{path}: not a recognizer that trainer.export wrote; export it with --onnx") from error
        metadata = msgspec.json.decode(text, type=OnnxMetadata)
        self.network, self.charset = metadata.network, Charset(metadata.character)

    def read(self, batch: np.ndarray, beam: BeamSearch | None) -> list[Reading]:
        if beam is not None and self.network.Prediction == "Attn":
            raise UsageError("decode: an attention network in ONNX writes its text greedily; give its .pth for a beam")
        return read_logits(self.logits(batch), self.charset, beam)

    def logits(self, batch: np.ndarray) -> torch.Tensor:
        session = self.shared if torch.get_num_threads() >= self.num_threads else self.alone
        (logits_BTC,) = session.run([ONNX_LOGITS], {ONNX_INPUT: to_input(torch.from_numpy(batch)).numpy()})
        if self.network.Prediction == "Attn":  # its graph goes on where torch has ended: two frames for each character
            logits_BTC = logits_BTC[:, : 2 * (self.network.num_steps(batch.shape[2]) + 1)]
        return torch.from_numpy(logits_BTC)


Backend = TorchBackend | OnnxBackend
