"""From a patch to the network's input, exactly as EasyOCR's Reader does it.

    page.crop    uint8 (h, w), a slice of the page         Reader: get_image_list
    fit          uint8 (64, w'), w' = int(64 * w / h)      Reader: compute_ratio_and_resize, AlignCollate
    pad_batch    uint8 (B, 64, W), last column repeated    Reader: NormalizePAD
    to_input     float32 (B, 1, 64, W) in [-1, 1]          Reader: NormalizePAD

What looks odd here is what EasyOCR 1.7.2 does, and a network must be trained on what it will be shown: the kernel
called LANCZOS there is OpenCV's code 1, bilinear without antialias; a patch taller than wide is first scaled to a
width of 64 and then squeezed to a height of 64 by PIL's bicubic. Color patches, (h, w, 3), go the same way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
import torch
from PIL import Image

IMG_HEIGHT = 64


def aspect_ratio(height: int, width: int) -> float:
    """Longer side / shorter side, rounded as EasyOCR rounds it: width / height, or 1 / (width / height)."""
    ratio = width / height
    return ratio if ratio >= 1.0 else 1.0 / ratio


def fit(patch: np.ndarray, img_height: int = IMG_HEIGHT, contrast: float = 0.0) -> np.ndarray:
    """Scale a patch to `img_height` as the Reader does, keeping its shape: uint8 (h, w) -> (img_height, w').

    `contrast` > 0 stretches the contrast of patches that have less (see `stretch_contrast`), between the two
    scalings, where the Reader's second pass does it.
    """
    height, width = patch.shape[:2]
    long_side = int(img_height * aspect_ratio(height, width))
    size = (long_side, img_height) if width >= height else (img_height, long_side)
    scaled = np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_LINEAR))
    if contrast > 0:
        scaled = stretch_contrast(scaled, contrast)
    if width >= height:
        return scaled
    squeezed_width = math.ceil(img_height * (img_height / long_side))
    return np.asarray(Image.fromarray(scaled).resize((squeezed_width, img_height), Image.Resampling.BICUBIC))


def stretch(patch: np.ndarray, img_height: int, img_width: int) -> np.ndarray:
    """Scale a patch to exactly (img_height, img_width), losing its shape: the config's `PAD: False`."""
    return np.asarray(cv2.resize(patch, (img_width, img_height), interpolation=cv2.INTER_LINEAR))


def stretch_contrast(patch: np.ndarray, target: float) -> np.ndarray:
    """EasyOCR's `adjust_contrast_grey`: where (P90 - P10) / (P90 + P10) < target, spread P10..P90 over 25..225."""
    high, low = np.percentile(patch, 90), np.percentile(patch, 10)
    if (high - low) / max(10.0, high + low) >= target:
        return patch
    spread = (patch.astype(int) - low + 25) * (200.0 / max(10.0, high - low))
    return np.asarray(np.clip(spread, 0, 255), dtype=np.uint8)


def reader_width(patch: np.ndarray, img_height: int = IMG_HEIGHT) -> int:
    """The width the Reader pads this patch to when it reads it alone: a multiple of `img_height`."""
    return math.ceil(aspect_ratio(*patch.shape[:2])) * img_height


def fitted_widths(widths: np.ndarray, heights: np.ndarray, img_height: int = IMG_HEIGHT) -> np.ndarray:
    """`fit(patch, img_height).shape[1]` of many patches, from their sizes in pixels (at least 1)."""
    long_sides = (img_height * aspect_ratios(widths, heights)).astype(np.int64)
    squeezed = np.ceil(img_height * (img_height / long_sides)).astype(np.int64)
    return np.asarray(np.where(widths >= heights, long_sides, squeezed))


def reader_widths(widths: np.ndarray, heights: np.ndarray, img_height: int = IMG_HEIGHT) -> np.ndarray:
    """`reader_width(patch, img_height)` of many patches, from their sizes in pixels (at least 1)."""
    return np.asarray(np.ceil(aspect_ratios(widths, heights)).astype(np.int64) * img_height)


def aspect_ratios(widths: np.ndarray, heights: np.ndarray) -> np.ndarray:
    ratios = widths / heights
    return np.asarray(np.where(ratios >= 1.0, ratios, 1.0 / ratios))


def fit_into(row: np.ndarray, patch: np.ndarray, contrast: float = 0.0) -> int:
    """`fit` a patch into its row of a batch, uint8 (H, W[, 3]), and repeat its last column up to the end.

    Gives the width that the patch itself takes; where that is more than the row's, nothing is written. OpenCV writes
    into the row by itself: half the time of `fit` and a copy.
    """
    height, width = patch.shape[:2]
    img_height, row_width = row.shape[:2]
    if width >= height and contrast <= 0:
        own_width = int(img_height * aspect_ratio(height, width))
        if own_width <= row_width:
            cv2.resize(patch, (own_width, img_height), dst=row[:, :own_width], interpolation=cv2.INTER_LINEAR)
    else:
        fitted = fit(patch, img_height, contrast)
        own_width = fitted.shape[1]
        if own_width <= row_width:
            row[:, :own_width] = fitted
    if own_width < row_width:
        row[:, own_width:] = row[:, own_width - 1 : own_width]
    return own_width


def pad_batch(fitted: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Stack fitted patches, none wider than `width`, into uint8 (B, H, width[, 3]); the last column is repeated."""
    batch = np.empty((len(fitted), fitted[0].shape[0], width, *fitted[0].shape[2:]), dtype=np.uint8)
    for row, patch in zip(batch, fitted, strict=True):
        row[:, : patch.shape[1]] = patch
        row[:, patch.shape[1] :] = patch[:, -1:]
    return batch


def to_input(batch: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W) or (B, H, W, 3), on any device -> float32 (B, 1 or 3, H, W) in [-1, 1]."""
    batch_BCHW = batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
    return batch_BCHW.float().div_(255).sub_(0.5).div_(0.5)


Width = TypeVar("Width", int, np.ndarray)


def num_steps(width: Width) -> Width:
    """Time steps T of the VGG network for an input of `width` pixels (measured for every width 8..603)."""
    return width // 4 - 1
