"""Which page and which word goes where, decided before a pixel is read.

    zips -> pages of each half          listing.py
    -> the pages of each split          by a seeded hash of the stem: `draw`
    -> words a page                     from the labels: scan.py
    -> jobs, a group of shards each     `jobs_of`; a word's shard and place in it: `slots_of`

Pages stand in an order that the seed and their stems alone decide, and a split is the first of them: asking for more
pages moves none of those that training and evaluation already hold. Zips that are added bring pages in between.

Words are shuffled over a group of shards, because a batch should not come from few pages: 256 words in the order of
shards come from 3 pages as they stand in the zips, from 86 when each shard is shuffled, from 215 of the possible 252
in groups of 704 pages or more.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

import cv2
import msgspec
import numpy as np

from ocr.config import Config
from ocr.errors import UsageError
from ocr.remote.locations import AnyPath, PathOrUrl, Url
from ocr.remote.remote_files import check_writable
from ocr.shards.manifest import InputRecord
from shard_builder.executors import RunJobs
from shard_builder.label_scan import LabelScan, scan_pages
from shard_builder.settings import Settings, settings_of
from shard_builder.splits import HALF_OF, NUM_VALIDATION_PAGES, WHOLE_PAGES
from shard_builder.zips.dataset_files import Dataset
from shard_builder.zips.page_sources import PageSource, list_dataset, pair_pages

FORMAT = "shards/2"
"""Part of every fingerprint: raise it with any change to what is written for the same pages."""

PAGES_A_GROUP = 704  # at least, where there are as many; of 112.4 words each over the whole data set
WORDS_A_SHARD = 8_000  # at most
PAGES_A_SHARD = 64  # of evaluation, whole pages: about 45 MB

IN_VALIDATION = "also in Validation"
NOT_DRAWN = "not drawn"


class Job(msgspec.Struct, frozen=True):
    """A group of neighboring shards, and all that they are a function of. `num_words` is of each page's label."""

    folder: PathOrUrl
    split: str
    settings: Settings
    first_shard: int
    num_shards: int
    pages: tuple[PageSource, ...]
    num_words: tuple[int, ...]

    def shard_paths(self) -> list[PathOrUrl]:
        return [self.folder / f"{self.first_shard + index:06d}.tar" for index in range(self.num_shards)]


class SplitPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The pages of one split in their seeded order, what became of all others, and the jobs that write its shards."""

    split: str
    folder: PathOrUrl
    pages: tuple[PageSource, ...]
    scans: tuple[LabelScan, ...]
    left_out: Counter[str]
    settings: Settings
    inputs: tuple[InputRecord, ...]
    fingerprint: str
    jobs: tuple[Job, ...]


def plan_splits(
    config: Config, dataset: Dataset, out: PathOrUrl, splits: Sequence[str], run_jobs: RunJobs
) -> list[SplitPlan]:
    """Plan the named splits of a data set, reading directories and labels.

    Raises UsageError where zips are missing or hold no page for a split, DataError where one cannot be listed or packs
    its pages in a way that is not read here.
    """
    if isinstance(out, Url):
        check_writable(out.text)
    listings = list_dataset(dataset, [HALF_OF[split] for split in splits])
    pairs = {half: pair_pages(listing) for half, listing in listings.items()}
    drawn = draw(config, {half: pages for half, (pages, _) in pairs.items()})
    settings = settings_of(config)
    for split in splits:
        check_number(config, split, len(drawn[split][0]))
    scans = scan_pages({split: drawn[split][0] for split in splits}, settings, run_jobs)
    plans = []
    for split in splits:
        paired, refused = pairs[HALF_OF[split]]
        pages, left_out = drawn[split]
        left_out = refused + left_out
        left_out[NOT_DRAWN] = len(paired) - len(pages) - left_out[IN_VALIDATION]
        folder = split_folder(split, config, out)
        plans.append(
            SplitPlan(
                split=split,
                folder=folder,
                pages=pages,
                scans=scans[split],
                left_out=+left_out,
                settings=settings,
                inputs=tuple(listings[HALF_OF[split]].inputs),
                fingerprint=digest(settings, split, pages),
                jobs=tuple(jobs_of(folder, split, settings, pages, [scan.num_words for scan in scans[split]])),
            )
        )
    return plans


def split_folder(split: str, config: Config, out: AnyPath) -> AnyPath:
    """Training and validation shards lie in the folder that the trainer selects by name."""
    return out / split if split in WHOLE_PAGES else out / split / config.select_data


Drawn = dict[str, tuple[tuple[PageSource, ...], Counter[str]]]


def draw(config: Config, pages: dict[str, list[PageSource]]) -> Drawn:
    """The pages of each split, and those it may not have.

    A page that both halves hold is one that a model may be measured on, so it is never trained on.
    """
    order = {half: sorted(pages[half], key=lambda page: seeded(config.seed, page.key)) for half in pages}
    held_out = {page.key for page in pages["Validation"]}
    training = [page for page in order["Training"] if page.key not in held_out]
    in_both = Counter({IN_VALIDATION: len(order["Training"]) - len(training)})
    evaluation = order["Validation"][: config.eval_images]
    validation = order["Validation"][config.eval_images :][: config.val_images]
    return {
        "training": (tuple(training[: config.train_images]), in_both),
        "validation": (tuple(validation), Counter()),
        "evaluation": (tuple(evaluation), Counter()),
        "validation_pages": (tuple(validation[:NUM_VALIDATION_PAGES]), Counter()),
    }


def seeded(seed: int, name: str) -> bytes:
    """What to sort names by for an order that looks random and that nothing but the seed and the name decides."""
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def check_number(config: Config, split: str, num_pages: int) -> None:
    """Say on stderr that there are fewer pages than asked for. Raises UsageError where there are none."""
    key = {"training": "train_images", "evaluation": "eval_images"}.get(split, "val_images")
    asked: int = getattr(config, key)
    if split == "validation_pages":
        asked = min(asked, NUM_VALIDATION_PAGES)
    if num_pages == 0 and asked > 0:
        remedy = "; lower eval_images, which comes first" if key == "val_images" else ""
        raise UsageError(f"{split}: the zips hold no page, image and label, for {key}: {asked:,}{remedy}")
    if num_pages < asked:
        print(f"{split}: {asked:,} pages asked for ({key}), {num_pages:,} there: all are taken", file=sys.stderr)


def digest(settings: Settings, split: str, pages: Sequence[PageSource]) -> str:
    """A digest of all that a split's shards are a function of: settings, and the content of each page in its order.

    The content goes in as the CRC-32 and size that the zips list, so moving or renaming zips changes nothing.
    OpenCV is named because its JPEG bytes may change with its version.
    """
    sizes = (PAGES_A_GROUP, WORDS_A_SHARD, PAGES_A_SHARD)
    sha256 = hashlib.sha256(repr((FORMAT, cv2.__version__, split, settings, sizes)).encode())
    for page in pages:
        content = (page.key, page.image.crc, page.image.num_bytes, page.label.crc, page.label.num_bytes)
        sha256.update(repr(content).encode())
    return sha256.hexdigest()


def jobs_of(
    folder: PathOrUrl, split: str, settings: Settings, pages: tuple[PageSource, ...], num_words: Sequence[int]
) -> Iterator[Job]:
    """Cut a split's pages into jobs: a shard of whole pages each, or a group of shards whose words are shuffled."""
    whole_pages = split in WHOLE_PAGES
    num_groups = (
        -(-len(pages) // PAGES_A_SHARD) if whole_pages else max(len(pages) // PAGES_A_GROUP, min(len(pages), 1))
    )
    first_shard = 0
    for start, stop in even_parts(len(pages), num_groups):
        words = tuple(num_words[start:stop])
        num_shards = 1 if whole_pages else max(1, -(-sum(words) // WORDS_A_SHARD))
        yield Job(folder, split, settings, first_shard, num_shards, pages[start:stop], words)
        first_shard += num_shards


def even_parts(num_items: int, num_parts: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each part; sizes differ by one at most."""
    for part in range(num_parts):
        yield part * num_items // num_parts, (part + 1) * num_items // num_parts


def slots_of(job: Job) -> list[np.ndarray]:
    """The place of each page's words among all of the group's, shuffled: int64 (words of the page,) a page.

    Shard k of n holds the slots that `even_parts` gives it. A word is placed by a seeded hash of its page and number,
    so a page that turns out to be broken leaves gaps and moves no other word.
    """
    hashes = [
        int.from_bytes(seeded(job.settings.seed, f"{page.key} {index}")[:8], "little")
        for page, num_words in zip(job.pages, job.num_words, strict=True)
        for index in range(num_words)
    ]
    slots = np.empty(len(hashes), np.int64)
    slots[np.argsort(np.array(hashes, np.uint64), kind="stable")] = np.arange(len(hashes))
    return np.split(slots, list(accumulate(job.num_words))[:-1])
