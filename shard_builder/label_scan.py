"""The labels, read before any image: how many words a page has and, for the plan, what is likely to become of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ocr.errors import DataError
from ocr.labels.aihub import read_label
from ocr.plumbing.progress import progress
from ocr.remote.connections import RemoteError
from shard_builder.executors import RunJobs
from shard_builder.settings import Settings
from shard_builder.splits import WHOLE_PAGES
from shard_builder.word_selection import samples_of, words_of
from shard_builder.zips.page_sources import PageSource
from shard_builder.zips.read_ahead import by_place, reading_ahead, spare_bytes
from shard_builder.zips.zip_entries import ReadAt, read_entry

PAGES_A_BATCH = 256

UNREADABLE = "label not readable"
WRITTEN = "written"


class LabelScan(msgspec.Struct, frozen=True):
    """What a page's label holds, as far as it alone can tell: its words by fate, and the pixels of those written."""

    num_words: int
    fates: dict[str, int]
    num_pixels: int


NOT_SCANNED = LabelScan(0, {}, 0)


class ScanBatch(msgspec.Struct, frozen=True):
    """Pages whose labels are neighbors in a zip; `numbers` are theirs in the split."""

    split: str
    numbers: tuple[int, ...]
    settings: Settings
    pages: tuple[PageSource, ...]


def scan_pages(
    pages_of: Mapping[str, Sequence[PageSource]], settings: Settings, run_jobs: RunJobs
) -> dict[str, tuple[LabelScan, ...]]:
    """Scan the labels of each split. One that cannot be read has no words; its page is counted when it is built."""
    batches = [batch for split, pages in pages_of.items() for batch in batches_of(split, pages, settings)]
    scans: dict[str, list[LabelScan]] = {split: [NOT_SCANNED] * len(pages) for split, pages in pages_of.items()}

    def labels() -> Iterator[LabelScan]:
        for split, numbers, found in run_jobs(scan_batch, batches):
            for number, scan in zip(numbers, found, strict=True):
                scans[split][number] = scan
                yield scan

    for _ in progress(labels(), "labels", "pages", total=sum(len(batch.pages) for batch in batches)):
        pass
    return {split: tuple(found) for split, found in scans.items()}


def batches_of(split: str, pages: Sequence[PageSource], settings: Settings) -> Iterator[ScanBatch]:
    order = sorted(range(len(pages)), key=lambda number: by_place(pages[number].label))
    for start in range(0, len(order), PAGES_A_BATCH):
        numbers = tuple(order[start : start + PAGES_A_BATCH])
        yield ScanBatch(split, numbers, settings, tuple(pages[number] for number in numbers))


def scan_batch(batch: ScanBatch) -> tuple[str, tuple[int, ...], list[LabelScan]]:
    whole_pages = batch.split in WHOLE_PAGES
    labels = [page.label for page in batch.pages]
    with reading_ahead(labels, spare_bytes(batch.pages)) as read:
        return batch.split, batch.numbers, [scan_label(page, batch.settings, whole_pages, read) for page in batch.pages]


def scan_label(page: PageSource, settings: Settings, whole_pages: bool, read: ReadAt) -> LabelScan:
    try:
        label = read_label(read_entry(page.label, read))
    except RemoteError:
        raise
    except (DataError, ValueError):
        return LabelScan(0, {UNREADABLE: 1}, 0)
    # A label that does not say its page's size cuts no box here.
    words, fates = words_of(label, label.width or 1 << 30, label.height or 1 << 30)
    written = words if whole_pages else samples_of(words, settings, fates)
    fates[WRITTEN] += len(written)
    boxes = [word.box for _, word in written]
    return LabelScan(len(label.words), dict(fates), sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes))
