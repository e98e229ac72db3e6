"""What happens to a printed word on its way into a patch, one function a kind: (patch, strength, u) -> patch.

`patch` is uint8 grey (h, w) or RGB (h, w, 3), at the size it has on the page; `strength` is in (0, 1], `u` holds seven
numbers drawn from [0, 1). Only `crop` changes the size. No function writes into the patch it is given. Lengths are
shares of the shorter side, which for a word is its height, so that words of 20 and of 130 pixels are treated alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from ocr.patch import aspect_ratio

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
MIN_SIDE_TO_DRAW_ON = 24  # of smaller patches, a comma or a dash, lines drawn over them would make something else
SEAL_SIZE = 192
NOISE_SIGMA = 40
MOST_WIDENED = 1.1  # what is wider still is squeezed by its batch


def ink(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """Bold or thin print: part of the way to a stroke one pixel wider or narrower on each side.

    Strokes of small words are two pixels wide, so these go less far.
    """
    side = min(patch.shape[:2])
    amount = (2 * u[0] - 1) * strength * min(1.0, side / 48)
    grow = cv2.erode if amount > 0 else cv2.dilate  # ink is dark: the darker neighbor wins in erode
    changed = grow(patch, CROSS, iterations=max(1, round(side / 64)))
    return np.asarray(cv2.addWeighted(patch, 1 - abs(amount), changed, abs(amount), 0))


def rule(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """A line of a form: under, above or through the word, or, one time in three, upright at its left or right end.

    An upright line elsewhere could be the vowel ㅣ, so it stands in the paper before or behind the ink.
    """
    height, width = patch.shape[:2]
    side = min(height, width)
    if side < MIN_SIDE_TO_DRAW_ON:
        return patch
    mask = np.full((height, width), 255, np.uint8)
    if u[0] < 1 / 3:
        _, _, left, right = ink_margins(patch)
        x = round(left * u[1]) if u[2] < 0.5 else width - 1 - round(right * u[1])
        start, end = (x, -1), (x, height)
    else:
        # In the upper or the lower fifth, and one time in five anywhere: there ㅣ may come to look like ㅓ or ㅏ.
        share = (0.2 * u[1], 0.2 * u[1], 1 - 0.2 * u[1], 1 - 0.2 * u[1], u[1])[int(5 * u[2])]
        tilt = 0.02 * (u[3] - 0.5) * min(width, 4 * height)
        start, end = (-1, round(share * height - tilt)), (width, round(share * height + tilt))
    thickness = max(1, round(side * (0.015 + 0.035 * u[4])))
    cv2.line(mask, start, end, round(255 * (1 - strength * (0.5 + 0.5 * u[5]))), thickness, cv2.LINE_AA)
    return darkened(patch, mask)


def stamp(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """Part of a red seal, round or square, over the word: red in RGB, a mid-tone in grey, darker where it meets ink."""
    height, width = patch.shape[:2]
    if min(height, width) < MIN_SIDE_TO_DRAW_ON:
        return patch
    scale = min(height, width) * (0.7 + 0.9 * u[0]) / (SEAL_SIZE / 2)
    turn = 0.4 * (u[1] - 0.5)
    across, down = scale * math.cos(turn), scale * math.sin(turn)
    x, y = width * u[2], height * (1.5 * u[3] - 0.25)
    move = np.array([[across, -down, x], [down, across, y]]) @ CENTER_OF_SEAL
    mask = cv2.warpAffine(seal(u[4] < 0.5), move, (width, height), borderValue=255)
    opacity = strength * (0.5 + 0.5 * u[5])
    mask = cv2.convertScaleAbs(mask, alpha=opacity, beta=255 * (1 - opacity))
    return darkened(patch, mask if patch.ndim == 2 else red(mask))


CENTER_OF_SEAL = np.array([[1, 0, -SEAL_SIZE / 2], [0, 1, -SEAL_SIZE / 2], [0, 0, 1]])


@cache
def seal(is_round: bool) -> np.ndarray:
    """A seal on white, uint8 (SEAL_SIZE, SEAL_SIZE): a frame and bent strokes like those of seal script.

    Its ink is 90, the grey of a full red, (230, 30, 30).
    """
    picture = np.full((SEAL_SIZE, SEAL_SIZE), 255, np.uint8)
    if is_round:
        cv2.circle(picture, (96, 96), 90, 90, 6, cv2.LINE_AA)
        cv2.circle(picture, (96, 96), 74, 90, 2, cv2.LINE_AA)
    else:
        cv2.rectangle(picture, (8, 8), (184, 184), 90, 8, cv2.LINE_AA)
    for left in (54, 104):
        zigzag = [(left + 34 * (step % 4 in (1, 2)), 54 + 28 * (step // 2)) for step in range(8)]
        cv2.polylines(picture, [np.array(zigzag, np.int32)], False, 90, 6, cv2.LINE_AA)
    return picture


def darkened(patch: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A patch with ink printed over it: `mask` is what white paper would show, grey or RGB."""
    if mask.ndim < patch.ndim:
        mask = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(patch, mask, scale=1 / 255))


def red(mask: np.ndarray) -> np.ndarray:
    """RGB of red ink whose luma, 0.299 R + 0.587 G + 0.114 B, is the mask's: 90 gives (230, 30, 30)."""
    grey = np.arange(256)
    strong = 255 - 0.15 * (255 - grey)
    weak = np.clip((grey - 0.299 * strong) / 0.701, 0, 255)
    table = np.rint(np.stack([strong, weak, weak], axis=1)).astype(np.uint8)
    return np.asarray(table[mask])


def shear(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """A page that lies askew and letters that lean: (x, y) moves by (slant * y, skew * x) from the center.

    At most 11 degrees of slant and 3 of skew; long words turn less, so that their ends stay in the patch.
    """
    height, width = patch.shape[:2]
    side = min(height, width)
    skew = (2 * u[0] - 1) * strength * min(0.05, 0.12 * side / width)
    slant = (2 * u[1] - 1) * strength * min(0.2, 0.24 * side / height)
    move = np.array([[1, slant, -slant * (height - 1) / 2], [skew, 1, -skew * (width - 1) / 2]])
    return np.asarray(cv2.warpAffine(patch, move, (width, height), borderMode=cv2.BORDER_REPLICATE))


def crop(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """Another box around the same ink, as CRAFT's boxes differ from the labels'.

    Each side moves by itself: inward over the paper, to a pixel from the ink at most, or outward by at most 0.25;
    CRAFT's exceed the ink by 0 to 0.3. None cuts ink: the Reader's padding would draw a cut stroke out to a bar. A
    patch in a shard has no surroundings, so what lies outward is made up: the last row or column repeated, or plain
    paper. Neighboring words, which a real box may touch, are not simulated.

    Fitted, the result is never wider than what the Reader pads the given patch to, nor than the given patch by more
    than a tenth: rows are added where it would be.
    """
    height, width = patch.shape[:2]
    outward = 0.25 * min(height, width)
    top, bottom, left, right = (
        round((2 * number - 1) * strength * (outward if number > 0.5 else max(margin - 1, 0)))
        for number, margin in zip(u[:4], ink_margins(patch), strict=True)
    )
    widest = min(math.ceil(aspect_ratio(height, width)), MOST_WIDENED * width / height)  # in heights
    lacking = math.ceil((width + left + right) / widest) - (height + top + bottom)
    if lacking > 0:
        top, bottom = top + lacking // 2, bottom + lacking - lacking // 2
    kept = patch[max(-top, 0) : height + min(bottom, 0), max(-left, 0) : width + min(right, 0)]
    added = (max(top, 0), max(bottom, 0), max(left, 0), max(right, 0))
    if u[4] < 0.5:
        return np.asarray(cv2.copyMakeBorder(kept, *added, cv2.BORDER_REPLICATE))
    return np.asarray(cv2.copyMakeBorder(kept, *added, cv2.BORDER_CONSTANT, value=paper_tone(patch)))


def ink_margins(patch: np.ndarray) -> tuple[int, int, int, int]:
    """Rows above and below and columns left and right of the ink that hold paper alone; 0 where there is no ink.

    Ink is what is darker than paper by a third of the patch's contrast; light letters on dark ground have no margin.
    """
    grey = patch if patch.ndim == 2 else np.ascontiguousarray(patch[:, :, 1])  # green: red ink is dark in it
    low, high, _, _ = cv2.minMaxLoc(grey)
    if high - low < 24:
        return 0, 0, 0, 0
    dark = cv2.threshold(grey, high - (high - low) / 3, 255, cv2.THRESH_BINARY_INV)[1]
    left, top, width, height = cv2.boundingRect(dark)
    return top, grey.shape[0] - top - height, left, grey.shape[1] - left - width


def paper_tone(patch: np.ndarray) -> list[int]:
    """The median of the first row or of the last, a value a channel; the lighter, because one of them may be a rule."""
    middle = patch.shape[1] // 2
    paper = np.maximum(np.sort(patch[0], axis=0)[middle], np.sort(patch[-1], axis=0)[middle])
    return [int(tone) for tone in np.atleast_1d(paper)]


def blur(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """Out of focus (Gaussian, sigma up to 0.04), or moved while it was scanned (up to 0.12, along x or y)."""
    side = min(patch.shape[:2])
    if u[0] < 0.7:
        sigma = strength * (0.2 + 0.8 * u[1]) * 0.04 * side
        size = 2 * math.ceil(2 * sigma) + 1
        return np.asarray(cv2.GaussianBlur(patch, (size, size), sigma, borderType=cv2.BORDER_REPLICATE))
    length = 1 + 2 * round(strength * (0.2 + 0.8 * u[1]) * 0.06 * side)
    size_xy = (length, 1) if u[2] < 0.5 else (1, length)
    return np.asarray(cv2.blur(patch, size_xy, borderType=cv2.BORDER_REPLICATE))


def tone(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """Other brightness, contrast and gamma, by moving the darkest and the lightest tone: nothing is clipped away.

    At least half of the patch's contrast stays.
    """
    low, high, _, _ = cv2.minMaxLoc(patch.reshape(patch.shape[0], -1))
    if low == high:
        return patch
    half = 0.5 * (high - low)
    new_low = min(max(low + strength * 80 * (2 * u[0] - 1), 0.0), 255.0 - half)
    new_high = min(max(high + strength * 60 * (2 * u[1] - 1), new_low + half), 255.0)
    gamma = math.exp(strength * 0.7 * (2 * u[2] - 1))
    table = np.zeros(256, np.uint8)
    share = np.arange(high - low + 1) / (high - low)
    table[int(low) : int(high) + 1] = new_low + share**gamma * (new_high - new_low) + 0.5
    return np.asarray(cv2.LUT(patch, table))


def noise(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """Normally distributed noise of up to 20 levels: a sensor's, a pixel each, or paper's, in coarser grains."""
    height, width = patch.shape[:2]
    grain = 1 if u[1] < 0.5 else 2 + int(3 * u[2])
    shape = (-(-height // grain), -(-width // grain), *patch.shape[2:])
    grains = noise_field(math.prod(shape), u[3]).reshape(shape)
    if grain > 1:
        grains = cv2.resize(grains, (width, height), interpolation=cv2.INTER_LINEAR)
    amount = strength * (0.3 + 0.7 * u[0]) * 20 / NOISE_SIGMA
    return np.asarray(cv2.addWeighted(patch, 1.0, grains, amount, -128 * amount))


def noise_field(num_grains: int, place: float) -> np.ndarray:
    """So many grains from a place, 0 to 1, among the million: drawing them anew would cost as much as all else."""
    field = million_grains()
    while len(field) < num_grains:  # a patch as large as a page
        field = np.concatenate([field, field])
    start = int(place * (len(field) - num_grains + 1))
    return field[start : start + num_grains]


@cache
def million_grains() -> np.ndarray:
    """Normally distributed bytes, mean 128, sigma NOISE_SIGMA, the same in every process."""
    grains = np.random.Generator(np.random.Philox(key=0)).normal(128, NOISE_SIGMA, 1 << 20)
    return np.clip(np.rint(grains), 0, 255).astype(np.uint8)


def jpeg(patch: np.ndarray, strength: float, u: Sequence[float]) -> np.ndarray:
    """One more JPEG, of a quality down to 20."""
    quality = round(95 - 75 * strength * (0.2 + 0.8 * u[0]))
    color = patch.ndim == 3
    stored = cv2.cvtColor(patch, cv2.COLOR_RGB2BGR) if color else patch
    encoded = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE))
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)) if color else decoded
