"""Detections on disk, so that the same pages are not detected twice: a small JSON file a page and detector.

A name holds a digest of all that a detection is a function of, so what lies under it is right for ever. Several
processes may share a folder: files appear whole, and one that is gone or damaged is detected again.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import cv2
import msgspec
import numpy as np

from evaluator.detection import characters, craft, ink, word_boxes
from evaluator.detection import easyocr_boxes as detector
from evaluator.detection import text_ink as pieces
from evaluator.detection.easyocr_boxes import Detection
from ocr.networks.easyocr_files import DETECTOR, detection_models
from ocr.plumbing.files import write_whole

MAX_BYTES = 500_000_000
"""About 50,000 pages; the files written first go first."""

SOURCES = (craft, detector, characters, ink, pieces, word_boxes)
"""The modules a detection is computed by: changed code finds nothing that older code left."""


class StoredDetection(msgspec.Struct, frozen=True):
    """A `Detection` as lists."""

    boxes: list[tuple[int, int, int, int]]
    quads: list[tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]]


class DetectionCache(msgspec.Struct, frozen=True):
    """The detections of one detector; `digest` is of all they depend on but the page."""

    folder: Path
    digest: str

    def path_of(self, page_digest: str) -> Path:
        return self.folder / self.digest[:16] / f"{page_digest}.json"

    def read(self, page_digest: str) -> Detection | None:
        try:
            stored = msgspec.json.decode(self.path_of(page_digest).read_bytes(), type=StoredDetection)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return Detection(
            boxes_N4=np.array(stored.boxes, dtype=int).reshape(-1, 4),
            quads_M42=np.array(stored.quads, dtype=np.float32).reshape(-1, 4, 2),
        )

    def write(self, page_digest: str, detection: Detection) -> None:
        stored = StoredDetection(detection.boxes_N4.tolist(), detection.quads_M42.tolist())
        with write_whole(self.path_of(page_digest)) as file:
            file.write(msgspec.json.encode(stored))


def open_cache(folder: Path, name: str, settings: Mapping[str, object], device: str) -> DetectionCache:
    """The cache of a detector with these settings, on a kind of device: a GPU computes in another precision."""
    basis = {
        "detector": name,
        "settings": dict(settings),
        "weights": detection_models[DETECTOR]["md5sum"],
        "device": device.partition(":")[0],
        "machine": platform.machine(),
        "versions": [cv2.__version__, *(version(package) for package in ("easyocr", "numpy", "torch"))],
        "code": [digest_of(Path(str(module.__file__)).read_bytes()) for module in SOURCES],
    }
    return DetectionCache(folder, digest_of(msgspec.json.encode(basis, order="sorted")))


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def shrink(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Remove the files written first until the folder holds no more than `max_bytes`."""
    files = [(path, path.stat()) for path in folder.glob("*/*.json")]
    excess = sum(status.st_size for _, status in files) - max_bytes
    for path, status in sorted(files, key=lambda file: file[1].st_mtime_ns):
        if excess <= 0:
            break
        path.unlink(missing_ok=True)
        excess -= status.st_size
