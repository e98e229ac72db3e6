"""Pages of 300 dpi, drawn once, in zips of AI-Hub's shape that hold them as often as it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec
from synthetic.page import make_page
from synthetic.plan import PagePlan, plan_split
from synthetic.zips import create_zip

from ocr.config import Config
from ocr.labels.aihub import read_label
from ocr.page import Box, image_size
from shard_builder.settings import settings_of
from shard_builder.word_selection import samples_of, words_of

SETTINGS = settings_of(Config())


class DrawnPage(msgspec.Struct, frozen=True):
    """`boxes` are those of the words that the builder writes."""

    image: bytes
    label: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]


def plans(num_pages: int) -> list[PagePlan]:
    return [plan for plan in plan_split(0, "Training", num_pages) if plan.part == "pair"]


def draw_pages(num_pages: int, workers: int) -> list[DrawnPage]:
    draw = partial(make_page, scale=1.0, system_fonts=False)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return [drawn_page(*files) for files in pool.map(draw, plans(num_pages))]


def drawn_page(image: bytes, label: bytes) -> DrawnPage:
    size = image_size(image)
    assert size, "a page that was just drawn is a JPEG"
    words, _ = words_of(read_label(label), *size)
    boxes = tuple(word.box for _, word in samples_of(words, SETTINGS, Counter()))
    return DrawnPage(image, label, *size, boxes)


def write_dataset(folder: Path, pages: Sequence[DrawnPage], num_pages: int) -> Path:
    """`num_pages` pages under stems of their own, the images stored and the labels deflated, as AI-Hub packs them."""
    (folder / "Training").mkdir(parents=True)
    images, labels = folder / "Training/[원천]train.zip", folder / "Training/[라벨]train.zip"
    with create_zip(images) as image_zip, create_zip(labels) as label_zip:
        for number, plan in enumerate(plans(num_pages)):
            page = pages[number % len(pages)]
            image_zip.write(plan.image_name, page.image, deflate=False)
            label_zip.write(plan.label_name, page.label, deflate=True)
    return folder
