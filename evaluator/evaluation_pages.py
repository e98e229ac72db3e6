"""The evaluation shards, local or behind URLs: verified, then read for labels in a first pass, for images in a second.

Labels come first because they are small and make the denominators: an evaluation of hours must not end at a damaged
label, and without a label nobody knows how many words were missed. An image that cannot be decoded is different: its
words are known, and count as missed.
"""

from __future__ import annotations

import tarfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import cv2
import msgspec
import numpy as np

from evaluator.metrics.page_words import PageWords, page_words, quads_of
from ocr.errors import DataError
from ocr.page import Page, Word, clip, decode_image, page_from_json
from ocr.remote.connections import is_url
from ocr.remote.locations import path_or_url
from ocr.shards.manifest import brace_patterns, find_shards, shards_behind, verify_shard
from ocr.shards.tar_reader import tar_samples


class UnreadablePage(Exception):
    """A page image that cannot be evaluated; the message is the reason, for the report."""


class PageImage(msgspec.Struct, frozen=True):
    """What EasyOCR makes of a page's file path: RGB (H, W, 3) for the detector, grey (H, W) for the recognizer.

    Both are uint8 and decoded from the file: the grey one is the JPEG's own luma, not a sum of the colors.
    """

    rgb: np.ndarray
    grey: np.ndarray


def find_page_shards(specs: Sequence[str]) -> list[str]:
    """The shards of all of `specs`: local ones as absolute paths, those behind URLs as URLs, `pipe:…` as it is.

    Raises UsageError where one names nothing, DataError where its manifest names others.
    """
    return [shard for spec in specs for shard in find_some(spec)]


def find_some(spec: str) -> list[str]:
    if spec.startswith("pipe:"):
        return brace_patterns(spec)
    if is_url(spec):
        return [shard.text for shard in shards_behind(spec)]
    return [str(path.absolute()) for path in find_shards(spec)]


def verify(shards: Iterable[str]) -> None:
    """Read shards and hold them against the checksums beside them. Raises DataError.

    What comes from a program has none: its end is watched while it is read.
    """
    for shard in shards:
        if not shard.startswith("pipe:"):
            verify_shard(path_or_url(shard))


def read_labels(shards: Sequence[str]) -> dict[str, Page]:
    """The label of every page by its key, in the order of the shards; texts are NFC.

    Raises DataError for a sample without a label, a label that is damaged or holds an impossible word, a key that
    occurs twice, and shards without a page.
    """
    labels: dict[str, Page] = {}
    for shard, key, members in read_samples(shards):
        if key in labels:
            raise DataError(f"{shard}: {key}: this page came before; name each shard of the evaluation set once")
        labels[key] = read_label(members, f"{shard}: {key}")
    if not labels:
        raise DataError(f"{shards[0]}: no page in {len(shards)} shard(s); build the evaluation shards again")
    return labels


def read_label(members: dict[str, bytes], place: str) -> Page:
    if "json" not in members:
        raise DataError(f"{place}: has no label (.json), so it is no evaluation page; name the shards of evaluation")
    try:
        label = page_from_json(members["json"])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{place}: damaged label: {error}; build the evaluation shards again") from error
    words = tuple(Word(word.box, unicodedata.normalize("NFC", word.text)) for word in label.words)
    for number, word in enumerate(words, start=1):
        if not word.text:
            raise DataError(f"{place}: word {number} has no text; leave it out of the label")
        if clip(word.box, label.width, label.height) != word.box:
            raise DataError(f"{place}: word {number}: box {word.box} holds no area or leaves the page; mend the label")
    return msgspec.structs.replace(label, words=words)


def label_words(label: Page) -> PageWords:
    """A label's words as the metrics take them."""
    boxes_N4 = np.array([word.box for word in label.words], dtype=float).reshape(-1, 4)
    return page_words(quads_of(boxes_N4), [word.text for word in label.words])


def read_images(shards: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    """(key, bytes of the page image) of every page, in the order of `read_labels`; None where a page has no image."""
    for _, key, members in read_samples(shards):
        yield key, members.get("jpg")


def decode_page(jpg: bytes | None, label: Page) -> PageImage:
    """The two images of a page, as they lie in the file: an EXIF rotation is ignored, as labels ignore it.

    Raises UnreadablePage where there is no image, it cannot be decoded, or it has not the label's size.
    """
    if jpg is None:
        raise UnreadablePage("no page image (.jpg) in the sample")
    bgr, grey = decode_image(jpg, color=True), decode_image(jpg, color=False)
    if bgr is None or grey is None:
        raise UnreadablePage("the page image cannot be decoded")
    height, width = grey.shape
    if (width, height) != (label.width, label.height):
        raise UnreadablePage(f"the page image has {width}x{height} pixels, its label says {label.width}x{label.height}")
    return PageImage(rgb=np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)), grey=np.asarray(grey))


def read_samples(shards: Sequence[str]) -> Iterator[tuple[str, str, dict[str, bytes]]]:
    """(shard, key, {extension: bytes}) of every sample. Raises DataError for a damaged tar, and one cut off."""
    for shard in shards:
        try:
            for sample in tar_samples([{"url": shard}], {}):
                members = {name: content for name, content in sample.items() if not name.startswith("__")}
                yield shard, sample["__key__"], members
        except (tarfile.TarError, ValueError, OSError) as error:
            # WebDataset adds its stream to the reason and its URL to the error's arguments.
            reason = getattr(error, "strerror", None) or str(error.args[0]).partition(" @ <")[0]
            raise DataError(f"{shard}: damaged shard: {reason}; build or fetch it again") from error
