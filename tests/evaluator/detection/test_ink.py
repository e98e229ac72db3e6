from __future__ import annotations

import cv2
import numpy as np
import pytest

from evaluator.detection.ink import pieces_of_ink, regions


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 1.0])
def test_regions_are_those_that_opencv_numbers(share: float) -> None:
    """Nested ones, and those at the edges, too."""
    mask = (np.random.default_rng(0).random((60, 80)) < share).astype(np.uint8)
    mask[10:30, 10:40] = 1
    mask[12:28, 12:38] = 0
    mask[15:20, 15:20] = 1
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    expected = sorted([x, y, x + width, y + height] for x, y, width, height, _ in stats[1:].tolist())
    assert sorted(regions(mask, smallest=1).tolist()) == expected
    large = [box for box in expected if (box[2] - box[0]) * (box[3] - box[1]) >= 9]
    assert sorted(regions(mask, smallest=9).tolist()) == large


def test_an_empty_mask_has_no_region() -> None:
    assert regions(np.zeros((5, 5), np.uint8), smallest=1).shape == (0, 4)


@pytest.mark.parametrize("height", [5.0, 10.0, 22.0])
def test_black_ink_in_a_seal_is_ink_and_red_is_none(height: float) -> None:
    side = round(10 * height)
    rgb: np.ndarray = np.full((2 * side, 2 * side, 3), 240, np.uint8)
    cv2.rectangle(
        rgb, (side // 2, side // 2), (3 * side // 2, 3 * side // 2), (205, 45, 60), max(round(height / 2.5), 1)
    )
    middle = np.s_[side - round(height) : side + round(height)]
    rgb[middle, middle] = 30
    ink_P4, seals_S4 = pieces_of_ink(cv2.GaussianBlur(rgb, (0, 0), height / 12), height)
    assert len(seals_S4) == len(ink_P4) == 1
    assert np.abs(ink_P4[0] - [side - height, side - height, side + height, side + height]).max() <= 2
