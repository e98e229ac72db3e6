"""deep-text-recognition-benchmark's form, which EasyOCR's trainer grew from: a folder with an LMDB, data.mdb, whose
keys are num-samples and, counted from 1, image-000000001 and label-000000001.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ocr.errors import DataError, UsageError
from ocr.plumbing.progress import progress
from shard_builder.word_images.image_set import ImageList, Row

DATA_NAME = "data.mdb"
NO_LABEL = "no label"
NOT_UTF8 = "label not UTF-8"


class LabelsLmdb(msgspec.Struct, frozen=True):
    """A folder of this form."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / DATA_NAME

    def listing(self) -> ImageList:
        with opened(self.folder) as get:
            number = bytes(get(b"num-samples") or b"").decode(errors="replace")
            if not number.isdecimal():
                raise DataError(f"{self.path}: no num-samples in it: not an LMDB of deep-text-recognition-benchmark")
            return ImageList([row_of(get, index) for index in progress(range(1, int(number) + 1), DATA_NAME, "rows")])

    def images(self, names: Sequence[str]) -> Iterator[bytes | None]:
        with opened(self.folder) as get:
            for name in names:
                content = get(name.encode())
                yield None if content is None else bytes(content)


def row_of(get: Any, index: int) -> Row:
    name = f"image-{index:09d}"
    image, label = get(name.encode()), get(f"label-{index:09d}".encode())
    num_bytes = None if image is None else len(image)
    if label is None:
        return Row(name, "", num_bytes, NO_LABEL)
    try:
        return Row(name, unicodedata.normalize("NFC", bytes(label).decode()), num_bytes)
    except UnicodeDecodeError:
        return Row(name, "", num_bytes, NOT_UTF8)


@contextmanager
def opened(folder: Path) -> Iterator[Any]:
    """Yield a function from a key to its value, a view or None. It reads pages of the file as they are asked for."""
    try:
        import lmdb
    except ImportError as error:
        raise UsageError(f"{folder / DATA_NAME}: lmdb is not installed; pip install '.[lmdb]'") from error
    try:
        with lmdb.open(str(folder), readonly=True, lock=False, readahead=False) as environment:
            check_whole(folder / DATA_NAME, environment)
            with environment.begin(buffers=True) as transaction:
                yield transaction.get
    except lmdb.Error as error:
        raise DataError(f"{folder / DATA_NAME}: not an LMDB, or damaged ({error}); copy it again") from error


def check_whole(path: Path, environment: Any) -> None:
    """Raise DataError for a file that ends before its last page: LMDB would crash where it reads on."""
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if (found := path.stat().st_size) < needed:
        raise DataError(f"{path}: {found:,} bytes where it says {needed:,}: cut off; copy it again")
