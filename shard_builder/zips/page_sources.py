"""What the zips of a data set list: the images and labels of each half, paired into pages."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath

import msgspec

from ocr.errors import UsageError
from ocr.remote.remote_files import map_requests
from ocr.shards.manifest import InputRecord
from shard_builder.zips.archives import Archive, find_archives
from shard_builder.zips.dataset_files import Dataset
from shard_builder.zips.stored_names import readable
from shard_builder.zips.zip_entries import Entry, check_entries, list_entries

NO_LABEL = "no label"
NO_IMAGE = "no image"
LISTED_TWICE = "listed twice"


class PageSource(msgspec.Struct, frozen=True, gc=False):
    """Where a page's image and label lie. `key` is its stem, made fit for a sample key."""

    key: str
    image: Entry
    label: Entry


class Listing(msgspec.Struct, frozen=True):
    """The images and labels that one half of the data set, Training or Validation, lists, in order of zip and entry."""

    images: list[Entry]
    labels: list[Entry]
    inputs: list[InputRecord]


def list_dataset(dataset: Dataset, needed: Sequence[str]) -> dict[str, Listing]:
    """What the zips of a data set list, by half; one line on stderr says what was skipped.

    Raises UsageError where one of the needed halves has no image or no label.
    """
    if isinstance(dataset, Path) and not dataset.exists():
        raise UsageError(f"{dataset}: no such folder; --dataset is where AI-Hub's zips lie")
    archives = find_archives(dataset)
    if not archives:
        raise UsageError(f"{dataset}: no zip below this folder; put AI-Hub's [라벨]….zip and [원천]….zip there")
    listings = {half: Listing([], [], []) for half in ("Training", "Validation")}
    skipped = Counter[str]()
    listed = map(list_entries, archives) if isinstance(dataset, Path) else map_requests(list_entries, archives)
    for archive, (entries, junk) in zip(archives, listed, strict=True):
        images = [entry for entry in entries if suffix(entry) in (".jpg", ".jpeg")]
        labels = [entry for entry in entries if suffix(entry) == ".json"]
        skipped += junk
        skipped["other files"] += len(entries) - len(images) - len(labels)
        if images or labels:
            check_entries(archive, images + labels)
            path = PurePath(archive.path)
            listing = listings[half_of(path, root_of(dataset, path))]
            listing.images.extend(images)
            listing.labels.extend(labels)
            listing.inputs.append(input_record(archive, images + labels))
    for half in needed:
        check_listing(dataset, half, listings[half])
    if kinds := ", ".join(f"{count:,} {kind}" for kind, count in (+skipped).items()):
        print(f"skipped in {len(archives)} zips: {kinds}", file=sys.stderr)
    return listings


def input_record(archive: Archive, entries: Sequence[Entry]) -> InputRecord:
    sha256 = hashlib.sha256()
    for entry in entries:
        sha256.update(repr((entry.name, entry.num_bytes, entry.crc)).encode())
    return InputRecord(readable(Path(archive.path).name), archive.num_bytes, len(entries), sha256.hexdigest())


def suffix(entry: Entry) -> str:
    return PurePosixPath(entry.name).suffix.lower()


def root_of(dataset: Dataset, path: PurePath) -> PurePath:
    """The folder below which the names on the way to a zip say what it holds."""
    if isinstance(dataset, Path):
        return dataset if dataset.is_dir() else dataset.parent
    return dataset.root(path)


def half_of(path: PurePath, root: PurePath) -> str:
    """Training or Validation, by the name of a zip or else of the nearest folder above it."""
    for name in reversed(path.relative_to(root).parts):
        for half, mark in (("Training", "train"), ("Validation", "valid")):
            if mark in name.lower():
                return half
    raise UsageError(f"{path}: of Training or of Validation? put it in a folder of that name")


def check_listing(dataset: Dataset, half: str, listing: Listing) -> None:
    for name, kind, entries in (("[라벨]", "label", listing.labels), ("[원천]", "source", listing.images)):
        if not entries:
            content = ".json" if kind == "label" else ".jpg"
            raise UsageError(
                f"{dataset}: no {kind} zip for {half}; put the {name}….zip that holds its {content} files below "
                f"{dataset}/{half}"
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
