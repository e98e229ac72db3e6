"""Paper and scanner: from ink on a canvas to the JPEG file of a page."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from synthetic.draw import Drawing, Layer
from synthetic.geometry import Geometry

_TILE = 1024
_RED = (60, 45, 205)  # BGR of a seal's ink on white

cv2.setNumThreads(1)  # a page a process


def scan(drawing: Drawing, geometry: Geometry, grey: bool, rng: np.random.Generator) -> bytes:
    """Return the JPEG of the sheet as the scanner sees it, in three channels or, if `grey`, in one."""
    blur = float(rng.uniform(0.5, 1.3)) * geometry.scale
    tone = 255 - _onto_page(drawing.black, geometry, blur)
    if rng.random() < 0.15:
        tone = _copy(tone, float(rng.uniform(165, 205)))
    if rng.random() < 0.2:
        tone = _show_back(tone, rng)
    tone = _light(tone, rng)
    _add_specks(tone, geometry.scale, rng)
    tone = _add_grain(tone, float(rng.uniform(1.0, 5.0)), rng)
    page = tone if grey else _tint(tone, rng)
    if drawing.red is not None:
        page = _stamp(page, _onto_page(drawing.red, geometry, blur * 1.3), rng)
    quality = int(rng.integers(75, 93))
    _, content = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return content.tobytes()


def _onto_page(layer: Layer, geometry: Geometry, blur: float) -> Layer:
    page = cv2.warpAffine(layer, geometry.canvas_to_page, geometry.page_size, flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.GaussianBlur(page, (0, 0), max(0.3, blur)), dtype=np.uint8)


def _copy(tone: Layer, threshold: float) -> Layer:
    """Harden the edges, as a copying or fax machine does that knows but black and white."""
    # The threshold lies high, so that thin strokes stay.
    table = np.clip((np.arange(256) - threshold) * 5 + threshold, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(tone, table), dtype=np.uint8)


def _show_back(tone: Layer, rng: np.random.Generator) -> Layer:
    """Let the other side of thin paper shine through, here the page itself, turned over."""
    height, width = tone.shape
    small = cv2.resize(tone[:, ::-1], (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    back = cv2.resize(np.roll(small, int(rng.integers(height // 4)), axis=0), (width, height))
    share = float(rng.uniform(0.03, 0.1))
    return np.asarray(cv2.addWeighted(tone, 1, back, share, -255 * share), dtype=np.uint8)


def _light(tone: Layer, rng: np.random.Generator) -> Layer:
    """Set the grey of ink and paper, and let the light fall off toward one side."""
    ink, paper = float(rng.uniform(15, 80)), float(rng.uniform(225, 250))
    # Above 1, strokes come out thick, as from a dark copy; below, thin.
    gamma = float(rng.uniform(0.7, 1.5))
    table = ink + (paper - ink) * (np.arange(256) / 255) ** gamma
    tone = np.asarray(cv2.LUT(tone, table.astype(np.uint8)), dtype=np.uint8)
    corners = rng.uniform(-6, 6, size=(2, 2))
    fall = cv2.resize(corners, (tone.shape[1], tone.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(tone, fall.astype(np.int16), dtype=cv2.CV_8U), dtype=np.uint8)


@lru_cache
def _grain_tile() -> NDArray[np.float32]:
    """Return noise of unit variance, a little blurred as a scanner's is; its opposite sides fit together."""
    noise = np.random.default_rng(7).normal(size=(_TILE, _TILE)).astype(np.float32)
    noise += 0.6 * (np.roll(noise, 1, axis=0) + np.roll(noise, 1, axis=1))
    return np.asarray(noise / noise.std(), dtype=np.float32)


def _add_grain(tone: Layer, sigma: float, rng: np.random.Generator) -> Layer:
    """Add noise: one tile, rolled to a place of its own for each page and laid side by side."""
    height, width = tone.shape
    shift = rng.integers(_TILE, size=2)
    tile = np.roll(np.rint(_grain_tile() * sigma).astype(np.int16), (int(shift[0]), int(shift[1])), axis=(0, 1))
    noise = np.tile(tile, (-(-height // _TILE), -(-width // _TILE)))[:height, :width]
    return np.asarray(cv2.add(tone, noise, dtype=cv2.CV_8U), dtype=np.uint8)


def _add_specks(tone: Layer, scale: float, rng: np.random.Generator) -> None:
    """Put dust on the glass, and sometimes the holes of a binder and the shadow of the paper's edge."""
    height, width = tone.shape
    for _ in range(int(rng.integers(0, 60))):
        center = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(tone, center, max(1, round(float(rng.uniform(0.5, 3)) * scale)), int(rng.integers(90, 200)), -1)
    if rng.random() < 0.3:
        x, y = round(float(rng.uniform(60, 110)) * scale), height * float(rng.uniform(0.47, 0.53))
        for offset in (-472, 472):  # 80 mm apart
            cv2.circle(tone, (x, round(y + offset * scale)), round(34 * scale), int(rng.integers(40, 120)), -1)
    if rng.random() < 0.4:
        edge = max(1, round(float(rng.uniform(3, 14)) * scale))
        side = tone[:, :edge] if rng.random() < 0.5 else tone[:, -edge:]
        side[:] = (side * float(rng.uniform(0.3, 0.8))).astype(np.uint8)


def _tint(tone: Layer, rng: np.random.Generator) -> Layer:
    """Color the page: yellowish or greyish paper, ink that stays nearly black."""
    yellow, cold = float(rng.gamma(1.2, 0.03)), float(rng.uniform(0, 0.012))
    levels = np.arange(256)
    shares = (1 - min(yellow, 0.12), 1 - min(yellow, 0.12) * 0.25, 1 - cold)
    channels = [cv2.LUT(tone, np.rint(levels * share).astype(np.uint8)) for share in shares]
    return np.asarray(cv2.merge(channels), dtype=np.uint8)


def _stamp(page: Layer, red: Layer, rng: np.random.Generator) -> Layer:
    """Multiply the red ink onto the page, unevenly, as a pressed stamp leaves it."""
    x, y, width, height = cv2.boundingRect(red)
    part = page[y : y + height, x : x + width].astype(np.float32)
    worn = cv2.resize(rng.uniform(0.55, 1.0, size=(12, 12)).astype(np.float32), (width, height))
    ink = red[y : y + height, x : x + width].astype(np.float32) / 255 * worn
    color = np.array(_RED if page.ndim == 3 else [110], dtype=np.float32)
    absorbed = ink[..., None] * (1 - color / 255)
    page[y : y + height, x : x + width] = (
        (part.reshape(height, width, -1) * (1 - absorbed)).astype(np.uint8).reshape(part.shape)
    )
    return page
