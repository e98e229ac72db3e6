"""Read pages word by word, as the report's `words` systems do, from anybody's code.

>>> from evaluator.page_reader import PageReader
>>> reader = PageReader.load("finetuned")
>>> reader.read("letter.jpg")
[PageWord(quad=(829.0, 262.0, …), text='김해를', confidence=0.97), …]
"""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np

from evaluator.detection.box_kinds import CANVAS_SIZE, MAG_RATIO, Grouping, load_groupings
from evaluator.detection.craft import Craft, load_craft, maps_of
from evaluator.metrics.experiment import WORDS
from evaluator.recognizers import LANGUAGES, load_baseline, load_finetuned
from evaluator.word_patches import patches_of, read_patches, texts_of
from ocr.errors import UsageError
from ocr.networks.easyocr_files import default_easyocr_dir
from ocr.page import decode_image
from ocr.recognizer import Recognizer


class PageWord(msgspec.Struct, frozen=True):
    """`quad`: x1, y1, … x4, y4, page pixels, clockwise from the text's top left. `confidence` is EasyOCR's."""

    quad: tuple[float, ...]
    text: str
    confidence: float


class PageReader:
    """CRAFT, words, and a recognizer; EasyOCR's own Reader cannot find single words and their commas so."""

    def __init__(self, craft: Craft, words: Grouping, recognizer: Recognizer) -> None:
        self.craft, self.words, self.recognizer = craft, words, recognizer

    @classmethod
    def load(cls, name: str = "finetuned", device: str = "cpu", easyocr_dir: Path | None = None) -> PageReader:
        """The exported recognizer `name`, or one of EasyOCR's own (korean_g2, english_g2), on "cpu" or "cuda".

        Raises UsageError and DataError with one line that names the file and the remedy.
        """
        folder = easyocr_dir or default_easyocr_dir()
        loaded = (load_baseline if name in LANGUAGES else load_finetuned)(name, folder, device)
        return cls(load_craft(folder, device), load_groupings(folder, name)[WORDS], loaded.recognizer)

    def read(self, image: Path | str | bytes) -> list[PageWord]:
        """The words of a page image, a file or its bytes, in no order of reading. Raises UsageError for no image."""
        content = image if isinstance(image, bytes) else read_file(Path(image))
        bgr, grey = decode_image(content, color=True), decode_image(content, color=False)
        if bgr is None or grey is None:
            raise UsageError(f"{'these bytes' if isinstance(image, bytes) else image}: no image that can be decoded")
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        (maps,) = maps_of(self.craft, [rgb], CANVAS_SIZE, MAG_RATIO)
        detection = self.words.boxes(maps, rgb)
        read = read_patches(self.recognizer, patches_of(grey, [(detection, self.words.tall_words)]))
        texts, confidences = texts_of(detection, self.words.tall_words, read)
        return [
            PageWord(tuple(quad.ravel().tolist()), text, confidence)
            for quad, text, confidence in zip(detection.words_P42, texts, confidences, strict=True)
        ]


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
