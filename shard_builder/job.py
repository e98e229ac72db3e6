"""One shard, from its pages in the zips to its tar: a pure function of its job, whichever process runs it.

read    two entries of a zip, stored or deflated
decode  uint8 (H, W), or (H, W, 3) BGR where the config says rgb
crop    uint8 (h, w) or (h, w, 3), a view
write   training, validation: a word's JPEG and text; evaluation: a page's own JPEG and its words
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np

from ocr.errors import DataError
from ocr.page import Page, Word, crop, decode_image, page_to_json
from ocr.shards import Sample, write_shard
from shard_builder.aihub import read_label, to_page
from shard_builder.commits import WRITTEN, Commit, write_commit
from shard_builder.plan import PageSource, seeded
from shard_builder.zips import read_entry

JPEG_QUALITY = 95
MIN_SIDE = 4  # pixels; the smallest real words, single marks, measure 16
VERTICAL_RATIO = 1.5  # height / width; 0.6 % of the words run from top to bottom, in form cells

TOO_SMALL = "below 4 px a side"
VERTICAL = "vertical"
BROKEN_ENTRY = "broken entry"
BAD_IMAGE = "image not decodable"
BAD_LABEL = "label not readable"


class Job(msgspec.Struct, frozen=True):
    """All that one shard is a function of."""

    path: Path
    split: str
    seed: int
    rgb: bool
    pages: tuple[PageSource, ...]


class Tally:
    """The running counts of a job; texts' characters are counted so that any charset can be held against them."""

    def __init__(self) -> None:
        self.pages = Counter[str]()
        self.words = Counter[str]()
        self.characters = Counter[str]()
        self.failures: list[str] = []


class PageRefused(Exception):
    """A drawn page that cannot be read: the reason it is counted under, and a line naming zip and member."""

    def __init__(self, reason: str, line: str) -> None:
        super().__init__(line)
        self.reason = reason


def run_job(job: Job) -> Commit:
    """Write a job's shard and then its commit. Pages that cannot be read are counted and left out."""
    tally = Tally()
    if job.split == "evaluation":
        shard = write_shard(job.path, page_samples(job, tally))
    else:
        words = sorted(word_samples(job, tally), key=lambda sample: seeded(job.seed, sample[0]))
        shard = write_shard(job.path, words)
    commit = Commit(shard, dict(tally.pages), dict(tally.words), dict(tally.characters), tuple(tally.failures))
    write_commit(job.path.parent, commit)
    return commit


def page_samples(job: Job, tally: Tally) -> Iterator[Sample]:
    """Whole pages, the image's bytes as they are."""
    for image_bytes, _, page in read_pages(job, tally):
        for word in page.words:
            count_written(word, tally)
        yield page.stem, {"jpg": image_bytes, "json": page_to_json(page)}


def word_samples(job: Job, tally: Tally) -> Iterator[Sample]:
    """Every word that a recognizer of lines can learn from, in the order of pages and annotations."""
    for _, image, page in read_pages(job, tally):
        for word in page.words:
            if reason := refuse(word):
                tally.words[reason] += 1
                continue
            count_written(word, tally)
            key = f"{page.stem}_{'-'.join(map(str, word.box))}"
            yield key, {"jpg": encode(crop(image, word.box)), "txt": word.text.encode()}


def count_written(word: Word, tally: Tally) -> None:
    tally.words[WRITTEN] += 1
    tally.characters.update(word.text)


def refuse(word: Word) -> str | None:
    """Why a word of a page is no sample to train on, if so."""
    x0, y0, x1, y1 = word.box
    if min(x1 - x0, y1 - y0) < MIN_SIDE:
        return TOO_SMALL
    if y1 - y0 > VERTICAL_RATIO * (x1 - x0) and len(word.text) > 1:
        return VERTICAL
    return None


def read_pages(job: Job, tally: Tally) -> Iterator[tuple[bytes, np.ndarray, Page]]:
    """(the image's bytes, the decoded image, the page) of each page that can be read; all are counted."""
    for source in job.pages:
        try:
            image_bytes, image, page, refused_words = read_page(source, job.rgb)
        except PageRefused as refusal:
            tally.pages[refusal.reason] += 1
            tally.failures.append(str(refusal))
            continue
        tally.pages[WRITTEN] += 1
        tally.words.update(refused_words)
        yield image_bytes, image, page


def read_page(source: PageSource, rgb: bool) -> tuple[bytes, np.ndarray, Page, Counter[str]]:
    try:
        image_bytes, label_bytes = read_entry(source.image), read_entry(source.label)
    except DataError as error:
        raise PageRefused(BROKEN_ENTRY, str(error)) from error
    image = decode_image(image_bytes, color=rgb)
    if image is None:
        raise PageRefused(BAD_IMAGE, f"{source.image.place}: {BAD_IMAGE}: damaged, cut off, or no JPEG")
    try:
        label = read_label(label_bytes)
    except ValueError as error:
        raise PageRefused(BAD_LABEL, f"{source.label.place}: {BAD_LABEL}: {error}") from error
    height, width = image.shape[:2]
    return image_bytes, image, *to_page(label, source.key, width, height)


def encode(patch: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", patch, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
