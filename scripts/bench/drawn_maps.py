"""Drawn pages with CRAFT's maps of them, which are kept on disk: a page of 300 dpi takes CRAFT 20 s on two cores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from synthetic.page import make_page
from synthetic.plan import plan_split

from evaluator.detection.box_kinds import CANVAS_SIZE, MAG_RATIO
from evaluator.detection.craft import Craft, Maps, maps_of
from evaluator.evaluation_pages import PageImage, decode_page
from ocr.labels.aihub import read_label
from ocr.page import Page, image_size
from shard_builder.word_selection import words_of


class DrawnPage(msgspec.Struct, frozen=True):
    """A JPEG, and its label as the builder writes it."""

    image: bytes
    label: Page


class MappedPage(msgspec.Struct, frozen=True, eq=False):
    label: Page
    image: PageImage
    maps: Maps


def drawn_pages(seed: int, num_pages: int, scale: float) -> Iterator[DrawnPage]:
    """Pages of the split that is validated and evaluated on; `scale` 1 is 300 dpi."""
    for plan in plan_split(seed, "Validation", num_pages):
        if plan.part == "pair":
            image, label = make_page(plan, scale, system_fonts=False)
            yield drawn_page(Path(plan.label_name).stem, image, label)


def drawn_page(stem: str, image: bytes, label: bytes) -> DrawnPage:
    size = image_size(image)
    assert size, "a page that was just drawn is a JPEG"
    labeled = read_label(label)
    words, _ = words_of(labeled, *size)
    return DrawnPage(image, Page(stem, labeled.category, *size, tuple(word for _, word in words)))


def mapped_page(page: DrawnPage, craft: Craft, folder: Path) -> MappedPage:
    """With the maps that lie in `folder`; those that do not are made, and put there."""
    image = decode_page(page.image, page.label)
    path = folder / f"{hashlib.sha256(page.image).hexdigest()[:24]}.npz"
    height, width = image.grey.shape
    if path.exists():
        with np.load(path) as kept:
            return MappedPage(page.label, image, Maps(kept["text"], kept["link"], float(kept["scale"]), width, height))
    (maps,) = maps_of(craft, [image.rgb], CANVAS_SIZE, MAG_RATIO)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez(unfinished, text=maps.text_HW, link=maps.link_HW, scale=maps.scale)
    unfinished.rename(path)
    return MappedPage(page.label, image, maps)
