"""The library: a page in, words out, as the report's `words` systems read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.page_reader import PageReader
from ocr.errors import UsageError
from tests.evaluator.conftest import draw_page


@pytest.mark.parametrize("name", ["english_g2", "finetuned"])
def test_a_page_is_read_word_by_word(easyocr_dir: Path, tmp_path: Path, name: str) -> None:
    jpg, label = draw_page("page_0", ["Hello World 2024", "Minister of Seoul"], tilted="Tilted")
    (tmp_path / "page.jpg").write_bytes(jpg)
    reader = PageReader.load(name, easyocr_dir=easyocr_dir)
    words = reader.read(tmp_path / "page.jpg")
    assert sorted(word.text for word in words) == sorted(word.text for word in label.words)
    assert reader.read(str(tmp_path / "page.jpg")) == reader.read(jpg) == words
    hello = next(word for word in words if word.text == "Hello")
    x0, y0, x1, y1 = label.words[0].box
    assert hello.quad == pytest.approx((x0, y0, x1, y0, x1, y1, x0, y1), abs=12)
    assert 0.5 < hello.confidence <= 1


def test_what_is_no_image_is_named(easyocr_dir: Path, tmp_path: Path) -> None:
    reader = PageReader.load("english_g2", easyocr_dir=easyocr_dir)
    (tmp_path / "page.jpg").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"page.jpg: no image that can be decoded"):
        reader.read(tmp_path / "page.jpg")
    with pytest.raises(UsageError, match="these bytes: no image that can be decoded"):
        reader.read(b"")
    with pytest.raises(UsageError, match="nowhere.jpg: "):
        reader.read(tmp_path / "nowhere.jpg")
