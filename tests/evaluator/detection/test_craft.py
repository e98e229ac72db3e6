"""CRAFT's maps are EasyOCR's, however they are computed."""

from __future__ import annotations

from pathlib import Path

import cv2
import easyocr
import msgspec
import numpy as np
import pytest
import torch
from easyocr.craft_utils import adjustResultCoordinates, getDetBoxes
from easyocr.imgproc import normalizeMeanVariance, resize_aspect_ratio

from evaluator.detection.craft import Craft, Maps, batches, canvas_of, load_craft, maps_of
from evaluator.detection.easyocr_boxes import READTEXT, SETTINGS, component_quads, easyocr_boxes
from tests.evaluator.conftest import draw_page


@pytest.fixture(scope="module")
def craft(easyocr_dir: Path) -> Craft:
    return load_craft(easyocr_dir, "cpu")


@pytest.fixture(scope="module")
def theirs(easyocr_dir: Path) -> easyocr.Reader:
    return easyocr.Reader(
        ["en"],
        gpu=False,
        model_storage_directory=str(easyocr_dir / "model"),
        recognizer=False,
        download_enabled=False,
        verbose=False,
    )


def drawn(*lines: str, tilted: str = "") -> np.ndarray:
    """RGB, 520 x 360 pixels."""
    jpg, _ = draw_page("page", list(lines), tilted)
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(np.frombuffer(jpg, np.uint8), 1)), cv2.COLOR_BGR2RGB))


WORDS = drawn("Hello World 2024", "No. 42-7 Seoul", "a - b, c.", tilted="Tilted")[:, :448]


@pytest.fixture(scope="module")
def maps(craft: Craft) -> Maps:
    (maps,) = maps_of(craft, [WORDS], 2560, 1.0)
    return maps


@pytest.mark.parametrize(
    ("height", "width", "canvas_size", "mag_ratio"),
    [
        pytest.param(360, 520, 2560, 1.0, id="a page smaller than the canvas"),
        pytest.param(360, 520, 256, 1.0, id="a page larger than the canvas"),
        pytest.param(351, 333, 2560, 1.7, id="an enlarged page"),
        pytest.param(64, 96, 96, 1.0, id="a page that needs no padding"),
    ],
)
def test_the_canvas_is_easyocrs(height: int, width: int, canvas_size: int, mag_ratio: float) -> None:
    page = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    wanted, ratio, _ = resize_aspect_ratio(page, canvas_size, cv2.INTER_LINEAR, mag_ratio)
    canvas, scale = canvas_of(page, canvas_size, mag_ratio)
    assert np.array_equal(canvas, wanted)
    assert scale == 1 / ratio


def test_a_page_one_pixel_wide_has_a_canvas() -> None:
    canvas, _ = canvas_of(np.zeros((5000, 1, 3), np.uint8), 2560, 1.0)
    assert canvas.shape == (2560, 32, 3)


def test_the_maps_are_easyocrs(theirs: easyocr.Reader, maps: Maps) -> None:
    canvas, ratio, _ = resize_aspect_ratio(WORDS, 2560, cv2.INTER_LINEAR, 1.0)
    with torch.no_grad():
        output, _ = theirs.detector(torch.from_numpy(normalizeMeanVariance(canvas).transpose(2, 0, 1)[None]))
    text_HW, link_HW = output[0].permute(2, 0, 1).numpy()
    assert text_HW.max() > 0.7 and link_HW.max() > 0.4
    assert np.abs(maps.text_HW - text_HW).max() < 1e-4
    assert np.abs(maps.link_HW - link_HW).max() < 1e-4
    assert (maps.scale, maps.width, maps.height) == (2 / ratio, 448, 360)
    assert maps.text_HW.dtype == maps.link_HW.dtype == np.float32


@pytest.mark.parametrize("strip_rows", [32, 96, 1 << 30])
def test_strips_join_without_a_seam(craft: Craft, maps: Maps, strip_rows: int) -> None:
    (whole,) = maps_of(msgspec.structs.replace(craft, strip_rows=strip_rows), [WORDS], 2560, 1.0)
    assert np.abs(whole.text_HW - maps.text_HW).max() < 1e-4
    assert np.abs(whole.link_HW - maps.link_HW).max() < 1e-4


def test_pages_that_run_together_have_their_own_maps(craft: Craft, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU."""
    pages = [drawn("first")[:128, :256], drawn("second")[:96, :256], drawn("third")[:128, :250]]
    alone = [maps_of(craft, [page], 2560, 1.0)[0] for page in pages]
    monkeypatch.setattr("evaluator.detection.craft.batches", lambda shapes, _: batches(shapes, 1_000_000))
    for one, other in zip(maps_of(craft, pages, 2560, 1.0), alone, strict=True):
        assert np.abs(one.text_HW - other.text_HW).max() < 1e-4
        assert (one.width, one.height) == (other.width, other.height)


def test_batches_hold_canvases_of_one_size_and_no_more_than_fit() -> None:
    tall, wide = (64, 32, 3), (32, 64, 3)
    assert batches([tall, wide, tall, tall], 2 * 64 * 32) == [[0, 2], [3], [1]]
    assert batches([tall, tall], 0) == [[0], [1]]
    assert batches([], 100) == []


@pytest.mark.parametrize(
    "thresholds",
    [
        pytest.param((0.7, 0.4, 0.4), id="EasyOCR's"),
        pytest.param((0.3, 0.2, 0.2), id="low"),
        pytest.param((0.5, 0.9, 0.45), id="no links"),
    ],
)
def test_the_quads_of_regions_are_easyocrs(maps: Maps, thresholds: tuple[float, float, float]) -> None:
    quads, _, _ = getDetBoxes(maps.text_HW, maps.link_HW, *thresholds)
    assert len(quads) > 5
    assert np.array_equal(component_quads(maps.text_HW, maps.link_HW, *thresholds), np.array(quads))
    assert np.array_equal(
        (np.array(quads) * [maps.scale, maps.scale]).astype(np.float32),
        adjustResultCoordinates(quads, maps.scale / 2, maps.scale / 2),
    )


@pytest.mark.parametrize("settings", [READTEXT, SETTINGS], ids=["lines", "words"])
@pytest.mark.parametrize("page", [WORDS, np.full_like(WORDS, 255)], ids=["words, one tilted", "an empty page"])
def test_the_boxes_are_those_of_detect(
    theirs: easyocr.Reader, craft: Craft, page: np.ndarray, settings: dict[str, float]
) -> None:
    upright, tilted = theirs.detect(page, reformat=False, **settings)
    (maps,) = maps_of(craft, [page], int(settings["canvas_size"]), settings["mag_ratio"])
    found = easyocr_boxes(maps, settings)
    wanted = np.array(upright[0], dtype=int).reshape(-1, 4)[:, [0, 2, 1, 3]]
    assert found.boxes_N4.tolist() == np.clip(wanted, 0, [448, 360, 448, 360]).tolist()
    assert found.quads_M42.tolist() == np.array(tilted[0], np.float32).reshape(-1, 4, 2).tolist()
    assert bool(len(found.boxes_N4) and len(found.quads_M42)) == (page is WORDS)
