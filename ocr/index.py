"""The index of a shard: where each sample lies in the tar, how large its patch is and what it says.

`000000.tar` has `000000.index.npz` beside it: arrays that `numpy.load` reads, one row a sample in the tar's order.

    format                      str       INDEX_FORMAT
    tar_bytes                   uint64    size of the tar this was made of
    tar_sha256                  uint8 (32,)
    sample_offset, sample_bytes uint64    from a sample's first header to the end of its last member's padding
    patch_offset, patch_bytes   uint64    the image's bytes in the tar; 0 bytes for a sample without one
    patch_crc                   uint32    CRC-32 of these bytes: tar itself guards its headers only
    width, height               uint32    pixels; 0 where the image does not say
    text                        uint8     all texts, UTF-8, one behind the other (an evaluation page's: its JSON)
    text_end                    uint64    where each text ends in `text`

With it any sample is one `pread` away, and which samples a config can use, and in which batches they go, is known
before a shard is opened.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from ocr.errors import DataError
from ocr.files import written_whole
from ocr.page import image_size

INDEX_FORMAT = "shard-index/1"
INDEX_SUFFIX = ".index.npz"
IMAGE_TYPES = ("jpg", "jpeg", "png")
TEXT_TYPES = ("txt", "json")
BLOCK = 512  # what tar pads everything to
COLUMNS = {
    "sample_offset": np.uint64,
    "sample_bytes": np.uint64,
    "patch_offset": np.uint64,
    "patch_bytes": np.uint64,
    "patch_crc": np.uint32,
    "width": np.uint32,
    "height": np.uint32,
    "text_end": np.uint64,
}


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """An index as its file holds it; see the module for the arrays. `tar_sha256` is the hex digest."""

    tar_bytes: int
    tar_sha256: str
    sample_offset: np.ndarray
    sample_bytes: np.ndarray
    patch_offset: np.ndarray
    patch_bytes: np.ndarray
    patch_crc: np.ndarray
    width: np.ndarray
    height: np.ndarray
    text: np.ndarray
    text_end: np.ndarray

    @property
    def num_samples(self) -> int:
        return len(self.sample_offset)

    def texts(self) -> list[str]:
        """The text of each sample. Raises UnicodeDecodeError where one is no UTF-8."""
        encoded, ends = self.text.tobytes(), self.text_end.tolist()
        return [encoded[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]


class IndexRows:
    """The index of a tar that is being written or scanned, a row at a time."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []  # each in the order of COLUMNS
        self.text = bytearray()

    def add(self, sample_offset: int, end: int, members: dict[str, tuple[int, bytes]]) -> None:
        """A sample from `sample_offset` to `end` with its members: {extension: (offset of its data, data)}."""
        patch_offset, patch = next((members[name] for name in IMAGE_TYPES if name in members), (0, b""))
        width, height = image_size(patch) or (0, 0)
        self.text += next((members[name][1] for name in TEXT_TYPES if name in members), b"")
        size, crc = end - sample_offset, zlib.crc32(patch)
        self.rows.append((sample_offset, size, patch_offset, len(patch), crc, width, height, len(self.text)))

    def index(self, tar_bytes: int, tar_sha256: str) -> Index:
        table = np.array(self.rows, np.uint64).reshape(-1, len(COLUMNS))
        columns = {name: table[:, row].astype(dtype) for row, (name, dtype) in enumerate(COLUMNS.items())}
        text = np.frombuffer(bytes(self.text), np.uint8)
        return Index(tar_bytes=tar_bytes, tar_sha256=tar_sha256, text=text, **columns)


def index_path(shard: Path) -> Path:
    return shard.with_suffix(INDEX_SUFFIX)


def write_index(shard: Path, index: Index) -> None:
    """Write the index beside its shard: the same index gives the same bytes."""
    arrays = {name: getattr(index, name) for name in ("text", *COLUMNS)}
    with written_whole(index_path(shard)) as file:
        np.savez(
            file,
            format=np.array(INDEX_FORMAT),
            tar_bytes=np.uint64(index.tar_bytes),
            tar_sha256=np.frombuffer(bytes.fromhex(index.tar_sha256), np.uint8),
            **arrays,
        )


def read_index(shard: Path) -> Index | None:
    """The index beside a shard; None where there is none. Raises DataError for one that cannot be read."""
    path = index_path(shard)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if (found := str(arrays["format"])) != INDEX_FORMAT:
                raise ValueError(f"its format is {found!r}, not {INDEX_FORMAT!r}")
            columns = {name: arrays[name].astype(dtype, copy=False) for name, dtype in COLUMNS.items()}
            return Index(
                tar_bytes=int(arrays["tar_bytes"]),
                tar_sha256=arrays["tar_sha256"].tobytes().hex(),
                text=arrays["text"],
                **columns,
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not the index of a shard ({error}); run `python -m shard_builder.index`") from error


def scan_tar(shard: Path) -> Index:
    """Make the index of a WebDataset tar by reading all of it.

    Raises DataError, with the place, where the tar is cut off or damaged: tarfile itself would end there in silence.
    """
    rows, sha256 = IndexRows(), hashlib.sha256()
    with shard.open("rb") as file:
        for block in iter(partial(file.read, 1 << 20), b""):
            sha256.update(block)
        num_bytes = file.tell()
        for start, end, members in samples_of(shard, num_bytes):
            contents = {name: (offset, os.pread(file.fileno(), size, offset)) for name, (offset, size) in members}
            rows.add(start, end, contents)
    return rows.index(num_bytes, sha256.hexdigest())


Extent = tuple[str, tuple[int, int]]
"""(extension, (offset, size)) of a member."""


def samples_of(shard: Path, num_bytes: int) -> Iterator[tuple[int, int, list[Extent]]]:
    """(start, end, members) of each sample: neighboring members whose base names agree up to the first dot."""
    sample: list[Extent] = []
    key, start, end = "", 0, 0
    for member in members_of(shard, num_bytes):
        path = PurePosixPath(member.name)
        base, _, extension = path.name.partition(".")
        if sample and str(path.with_name(base)) != key:
            yield start, end, sample
            sample = []
        if not sample:
            key, start = str(path.with_name(base)), member.offset
        sample.append((extension.lower(), (member.offset_data, member.size)))
        end = member.offset_data + -(-member.size // BLOCK) * BLOCK
    if sample:
        yield start, end, sample


def members_of(shard: Path, num_bytes: int) -> Iterator[tarfile.TarInfo]:
    """The files of a tar that is whole up to its end mark."""
    remedy = "the shard is cut off or damaged; build it again"
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if member.offset_data + member.size > num_bytes:
                    raise DataError(f"{shard}: {member.name}: ends before its last byte: {remedy}")
                if member.isfile():
                    yield member
            end = tar.offset
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard}: {error}: {remedy}") from error
    with shard.open("rb") as file:
        file.seek(end)
        if file.read(BLOCK) != bytes(BLOCK):
            raise DataError(f"{shard}: byte {end:,}: neither a tar header nor the end mark: {remedy}")
