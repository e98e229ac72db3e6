"""Which page goes where, decided from the zips' directories before a pixel is read.

    zips -> listing of images and labels -> pairs -> seeded order -> splits -> shards of PAGES_A_SHARD pages

A page's place depends on the seed and its stem alone: asking for more pages, or adding zips, moves none of those that
training and evaluation already hold.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import cv2
import msgspec

from ocr.config import Config
from ocr.errors import UsageError
from shard_builder.archives import find_archives
from shard_builder.zips import Entry, check_entries, list_entries

FORMAT = "shards/1"
"""Part of every fingerprint: raise it with any change to what is written for the same pages."""

PAGES_A_SHARD = 64  # about 7,000 words: 112.4 a page over the whole data set
HALF_OF = {"training": "Training", "validation": "Validation", "evaluation": "Validation"}
SPLITS = tuple(HALF_OF)

NO_LABEL = "no label"
NO_IMAGE = "no image"
LISTED_TWICE = "listed twice"
IN_VALIDATION = "also in Validation"
NOT_DRAWN = "not drawn"


class PageSource(msgspec.Struct, frozen=True, gc=False):
    """Where a page's image and label lie. `key` is its stem, made fit for a sample key."""

    key: str
    image: Entry
    label: Entry


class Listing(msgspec.Struct, frozen=True):
    """The images and labels that one half of the data set, Training or Validation, lists, in order of zip and entry."""

    images: list[Entry]
    labels: list[Entry]


class SplitPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The pages of one split in their seeded order, and what became of all others that its zips list."""

    split: str
    pages: tuple[PageSource, ...]
    left_out: Counter[str]
    fingerprint: str

    def shards(self) -> list[tuple[PageSource, ...]]:
        return [self.pages[start : start + PAGES_A_SHARD] for start in range(0, len(self.pages), PAGES_A_SHARD)]


def plan_splits(config: Config, dataset: Path, splits: Sequence[str]) -> list[SplitPlan]:
    """Plan the named splits of a data set.

    Raises UsageError where zips are missing or hold no page for a split, DataError where one cannot be listed or packs
    pages in a way that is not read here.
    """
    listings = list_dataset(dataset, [HALF_OF[split] for split in splits])
    pairs = {half: pair_pages(listing) for half, listing in listings.items()}
    drawn = draw(config, {half: pages for half, (pages, _) in pairs.items()})
    plans = []
    for split in splits:
        paired, refused = pairs[HALF_OF[split]]
        pages, left_out = drawn[split]
        check_number(config, split, len(pages))
        left_out = refused + left_out
        left_out[NOT_DRAWN] = len(paired) - len(pages) - left_out[IN_VALIDATION]
        plans.append(SplitPlan(split=split, pages=pages, left_out=+left_out, fingerprint=digest(config, split, pages)))
    return plans


def list_dataset(dataset: Path, needed: Sequence[str]) -> dict[str, Listing]:
    """What the zips below a folder list, by half; one line on stderr says what was skipped.

    Raises UsageError where one of the needed halves has no image or no label.
    """
    if not dataset.exists():
        raise UsageError(f"{dataset}: no such folder; --dataset is where AI-Hub's zips lie")
    archives = find_archives(dataset)
    if not archives:
        raise UsageError(f"{dataset}: no zip below this folder; put AI-Hub's [라벨]….zip and [원천]….zip there")
    listings = {half: Listing([], []) for half in ("Training", "Validation")}
    skipped = Counter[str]()
    for archive in archives:
        entries, junk = list_entries(archive)
        images = [entry for entry in entries if suffix(entry) in (".jpg", ".jpeg")]
        labels = [entry for entry in entries if suffix(entry) == ".json"]
        skipped += junk
        skipped["other files"] += len(entries) - len(images) - len(labels)
        if images or labels:
            check_entries(archive, images + labels)
            listing = listings[half_of(Path(archive.path), dataset if dataset.is_dir() else dataset.parent)]
            listing.images.extend(images)
            listing.labels.extend(labels)
    for half in needed:
        check_listing(dataset, half, listings[half])
    if kinds := ", ".join(f"{count:,} {kind}" for kind, count in (+skipped).items()):
        print(f"skipped in {len(archives)} zips: {kinds}", file=sys.stderr)
    return listings


def suffix(entry: Entry) -> str:
    return PurePosixPath(entry.name).suffix.lower()


def half_of(path: Path, dataset: Path) -> str:
    """Training or Validation, by the name of a zip or else of the nearest folder above it."""
    for name in reversed(path.relative_to(dataset).parts):
        for half, mark in (("Training", "train"), ("Validation", "valid")):
            if mark in name.lower():
                return half
    raise UsageError(f"{path}: of Training or of Validation? put it in a folder of that name")


def check_listing(dataset: Path, half: str, listing: Listing) -> None:
    for name, kind, entries in (("[라벨]", "label", listing.labels), ("[원천]", "source", listing.images)):
        if not entries:
            content = ".json" if kind == "label" else ".jpg"
            raise UsageError(
                f"{dataset}: no {kind} zip for {half}; put the {name}….zip that holds its {content} files below "
                f"{dataset / half}"
            )


def pair_pages(listing: Listing) -> tuple[list[PageSource], Counter[str]]:
    """Images with their labels, and how many pages lack one or stand there twice.

    They meet by the path below the top folder, and failing that by stem, where that is unique on both sides.
    Pages listed = pairs + refused. Of pages with one stem the first stays.
    """
    refused = Counter[str]()
    images = by_path(listing.images, refused)
    labels = by_path(listing.labels, refused)
    image_of_stem, label_of_stem = unique_stems(images), unique_stems(labels)
    label_of = {path: path for path in images.keys() & labels.keys()}
    for stem in image_of_stem.keys() & label_of_stem.keys():
        label_of.setdefault(image_of_stem[stem], label_of_stem[stem])
    pages: dict[str, PageSource] = {}
    for path, image in images.items():
        if path not in label_of:
            refused[NO_LABEL] += 1
        elif (key := key_of(path.rpartition("/")[2])) in pages:
            refused[LISTED_TWICE] += 1
        else:
            pages[key] = PageSource(key, image, labels[label_of[path]])
    refused[NO_IMAGE] += len(labels.keys() - label_of.values())
    return list(pages.values()), +refused


def by_path(entries: list[Entry], refused: Counter[str]) -> dict[str, Entry]:
    """Entries by their path below the top folder, without suffix; of entries with one path the first stays."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if found.setdefault(path_below_top(entry.name), entry) is not entry:
            refused[LISTED_TWICE] += 1
    return found


def path_below_top(name: str) -> str:
    """`02.원천데이터(jpg)/인.허가/5350109/2001/<stem>.jpg` -> `인.허가/5350109/2001/<stem>`."""
    parts = PurePosixPath(name).with_suffix("").parts
    tops = [index for index, part in enumerate(parts[:-1]) if "원천" in part or "라벨" in part]
    return "/".join(parts[tops[-1] + 1 :] if tops else parts[1:] or parts)


def unique_stems(paths: dict[str, Entry]) -> dict[str, str]:
    """The path of each stem that only one path ends in."""
    counts = Counter(path.rpartition("/")[2] for path in paths)
    return {stem: path for path in paths if counts[stem := path.rpartition("/")[2]] == 1}


def key_of(stem: str) -> str:
    """A stem as a sample key: ASCII, no dot, at most 60 characters. AI-Hub's own stems pass as they are."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", stem):
        return stem
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', stem)[:51]}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"


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
    }


def seeded(seed: int, name: str) -> bytes:
    """What to sort names by for an order that looks random and that nothing but the seed and the name decides."""
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def check_number(config: Config, split: str, num_pages: int) -> None:
    """Say on stderr that there are fewer pages than asked for. Raises UsageError where there are none."""
    key = {"training": "train_images", "validation": "val_images", "evaluation": "eval_images"}[split]
    asked: int = getattr(config, key)
    if num_pages == 0 and asked > 0:
        remedy = "; lower eval_images, which comes first" if split == "validation" else ""
        raise UsageError(f"{split}: the zips hold no page, image and label, for {key}: {asked:,}{remedy}")
    if num_pages < asked:
        print(f"{split}: {asked:,} pages asked for ({key}), {num_pages:,} there: all are taken", file=sys.stderr)


def digest(config: Config, split: str, pages: Sequence[PageSource]) -> str:
    """A digest of all that a split's shards are a function of: settings, and the content of each page in its order.

    The content goes in as the CRC-32 and size that the zips list, so moving or renaming zips changes nothing.
    OpenCV is named because its JPEG bytes may change with its version.
    """
    sha256 = hashlib.sha256(repr((FORMAT, cv2.__version__, split, config.seed, config.rgb)).encode())
    for page in pages:
        content = (page.key, page.image.crc, page.image.num_bytes, page.label.crc, page.label.num_bytes)
        sha256.update(repr(content).encode())
    return sha256.hexdigest()
