"""Detections that are known are found again, whole, and only where all they depend on is the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluator.detection import detection_cache
from evaluator.detection.detection_cache import DetectionCache, open_cache, shrink
from evaluator.detection.easyocr_boxes import Detection

SETTINGS = {"low_text": 0.4, "min_size": 20}
FOUND = Detection(
    boxes_N4=np.array([(0, 0, 9, 9), (5, 0, 5, 7)]),
    quads_M42=np.array([[(0.1, -3), (7 / 3, 0), (9, 1e-7), (-0.5, 6)]], np.float32),
)


def cache(folder: Path, name: str = "words", device: str = "cpu", **settings: float) -> DetectionCache:
    return open_cache(folder, name, SETTINGS | settings, device)


def test_a_detection_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    cache(tmp_path).write("a", FOUND)
    known = cache(tmp_path).read("a")
    assert known is not None
    assert np.array_equal(known.boxes_N4, FOUND.boxes_N4) and known.boxes_N4.dtype == FOUND.boxes_N4.dtype
    assert np.array_equal(known.quads_M42, FOUND.quads_M42) and known.quads_M42.dtype == np.float32


def test_a_blank_page_is_known_too(tmp_path: Path) -> None:
    cache(tmp_path).write("a", Detection(np.empty((0, 4), int), np.empty((0, 4, 2), np.float32)))
    known = cache(tmp_path).read("a")
    assert known is not None and known.words_P42.shape == (0, 4, 2)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda folder: cache(folder, low_text=0.3), id="another setting"),
        pytest.param(lambda folder: cache(folder, name="easyocr"), id="another detector"),
        pytest.param(lambda folder: cache(folder, device="cuda:0"), id="another device"),
    ],
)
def test_what_a_detection_depends_on_is_part_of_its_name(
    tmp_path: Path, other: Callable[[Path], DetectionCache]
) -> None:
    cache(tmp_path).write("a", FOUND)
    assert other(tmp_path).read("a") is None
    assert cache(tmp_path).read("b") is None
    assert cache(tmp_path, device="cuda:0").digest == cache(tmp_path, device="cuda:1").digest


def test_changed_code_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache(tmp_path).digest
    monkeypatch.setattr(detection_cache, "SOURCES", detection_cache.SOURCES[:1])
    assert cache(tmp_path).digest != before


@pytest.mark.parametrize("content", [b"", b"{", b'{"boxes": [[0, 0, 9]], "quads": []}'])
def test_a_damaged_file_is_detected_again(tmp_path: Path, content: bytes) -> None:
    own = cache(tmp_path)
    own.write("a", FOUND)
    own.path_of("a").write_bytes(content)
    assert own.read("a") is None


def test_the_files_written_first_go_first(tmp_path: Path) -> None:
    own = cache(tmp_path)
    for age, key in enumerate("abc"):
        own.write(key, FOUND)
        os.utime(own.path_of(key), (1000 - age, 1000 - age))
    size = own.path_of("a").stat().st_size
    shrink(tmp_path, max_bytes=2 * size)
    assert [own.read(key) is not None for key in "abc"] == [True, True, False]
    shrink(tmp_path, max_bytes=2 * size)
    assert own.read("a") is not None
