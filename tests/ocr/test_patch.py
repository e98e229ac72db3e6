"""What the network is shown is what EasyOCR's Reader shows it, bit for bit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from easyocr.recognition import AlignCollate, ListDataset, adjust_contrast_grey
from easyocr.utils import get_image_list, reformat_input

from ocr.networks.network import Network, build_model
from ocr.page import Box, crop
from ocr.patch import (
    fit,
    fit_into,
    fitted_widths,
    num_steps,
    pad_batch,
    reader_width,
    reader_widths,
    stretch_contrast,
    to_input,
)


def drawn_page() -> np.ndarray:
    """A color page, BGR, as EasyOCR expects arrays: noise, lines of text, and a red stamp over the last."""
    page = np.random.default_rng(3).integers(150, 256, (500, 900, 3), dtype=np.uint8)
    for line in range(8):
        cv2.putText(
            page, f"No. {line} 2001-03-15", (20, 50 + 55 * line), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (40, 40, 40), 2
        )
    cv2.circle(page, (700, 420), 60, (30, 30, 230), 6)
    cv2.putText(page, "SEAL", (660, 432), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (30, 30, 230), 3)
    return page


BOXES: list[tuple[str, Box]] = [
    ("a word", (20, 15, 180, 62)),
    ("a long line", (0, 10, 900, 60)),
    ("square", (30, 30, 80, 80)),
    ("one pixel wider than tall", (30, 30, 81, 80)),
    ("taller than wide", (30, 30, 70, 190)),
    ("a sliver", (10, 0, 14, 300)),
    ("tiny", (40, 40, 44, 44)),
    ("a dot", (40, 40, 41, 41)),
    ("at the right border", (850, 440, 900, 500)),
    ("already 64 high", (100, 100, 263, 164)),
    ("odd ratio", (100, 100, 197, 137)),
    ("a red stamp", (630, 350, 770, 490)),
    ("text under the stamp", (20, 395, 760, 445)),
    ("the whole page", (0, 0, 900, 500)),
    ("one row", (100, 100, 800, 101)),
    ("one column", (100, 100, 101, 400)),
    ("at the top left corner", (0, 0, 33, 21)),
    ("at the bottom right corner", (870, 470, 900, 500)),
    ("twice as high as wide", (200, 100, 230, 160)),
    ("a title, scaled down", (20, 60, 420, 200)),
    ("over the right border", (850, 440, 960, 490)),
    ("over the top left corner", (-20, -10, 60, 40)),
]


@pytest.mark.parametrize("contrast", [0.0, 0.5])
@pytest.mark.parametrize(("name", "box"), BOXES, ids=[name for name, _ in BOXES])
def test_input_equals_the_readers(name: str, box: Box, contrast: float) -> None:
    page = drawn_page()
    x0, y0, x1, y1 = box
    _, grey = reformat_input(page)
    images, max_width = get_image_list([[x0, x1, y0, y1]], [], grey, model_height=64)
    collate = AlignCollate(imgH=64, imgW=int(max_width), keep_ratio_with_pad=True, adjust_contrast=contrast)
    theirs = collate([ListDataset([images[0][1]])[0]])

    patch = crop(cv2.cvtColor(page, cv2.COLOR_BGR2GRAY), clipped(box, page))
    ours = to_input(torch.from_numpy(pad_batch([fit(patch, contrast=contrast)], reader_width(patch))))

    assert torch.equal(ours, theirs)

    batch = np.zeros((3, 64, reader_width(patch)), np.uint8)
    fit_into(batch[1], patch, contrast)
    assert torch.equal(to_input(torch.from_numpy(batch[1:2])), theirs)
    assert not batch[[0, 2]].any()


def clipped(box: Box, page: np.ndarray) -> Box:
    """The part of a detected box that lies on the page, as the Reader and the evaluator cut it."""
    x0, y0, x1, y1 = np.clip(box, 0, [*page.shape[1::-1]] * 2).tolist()
    return (x0, y0, x1, y1)


@pytest.mark.parametrize("spread", [5, 40, 150])
def test_contrast_equals_easyocrs(spread: int) -> None:
    patch = np.random.default_rng(spread).integers(100, 100 + spread, (64, 90), dtype=np.uint8)
    np.testing.assert_array_equal(stretch_contrast(patch, 0.5), adjust_contrast_grey(patch, target=0.5))


def test_color_is_fitted_channel_by_channel() -> None:
    color = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    fitted = fit(color)
    for channel in range(3):
        np.testing.assert_array_equal(fitted[:, :, channel], fit(np.ascontiguousarray(color[:, :, channel])))
    assert to_input(torch.from_numpy(pad_batch([fitted], 192))).shape == (1, 3, 64, 192)


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (40, 90, 3), (64, 64), (1, 1)], ids=str)
def test_a_row_of_a_batch_is_filled_as_fit_and_pad_batch_fill_it(shape: tuple[int, ...]) -> None:
    patch = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    fitted = fit(patch)
    for room in (0, 1, 60):
        batch = np.zeros((2, 64, fitted.shape[1] + room, *shape[2:]), np.uint8)
        assert fit_into(batch[1], patch) == fitted.shape[1]
        np.testing.assert_array_equal(batch[1:], pad_batch([fitted], batch.shape[2]))
    narrow = np.zeros((64, fitted.shape[1] - 1, *shape[2:]), np.uint8)
    assert fit_into(narrow, patch) == fitted.shape[1]
    assert not narrow.any(), "a patch without room is not written"


@pytest.mark.parametrize("width", [8, 64, 100, 192, 603])
def test_num_steps_is_the_networks(width: int) -> None:
    logits_BTC = build_model(Network(), 5).eval()(torch.zeros(1, 1, 64, width), None)
    assert logits_BTC.shape == (1, num_steps(width), 5)


@pytest.mark.parametrize("img_height", [32, 64])
def test_widths_are_known_from_sizes_alone(img_height: int) -> None:
    sides = [1, 2, 3, 7, 16, 57, 63, 64, 65, 137, 155, 600]
    sizes = [(width, height) for width in sides for height in sides]
    patches = [np.zeros((height, width), np.uint8) for width, height in sizes]
    widths, heights = np.array(sizes).T
    fitted = [fit(patch, img_height).shape[1] for patch in patches]
    assert fitted_widths(widths, heights, img_height).tolist() == fitted
    assert reader_widths(widths, heights, img_height).tolist() == [reader_width(patch, img_height) for patch in patches]
