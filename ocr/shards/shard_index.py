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
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from ocr.errors import DataError
from ocr.page import image_size
from ocr.plumbing.files import write_whole
from ocr.remote.locations import AnyPath, PathOrUrl, Url

INDEX_FORMAT = "shard-index/1"
INDEX_SUFFIX = ".index.npz"
IMAGE_TYPES = ("jpg", "jpeg", "png")
TEXT_TYPES = ("txt", "json")
TAR_BLOCK = 512  # what tar pads everything to
READ_BYTES = 1 << 20  # at a time
INDEX_COLUMNS = {
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
        return [text.decode() for text in self.encoded_texts()]

    def encoded_texts(self) -> list[bytes]:
        encoded, ends = self.text.tobytes(), self.text_end.tolist()
        return [encoded[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class IndexRow(msgspec.Struct, frozen=True, gc=False):
    """What an index says of a sample; `patch_offset` counts from the sample's first byte."""

    sample_bytes: int
    patch_offset: int
    patch_bytes: int
    patch_crc: int
    width: int
    height: int
    text: bytes


def index_row(
    sample_bytes: int, members: dict[str, tuple[int, bytes]], size: tuple[int, int] | None = None
) -> IndexRow:
    """The row of a sample with these members: {extension: (offset of its data from the sample's first byte, data)}.

    `size` is the patch's (width, height), for who knows it already.
    """
    patch_offset, patch = first_of(members, IMAGE_TYPES)
    _, text = first_of(members, TEXT_TYPES)
    width, height = size or image_size(patch) or (0, 0)
    return IndexRow(sample_bytes, patch_offset, len(patch), zlib.crc32(patch), width, height, text)


def first_of(members: dict[str, tuple[int, bytes]], extensions: Sequence[str]) -> tuple[int, bytes]:
    for extension in extensions:
        if extension in members:
            return members[extension]
    return 0, b""


class IndexBuilder:
    """The index of a tar that is being written or scanned, a row at a time."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []  # each in the order of COLUMNS
        self.text = bytearray()

    def add(self, sample_offset: int, row: IndexRow) -> None:
        self.text += row.text
        patch_offset = sample_offset + row.patch_offset if row.patch_bytes else 0
        patch = (patch_offset, row.patch_bytes, row.patch_crc, row.width, row.height)
        self.rows.append((sample_offset, row.sample_bytes, *patch, len(self.text)))

    def index(self, tar_bytes: int, tar_sha256: str) -> Index:
        table = np.array(self.rows, np.uint64).reshape(-1, len(INDEX_COLUMNS))
        columns = {name: table[:, row].astype(dtype) for row, (name, dtype) in enumerate(INDEX_COLUMNS.items())}
        text = np.frombuffer(bytes(self.text), np.uint8)
        return Index(tar_bytes=tar_bytes, tar_sha256=tar_sha256, text=text, **columns)


def index_path(shard: AnyPath) -> AnyPath:
    return shard.with_suffix(INDEX_SUFFIX)


def write_index(shard: PathOrUrl, index: Index) -> str:
    """Write the index beside its shard and give the file's SHA-256, as hex: the same index gives the same bytes."""
    arrays = {name: getattr(index, name) for name in ("text", *INDEX_COLUMNS)}
    encoded = io.BytesIO()
    np.savez(
        encoded,
        format=np.array(INDEX_FORMAT),
        tar_bytes=np.uint64(index.tar_bytes),
        tar_sha256=np.frombuffer(bytes.fromhex(index.tar_sha256), np.uint8),
        **arrays,
    )
    with write_whole(index_path(shard)) as file:
        file.write(encoded.getbuffer())
    return hashlib.sha256(encoded.getbuffer()).hexdigest()


def read_index(shard: PathOrUrl) -> Index | None:
    """The index beside a shard; None where there is none. Raises DataError for one that cannot be read."""
    path = index_path(shard)
    try:
        file = io.BytesIO(path.read_bytes()) if isinstance(path, Url) else path
        with np.load(file, allow_pickle=False) as arrays:
            if (found := str(arrays["format"])) != INDEX_FORMAT:
                raise ValueError(f"its format is {found!r}, not {INDEX_FORMAT!r}")
            columns = {name: arrays[name].astype(dtype, copy=False) for name, dtype in INDEX_COLUMNS.items()}
            return Index(
                tar_bytes=int(arrays["tar_bytes"]),
                tar_sha256=arrays["tar_sha256"].tobytes().hex(),
                text=arrays["text"],
                **columns,
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not the index of a shard ({error}); run `python -m shard_builder.index`") from error


class BrokenTar(DataError):
    """A tar that is cut off or damaged: where its last readable byte was, and what is there instead of a member."""

    def __init__(self, shard: Path, at: int, reason: str) -> None:
        super().__init__(shard, at, reason)
        self.shard, self.at, self.reason = shard, at, reason

    def __str__(self) -> str:
        return f"{self.shard}: byte {self.at:,}: {self.reason}; build or fetch the tar again"


def file_sha256(path: PathOrUrl) -> str:
    """The SHA-256 of a file, as hex; other threads run meanwhile."""
    sha256, buffer = hashlib.sha256(), memoryview(bytearray(READ_BYTES))
    with path.open("rb", buffering=0) as file:
        while num_bytes := file.readinto(buffer):
            sha256.update(buffer[:num_bytes])
    return sha256.hexdigest()


def scan_tar(shard: Path) -> Index:
    """Make the index of a WebDataset tar by reading all of it.

    Raises BrokenTar where the tar is cut off or damaged (tarfile itself would end there in silence), and DataError for
    a sample that WebDataset would not read.
    """
    rows, num_bytes = IndexBuilder(), shard.stat().st_size
    with shard.open("rb") as file:
        for start, end, members in tar_sample_extents(shard, num_bytes):
            contents = {
                extension: (offset - start, os.pread(file.fileno(), size, offset))
                for extension, (offset, size) in members.items()
                if extension in IMAGE_TYPES + TEXT_TYPES
            }
            rows.add(start, index_row(end - start, contents))
    return rows.index(num_bytes, file_sha256(shard))


def read_key(shard: Path, sample_offset: int) -> str:
    """The key of the sample whose first header lies at this offset."""
    with shard.open("rb") as file:
        file.seek(sample_offset)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            return next(key for member in tar if (key := split_name(member.name)[0]))


def split_name(name: str) -> tuple[str, str]:
    """(key, extension) of a member by WebDataset's rule: its base name is cut at the first dot, the folder is kept.

    Both are empty for a name that WebDataset passes over: one without a dot, or with nothing before it.
    """
    folder, slash, base = name.rpartition("/")
    stem, dot, extension = base.partition(".")
    return (folder + slash + stem, extension.lower()) if stem and dot else ("", "")


Extents = dict[str, tuple[int, int]]
"""{extension: (offset, size)} of a sample's members."""


def tar_sample_extents(shard: Path, num_bytes: int) -> Iterator[tuple[int, int, Extents]]:
    """(start, end, members) of each sample: neighboring members of one key."""
    sample: Extents = {}
    sample_key, start, end = "", 0, 0
    for member in tar_members(shard, num_bytes):
        key, extension = split_name(member.name)
        if not key:
            continue
        if sample and key != sample_key:
            yield start, end, sample
            sample = {}
        if not sample:
            sample_key, start = key, member.offset
        if extension in sample:
            raise DataError(f"{shard}: {member.name}: twice in one sample; write the tar again with other keys")
        sample[extension] = member.offset_data, member.size
        end = member_end(member)
    if sample:
        yield start, end, sample


def member_end(member: tarfile.TarInfo) -> int:
    return member.offset_data + -(-member.size // TAR_BLOCK) * TAR_BLOCK


def tar_members(shard: Path, num_bytes: int) -> Iterator[tarfile.TarInfo]:
    """The files of a tar that is whole up to its end mark."""
    end, last = 0, ""
    try:
        with tarfile.open(shard, "r:") as tar:
            while member := tar.next():
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
                if member.offset_data + member.size > num_bytes:
                    raise BrokenTar(shard, num_bytes, f"cut off inside {member.name}")
                if member.isfile():
                    yield member
                end, last = member_end(member), f" behind {member.name}"
    except tarfile.TarError:  # what is wrong is told by the bytes where it stopped
        pass
    if reason := end_fault(shard, end):
        raise BrokenTar(shard, end, reason + last)


def end_fault(shard: Path, end: int) -> str | None:
    """What is wrong where the members of a tar end; None for the end mark and nothing but zeros behind it."""
    with shard.open("rb") as file:
        file.seek(end)
        block = file.read(TAR_BLOCK)
        if len(block) < TAR_BLOCK:
            return "cut off inside a header" if block else "cut off"
        if block.strip(b"\0"):
            return "a damaged header"
        if any(data.strip(b"\0") for data in iter(partial(file.read, READ_BYTES), b"")):
            return "zeros in place of a header"
    return None
