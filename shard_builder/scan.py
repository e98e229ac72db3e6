"""The labels, read before any image: how many words a page has and, for the plan, what is likely to become of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ocr.errors import DataError
from ocr.progress import progress
from shard_builder.aihub import read_label
from shard_builder.engines import RunJobs
from shard_builder.listing import PageSource
from shard_builder.settings import Settings
from shard_builder.splits import WHOLE_PAGES
from shard_builder.words import samples_of, words_of
from shard_builder.zips import read_entry

PAGES_A_BATCH = 256

UNREADABLE = "label not readable"
WRITTEN = "written"


class LabelScan(msgspec.Struct, frozen=True):
    """What a page's label holds, as far as it alone can tell: its words by fate, and the pixels of those written."""

    num_words: int
    fates: dict[str, int]
    num_pixels: int


class ScanBatch(msgspec.Struct, frozen=True):
    split: str
    start: int
    settings: Settings
    pages: tuple[PageSource, ...]


def scan_pages(
    pages_of: Mapping[str, Sequence[PageSource]], settings: Settings, run_jobs: RunJobs
) -> dict[str, tuple[LabelScan, ...]]:
    """Scan the labels of each split. One that cannot be read has no words; its page is counted when it is built."""
    batches = [
        ScanBatch(split, start, settings, tuple(pages[start : start + PAGES_A_BATCH]))
        for split, pages in pages_of.items()
        for start in range(0, len(pages), PAGES_A_BATCH)
    ]
    scanned: dict[tuple[str, int], list[LabelScan]] = {}

    def labels() -> Iterator[LabelScan]:
        for split, start, scans in run_jobs(scan_batch, batches):
            scanned[split, start] = scans
            yield from scans

    for _ in progress(labels(), "labels", "pages", total=sum(len(batch.pages) for batch in batches)):
        pass
    return {
        split: tuple(scan for batch in batches if batch.split == split for scan in scanned[split, batch.start])
        for split in pages_of
    }


def scan_batch(batch: ScanBatch) -> tuple[str, int, list[LabelScan]]:
    whole_pages = batch.split in WHOLE_PAGES
    return batch.split, batch.start, [scan_label(page, batch.settings, whole_pages) for page in batch.pages]


def scan_label(page: PageSource, settings: Settings, whole_pages: bool) -> LabelScan:
    try:
        label = read_label(read_entry(page.label))
    except (DataError, ValueError):
        return LabelScan(0, {UNREADABLE: 1}, 0)
    # A label that does not say its page's size cuts no box here.
    words, fates = words_of(label, label.width or 1 << 30, label.height or 1 << 30)
    written = words if whole_pages else samples_of(words, settings, fates)
    fates[WRITTEN] += len(written)
    boxes = [word.box for _, word in written]
    return LabelScan(len(label.words), dict(fates), sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes))
