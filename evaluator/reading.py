"""From page images to the words of every system: a page is detected once, a box is read once by each recognizer.

    sample      (key, JPEG)
    opened      decoded, with the detections that the cache holds         a pool of threads
    mapped      with CRAFT's maps, where a detection is missing           this thread: the network
    found       with a detection for each kind of boxes                   the pool
    read        with the texts of each recognizer                         a thread of its own: the other networks
    compared    the PageReading of each system                            the pool

The steps of neighboring pages overlap, in the order of the pages; what a page gives does not depend on its neighbors.
On a CPU the networks take turns: each has a thread for every core already, and those of two would only wait for one
another.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from threading import Lock
from typing import TypeVar

import msgspec
import numpy as np

from evaluator.detection.box_kinds import CANVAS_SIZE, MAG_RATIO, Grouping
from evaluator.detection.craft import Craft, Maps, maps_of
from evaluator.detection.detection_cache import DetectionCache, digest_of
from evaluator.detection.easyocr_boxes import Detection
from evaluator.detection.tall_words import TallWords
from evaluator.evaluation_pages import UnreadablePage, decode_page, label_words
from evaluator.metrics.end_to_end import PageReading, compare_page
from evaluator.metrics.experiment import REFERENCE, WORDS, Cell, cells
from evaluator.metrics.page_words import NO_WORDS, PageWords, page_words
from evaluator.pipeline import Clock, ahead
from evaluator.recognizers import LoadedRecognizer
from evaluator.word_patches import Shown, patches_of, read_patches, texts_of
from ocr.decoding.decode import Reading
from ocr.page import Page

NETWORK_PAGES = 8
"""Pages that CRAFT is given at once on a GPU, where those of one size run together."""

Item = TypeVar("Item")
Sample = tuple[str, bytes | None]
Turn = AbstractContextManager[object]


class Tools(msgspec.Struct, frozen=True, eq=False):
    """All that a page meets. `groupings` and `caches` are by the name of the boxes, `recognizers` by theirs."""

    craft: Craft
    groupings: Mapping[str, Grouping]
    caches: Mapping[str, DetectionCache]
    recognizers: Mapping[str, LoadedRecognizer]
    clock: Clock

    def tall_words(self, boxes: str) -> TallWords:
        """How boxes that are taller than wide are read; the labels' as words are."""
        return self.groupings[WORDS if boxes == REFERENCE else boxes].tall_words


class ReadPage(msgspec.Struct, frozen=True, eq=False):
    """A page as every system read it; `failure` says why it could not be read, and is empty otherwise.

    `from_cache` is whether all its boxes were there already.
    """

    key: str
    failure: str
    from_cache: bool
    readings: dict[str, PageReading]


class PageWork(msgspec.Struct, eq=False):
    """A page on its way; one with a `failure` holds nothing else.

    Images and maps are dropped when they have been used. `texts` are by recognizer and what it was shown.
    """

    key: str
    label: Page
    failure: str = ""
    rgb_HW3: np.ndarray | None = None
    grey_HW: np.ndarray | None = None
    digest: str = ""
    maps: Maps | None = None
    detections: dict[str, Detection] = msgspec.field(default_factory=dict)
    from_cache: bool = False
    texts: dict[str, dict[Shown, Reading]] = msgspec.field(default_factory=dict)


def read_pages(samples: Iterable[Sample], labels: Mapping[str, Page], tools: Tools) -> Iterator[ReadPage]:
    """Read pages with all systems, in the order of `samples`."""
    workers = min(8, os.cpu_count() or 1)
    size, turn = (1, Lock()) if tools.craft.device == "cpu" else (NETWORK_PAGES, nullcontext())
    with ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(1) as reader:
        opened = ahead(lambda sample: open_page(sample, labels, tools), samples, pool, size + workers)
        mapped = map_pages(opened, tools, size, turn)
        found = ahead(lambda work: find_boxes(work, tools), mapped, pool, size + 1)
        read = ahead(lambda work: read_boxes(work, tools, turn), found, reader, size + 1)
        yield from ahead(lambda work: compare(work, tools), read, pool, size + 1)


def open_page(sample: Sample, labels: Mapping[str, Page], tools: Tools) -> PageWork:
    key, jpg = sample
    work = PageWork(key, labels[key])
    with tools.clock.timed("decode"):
        try:
            image = decode_page(jpg, work.label)
        except UnreadablePage as reason:
            work.failure = str(reason)
            return work
        assert jpg is not None, "a page without an image is unreadable"
        work.rgb_HW3, work.grey_HW, work.digest = image.rgb, image.grey, digest_of(jpg)
        for name, cache in tools.caches.items():
            if (known := cache.read(work.digest)) is not None:
                work.detections[name] = known
        work.from_cache = len(work.detections) == len(tools.caches)
    return work


def map_pages(works: Iterable[PageWork], tools: Tools, size: int, turn: Turn) -> Iterator[PageWork]:
    for some in chunks(works, size):
        new = [work for work in some if not work.failure and not work.from_cache]
        with turn, tools.clock.timed("CRAFT"):
            pages = [work.rgb_HW3 for work in new if work.rgb_HW3 is not None]
            for work, maps in zip(new, maps_of(tools.craft, pages, CANVAS_SIZE, MAG_RATIO), strict=True):
                work.maps = maps
        yield from some


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk


def find_boxes(work: PageWork, tools: Tools) -> PageWork:
    with tools.clock.timed("boxes"):
        if work.maps is not None and work.rgb_HW3 is not None:
            for name, grouping in tools.groupings.items():
                if name not in work.detections:
                    work.detections[name] = grouping.boxes(work.maps, work.rgb_HW3)
                    tools.caches[name].write(work.digest, work.detections[name])
        work.maps = work.rgb_HW3 = None
        if not work.failure:
            boxes_N4 = np.array([word.box for word in work.label.words], dtype=int).reshape(-1, 4)
            work.detections[REFERENCE] = Detection(boxes_N4, np.empty((0, 4, 2), np.float32))
    return work


def read_boxes(work: PageWork, tools: Tools, turn: Turn) -> PageWork:
    if work.grey_HW is None:
        return work
    detections = [(detection, tools.tall_words(boxes)) for boxes, detection in work.detections.items()]
    patches = patches_of(work.grey_HW, detections)
    work.grey_HW = None
    for name, recognizer in tools.recognizers.items():
        with turn, tools.clock.timed(name):
            work.texts[name] = read_patches(recognizer.recognizer, patches)
    return work


def compare(work: PageWork, tools: Tools) -> ReadPage:
    """Hold what each system read against the label; on a page that could not be read it is nothing."""
    reference = label_words(work.label)
    with tools.clock.timed("comparison"):
        readings = {
            cell.system: compare_page(reference, words_of(work, cell, tools)) for cell in cells(list(tools.recognizers))
        }
    return ReadPage(work.key, work.failure, work.from_cache, readings)


def words_of(work: PageWork, cell: Cell, tools: Tools) -> PageWords:
    if work.failure:
        return NO_WORDS
    detection = work.detections[cell.boxes]
    texts, confidences = texts_of(detection, tools.tall_words(cell.boxes), work.texts[cell.recognizer])
    return page_words(detection.words_P42, texts, confidences=confidences)
