from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from ocr.page import Box, Page, Word, clip, decode_image, image_size, page_from_json, page_to_json


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((-5, -1, 30, 40), (0, 0, 30, 40)),
        ((90, 40, 130, 60), (90, 40, 100, 50)),
        ((100, 0, 120, 10), None),
        ((10, 10, 10, 20), None),
        ((-20, 0, 0, 10), None),
    ],
)
def test_a_box_is_cut_at_the_border_of_the_page(box: Box, clipped: Box | None) -> None:
    assert clip(box, width=100, height=50) == clipped


def test_a_page_survives_json() -> None:
    page = Page("5350178-1999-0001-0344", "인.허가", 2480, 3508, (Word((0, 1, 2, 3), '하며, "김해를'),))
    assert page_from_json(page_to_json(page)) == page
    assert json.loads(page_to_json(page)) == {
        "page": "5350178-1999-0001-0344",
        "category": "인.허가",
        "width": 2480,
        "height": 3508,
        "words": [{"box": [0, 1, 2, 3], "text": '하며, "김해를'}],
    }


def encoded(image_type: str, *parameters: int, width: int = 155, height: int = 57) -> bytes:
    content: np.ndarray = cv2.imencode(f".{image_type}", np.zeros((height, width), np.uint8), parameters)[1]
    return content.tobytes()


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (encoded("jpg"), (155, 57)),
        (encoded("jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2), (155, 57)),
        (encoded("png"), (155, 57)),
        (b"\xff\xd8\xff\xff\xff" + encoded("jpg")[3:], (155, 57)),  # fill bytes before a marker
        (encoded("jpg")[:20] + b"garbage" + encoded("jpg")[20:], (155, 57)),
        (encoded("jpg")[:30], None),
        (b"\xff\xd8", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_the_size_of_an_image_is_read_from_its_header(content: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(content) == size


def test_an_image_that_claims_to_be_huge_is_not_decoded() -> None:
    small = encoded("jpg")
    frame = small.index(b"\xff\xc0")
    huge = small[: frame + 5] + (65_000).to_bytes(2, "big") * 2 + small[frame + 9 :]
    assert image_size(huge) == (65_000, 65_000)
    assert decode_image(huge, color=False) is None


def test_a_png_of_100_000_pixels_a_side_is_not_decoded() -> None:
    small = encoded("png")
    huge = small[:16] + (100_000).to_bytes(4, "big") * 2 + small[24:]
    assert decode_image(huge, color=False) is None
