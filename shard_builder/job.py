"""A group of shards, from their pages in the zips to their tars: a pure function of the job, whoever runs it.

read    two entries of a zip, stored or deflated
decode  uint8 (H, W), or (H, W, 3) BGR where the config says rgb
crop    uint8 (h, w) or (h, w, 3), a view
write   training, validation: a word's patch and text, shuffled; evaluation: a page's own JPEG and its words
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing import parent_process
from time import monotonic

import cv2
import msgspec
import numpy as np

from ocr.errors import DataError
from ocr.labels.aihub import read_label
from ocr.labels.label import Label
from ocr.page import Page, Word, crop, decode_image, page_to_json
from ocr.plumbing.memory import keep_freed_memory
from ocr.remote.connections import RemoteError
from ocr.shards.manifest import CategoryCounts, ShardRecord, write_packed, write_shard
from ocr.shards.tar_writer import PackedSample, Sample, pack_sample
from shard_builder.commits import Commit, Failure, write_commit
from shard_builder.label_scan import UNREADABLE, WRITTEN
from shard_builder.page_progress import count_path
from shard_builder.plan import Job, even_parts, slots_of
from shard_builder.settings import Settings
from shard_builder.spill import Spill
from shard_builder.splits import WHOLE_PAGES
from shard_builder.word_selection import IndexedWord, samples_of, words_of
from shard_builder.zips.archives import read_at
from shard_builder.zips.page_sources import PageSource
from shard_builder.zips.read_ahead import by_place, reading_ahead, spare_bytes
from shard_builder.zips.zip_entries import ReadAt, read_entry

BROKEN_ENTRY = "broken entry"
BAD_IMAGE = "image not decodable"
OF_REFUSED_PAGE = "on a page that is not readable"


class Tally:
    """The running counts of a job; texts' characters are counted so that any charset can be held against them."""

    def __init__(self) -> None:
        self.pages = Counter[str]()
        self.words = Counter[str]()
        self.characters = Counter[str]()
        self.categories: dict[str, CategoryCounts] = {}
        self.failures: list[Failure] = []

    def count_page(self, category: str, words: list[IndexedWord]) -> None:
        self.pages[WRITTEN] += 1
        self.words[WRITTEN] += len(words)
        self.characters.update("".join(word.text for _, word in words))
        before = self.categories.get(category, CategoryCounts(0, 0))
        self.categories[category] = CategoryCounts(before.pages + 1, before.words + len(words))

    def count_failure(self, failure: Failure, num_words: int) -> None:
        self.pages[failure.reason] += 1
        self.words[OF_REFUSED_PAGE] += num_words
        self.failures.append(failure)


class PageRefused(Exception):
    """A drawn page that cannot be read: the reason it is counted under, and a line naming zip and member."""

    def __init__(self, reason: str, line: str) -> None:
        super().__init__(line)
        self.reason = reason


class DecodedPage(msgspec.Struct, frozen=True):
    """A page as it was read: `words` are all that lie on it."""

    source: PageSource
    image_bytes: bytes
    image: np.ndarray
    category: str
    words: list[IndexedWord]
    fates: Counter[str]


def run_job(job: Job) -> Commit:
    """Write a job's shards and then its commit. Pages that cannot be read are counted and left out."""
    cv2.setNumThreads(1)  # a core a job
    keep_freed_memory()
    start, tally = monotonic(), Tally()
    write = write_pages if job.split in WHOLE_PAGES else write_words
    shards = write(job, tally)
    commit = Commit(
        split=job.split,
        shards=tuple(shards),
        pages=dict(tally.pages),
        words=dict(+tally.words),
        characters=dict(tally.characters),
        categories=tally.categories,
        failures=tuple(sorted(tally.failures, key=lambda failure: failure.page)),
        seconds=round(monotonic() - start, 3),
    )
    write_commit(job.folder, job.first_shard, commit)
    return commit


def write_pages(job: Job, tally: Tally) -> list[ShardRecord]:
    """Whole pages in their order, each image's bytes as they are."""

    def samples() -> Iterator[Sample]:
        for _, page in read_pages(job, tally, range(len(job.pages))):
            tally.count_page(page.category, page.words)
            tally.words.update(page.fates)
            height, width = page.image.shape[:2]
            words = tuple(word for _, word in page.words)
            label = Page(page.source.key, page.category, width, height, words)
            yield page.source.key, {"jpg": page.image_bytes, "json": page_to_json(label)}

    return [write_shard(path, samples()) for path in job.shard_paths()]


def write_words(job: Job, tally: Tally) -> list[ShardRecord]:
    """Every word that a recognizer of lines can learn from, in the order of its slot."""
    slots = slots_of(job)
    num_slots = sum(job.num_words)
    as_they_lie = sorted(range(len(job.pages)), key=lambda number: by_place(job.pages[number].image))
    with Spill(job.folder, num_slots) as spill:
        for number, page in read_pages(job, tally, as_they_lie):
            words = samples_of(page.words, job.settings, page.fates)
            tally.count_page(page.category, words)
            tally.words.update(page.fates)
            for index, word in words:
                encoded = encode(crop(page.image, word.box), job.settings)
                spill.put(slots[number][index], packed(page.source.key, word, encoded, job.settings))
        parts = zip(job.shard_paths(), even_parts(num_slots, job.num_shards), strict=True)
        return [write_packed(path, spill.samples(start, stop)) for path, (start, stop) in parts]


def packed(page_key: str, word: Word, encoded: bytes, settings: Settings) -> PackedSample:
    x0, y0, x1, y1 = word.box
    members = {settings.patch_format: encoded, "txt": word.text.encode()}
    return pack_sample((f"{page_key}_{x0}-{y0}-{x1}-{y1}", members), (x1 - x0, y1 - y0))


def encode(patch: np.ndarray, settings: Settings) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality] if settings.patch_format == "jpg" else []
    return cv2.imencode(f".{settings.patch_format}", patch, quality)[1].tobytes()


def read_pages(job: Job, tally: Tally, numbers: Sequence[int]) -> Iterator[tuple[int, DecodedPage]]:
    """(number in the job, page) of each page that can be read, in the order of `numbers`; the others are counted."""
    sources = [job.pages[number] for number in numbers]
    parent = os.getppid()  # of a worker: the build, or an engine's own process
    entries = [entry for source in sources for entry in (source.label, source.image)]
    with count_path(job).open("wb", buffering=0) as count, reading_ahead(entries, spare_bytes(sources)) as read:
        for number, source in zip(numbers, sources, strict=True):
            num_words = job.num_words[number]
            try:
                page = read_page(source, num_words, job.settings, read)
            except PageRefused as refusal:
                tally.count_failure(Failure(source.key, refusal.reason, str(refusal)), num_words)
            else:
                yield number, page
            count.write(b".")
            if parent_process() and os.getppid() != parent:  # killed; whoever builds now should have the core
                os._exit(1)


def read_page(source: PageSource, num_words: int, settings: Settings, read: ReadAt = read_at) -> DecodedPage:
    try:
        label_bytes, image_bytes = read_entry(source.label, read), read_entry(source.image, read)
    except RemoteError:  # of the page nothing is known
        raise
    except DataError as error:
        raise PageRefused(BROKEN_ENTRY, str(error)) from error
    label = parse_label(source, label_bytes, num_words)
    image = decode_image(image_bytes, color=settings.rgb)
    if image is None:
        raise PageRefused(BAD_IMAGE, f"{source.image.place}: {BAD_IMAGE}: damaged, cut off, too large, or no JPEG")
    height, width = image.shape[:2]
    words, fates = words_of(label, width, height)
    return DecodedPage(source, image_bytes, image, label.category, words, fates)


def parse_label(source: PageSource, content: bytes, num_words: int) -> Label:
    try:
        label = read_label(content)
    except ValueError as error:
        raise PageRefused(UNREADABLE, f"{source.label.place}: {UNREADABLE}: {error}") from error
    if len(label.words) != num_words:  # its bytes are those that the directory lists, and were not when it was planned
        raise PageRefused(UNREADABLE, f"{source.label.place}: {UNREADABLE} when the build began; run it again")
    return label
