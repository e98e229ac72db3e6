"""Every word of a folder of shards, from the indexes alone: where it lies, how large it is, how long its text.

In training and validation a sample is a word; in evaluation it is a page, whose label says where its words are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import msgspec
import numpy as np

from ocr.contact_sheet import SheetCell
from ocr.errors import DataError
from ocr.page import crop, decode_image, page_from_json
from ocr.remote.locations import PathOrUrl
from ocr.shards.shard_index import Index, read_index
from shard_builder.inspect.shard_folders import Folder

COLUMNS = ("shard", "row", "number", "width", "height", "length")


class Words(msgspec.Struct, frozen=True):
    """One word an element: its shard's number, its sample's row there, its own number in the label of a page (-1 where
    the sample is the word); pixels; characters. int32, in the order of the shards.
    """

    shard: np.ndarray
    row: np.ndarray
    number: np.ndarray
    width: np.ndarray
    height: np.ndarray
    length: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)


def words_of(folder: Folder) -> Words:
    """Raises DataError where an index is not there or cannot be read."""
    parts = [np.empty((0, len(COLUMNS)), np.int32)]
    for number, shard in enumerate(folder.shards):
        index = index_of(shard)
        rows = page_rows(shard, index) if folder.holds_pages else patch_rows(index)
        parts.append(np.insert(rows, 0, number, axis=1))
    return Words(*np.concatenate(parts).T)


def index_of(shard: PathOrUrl) -> Index:
    if index := read_index(shard):
        return index
    raise DataError(f"{shard}: no index beside it; run `python -m shard_builder.index {shard.parent}`")


def patch_rows(index: Index) -> np.ndarray:
    """(row, -1, width, height, length) of each sample. A character of UTF-8 has one byte that continues none."""
    first_bytes = np.concatenate([[0], np.cumsum((index.text & 0xC0) != 0x80)])
    length = np.diff(first_bytes[index.text_end.astype(np.int64)], prepend=0)
    rows = np.arange(index.num_samples)
    return np.stack([rows, np.full_like(rows, -1), index.width, index.height, length], axis=1).astype(np.int32)


def page_rows(shard: PathOrUrl, index: Index) -> np.ndarray:
    """The same of each word of each page."""
    rows = []
    for row, label in enumerate(index.encoded_texts()):
        try:
            words = page_from_json(label).words
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{shard}: sample {row}: no label of a page ({error}); build the shard again") from error
        for number, word in enumerate(words):
            x0, y0, x1, y1 = word.box
            rows.append((row, number, x1 - x0, y1 - y0, len(word.text)))
    return np.array(rows, np.int32).reshape(-1, len(COLUMNS) - 1)


def characters_of(folder: Folder) -> dict[str, int]:
    """How often each character stands in the texts: the manifest's counts or, for tars of others, counted here."""
    if folder.manifest:
        return folder.manifest.characters
    counts = Counter[str]()
    for shard in folder.shards:
        counts.update(index_of(shard).text.tobytes().decode(errors="replace"))
    return counts


def random_cells(folder: Folder, words: Words, most: int, seed: int) -> list[SheetCell]:
    """Patches, drawn at random and decoded, with their texts; the same seed draws the same.

    In grey where the builder's settings say so: that is what a recognizer is shown.
    """
    color = folder.manifest is None or bool(folder.manifest.settings["rgb"])
    drawn = np.random.default_rng(seed).permutation(len(words))[:most]
    places = sorted((int(words.shard[word]), int(words.row[word]), int(words.number[word])) for word in drawn)
    cells: list[SheetCell] = []
    for shard, same_shard in groupby(places, key=lambda place: place[0]):
        cells += cells_of(folder.shards[shard], [place[1:] for place in same_shard], color)
    return cells


def cells_of(shard: PathOrUrl, places: list[tuple[int, int]], color: bool) -> Iterator[SheetCell]:
    """The cells at (row, number) of one shard."""
    index = index_of(shard)
    texts = index.encoded_texts()
    with shard.open("rb") as file:
        for row, number in places:
            file.seek(int(index.patch_offset[row]))
            image = decode_image(file.read(int(index.patch_bytes[row])), color)
            if image is not None and color:
                image = image[:, :, ::-1]  # Cell is RGB
            if number < 0:
                yield SheetCell(image, texts[row].decode(errors="replace"))
            else:
                word = page_from_json(texts[row]).words[number]
                yield SheetCell(None if image is None else crop(image, word.box), word.text)
