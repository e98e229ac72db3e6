from __future__ import annotations

import json

import pytest

from ocr.page import Box, Page, Word, clip, page_from_json, page_to_json


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
