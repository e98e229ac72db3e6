"""Page images made small enough to look at: grey JPEGs of half an A4 page's 300 dpi, thumbnails and patches.

Grey, so that the colors of the boxes stand out. JPEG, since a page takes 3 ms to encode and 120 kB: as WebP of the same
38 dB it would take 40 kB, but 140 ms (synthetic pages of 300 dpi, one core of an AMD EPYC).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ocr.page import Box, crop, decode_image

SCAN_SIDE, SCAN_QUALITY = 1760, 65
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 128, 60
PATCH_SIDE, PATCH_QUALITY = 640, 80
"""Longest sides in pixels, and JPEG qualities."""


def write_scan(jpg: bytes | None, name: str, patches: Mapping[str, Box], folder: Path) -> bool:
    """Write the images of one page; False, and none, where its image cannot be decoded."""
    grey = None if jpg is None else decode_image(jpg, color=False)
    if grey is None:
        return False
    scan = shrunk(grey, SCAN_SIDE)
    write_jpeg(folder / "scans" / f"{name}.jpg", scan, SCAN_QUALITY)
    write_jpeg(folder / "thumbnails" / f"{name}.jpg", shrunk(scan, THUMBNAIL_SIDE), THUMBNAIL_QUALITY)
    for patch_name, box in patches.items():
        write_jpeg(folder / "patches" / f"{patch_name}.jpg", shrunk(crop(grey, box), PATCH_SIDE), PATCH_QUALITY)
    return True


def shrunk(image: np.ndarray, side: int) -> np.ndarray:
    """The image with its longer side at most `side` pixels; never enlarged."""
    height, width = image.shape
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def write_jpeg(path: Path, image: np.ndarray, quality: int) -> None:
    path.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
