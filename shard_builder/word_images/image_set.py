"""Images of words with their texts, as others keep them. A form is one file with one class that is an `ImageSet`.

labels_csv.py     EasyOCR's trainer: images and labels.csv
labels_lmdb.py    deep-text-recognition-benchmark: an LMDB
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

NO_SUCH_IMAGE = "no such image"
LISTED_TWICE = "listed twice"


class Row(msgspec.Struct, frozen=True, gc=False):
    """An image's name and its text, NFC. `num_bytes` is None where the image is not there.

    `refused` is the reason why it is no sample, as far as the list itself tells.
    """

    name: str
    text: str
    num_bytes: int | None
    refused: str = ""


class ImageList(msgspec.Struct, frozen=True):
    """All rows in their order, each name once but for those that are refused. `remark` says how they were read."""

    rows: list[Row]
    remark: str = ""


class ImageSet(Protocol):
    """A set of one form. It travels to the workers, so it holds paths and no open file."""

    @property
    def path(self) -> Path:
        """The file that lists the images."""
        ...

    def listing(self) -> ImageList:
        """Raises DataError, with the place, where the list cannot be read."""
        ...

    def images(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """The file of each image, in the order of the names; None where it is not there."""
        ...
