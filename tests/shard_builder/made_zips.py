"""Small data sets of AI-Hub's shape, real zips, for the tests of the shard builder."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from ocr.remote.locations import Url
from ocr.remote.remote_files import files_below
from shard_builder.zips.archives import Archive, find_archives

UTF8_FLAG = 0x800
XYWH = tuple[int, int, int, int]

WORDS: tuple[tuple[XYWH, str], ...] = (
    ((10, 10, 60, 20), "김해시"),
    ((80, 10, 40, 20), "하며,"),
    ((10, 40, 50, 22), "2001"),
)


class NamedInfo(zipfile.ZipInfo):
    """A member whose name is written in the encoding asked for and flagged as UTF-8 or not, as old tools do."""

    encoding = "cp949"
    utf8_flag = False

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        flag = UTF8_FLAG if self.utf8_flag else 0
        return self.filename.encode(self.encoding), self.flag_bits & ~UTF8_FLAG | flag


@dataclass(frozen=True)
class Member:
    """One entry to write. `listed_…` falsify what is said of it: the method and flags everywhere, the CRC and size in
    the central directory."""

    name: str
    content: bytes = b""
    deflate: bool = False
    encoding: str = "cp949"
    utf8_flag: bool = False
    extra: bytes = b""
    listed_method: int | None = None
    listed_flags: int = 0
    listed_crc_change: int = 0
    listed_num_bytes: int | None = None


def write_zip(path: Path, members: Iterable[Member]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        infos = []
        for member in members:
            info = NamedInfo(member.name, (2021, 3, 2, 9, 0, 0))
            info.encoding, info.utf8_flag, info.extra = member.encoding, member.utf8_flag, member.extra
            method = zipfile.ZIP_DEFLATED if member.deflate else zipfile.ZIP_STORED
            archive.writestr(info, member.content, compress_type=method)
            infos.append((member, info))
        for member, info in infos:  # the directory is written on close
            info.compress_type = member.listed_method if member.listed_method is not None else info.compress_type
            info.file_size = member.listed_num_bytes if member.listed_num_bytes is not None else info.file_size
            info.flag_bits |= member.listed_flags
            info.CRC ^= member.listed_crc_change
    with path.open("r+b") as file:
        for _, info in infos:
            file.seek(info.header_offset + 6)
            file.write(struct.pack("<HH", info._encodeFilenameFlags()[1], info.compress_type))
    return path


def archive_of(path: Path) -> Archive:
    """The one zip below a folder, or the one that a file is or holds."""
    (archive,) = find_archives(path)
    return archive


def numbered_zip(num_entries: int = 80, num_bytes: int = 320) -> bytes:
    """A zip of stored entries; the bytes of each may be told from those of the others."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(num_entries):
            archive.writestr(f"T/{number:04d}.jpg", hashlib.sha256(b"%d" % number).digest() * (num_bytes // 32))
    return content.getvalue()


def cut(content: bytes, num_pieces: int) -> list[bytes]:
    """Pieces of one size and a shorter last one, as AI-Hub cuts them."""
    size = -(-len(content) // num_pieces)
    return [content[start : start + size] for start in range(0, len(content), size)]


def write_files(folder: Path, contents: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """A tar as GNU tar writes it: names of more than 100 bytes in a member of their own before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    return path


def write_sparse_zip(path: Path, entries: Mapping[int, Member]) -> Path:
    """A zip of entries at the offsets given; what lies between is a hole that takes no disk."""
    with zipfile.ZipFile(path, "w") as archive:
        for offset, member in entries.items():
            archive.start_dir = offset  # where the next entry is written
            archive.writestr(member.name, member.content)
    return path


def copy_sparse(source: Path, begin: int, end: int, target: IO[bytes]) -> None:
    """Append a range of a file to another, holes as holes."""
    start = target.tell()
    with source.open("rb") as file:
        position = begin
        while position < end:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # a hole up to the end
                break
            hole = min(end, os.lseek(file.fileno(), position, os.SEEK_HOLE))
            if position < hole:
                file.seek(position)
                target.seek(start + position - begin)
                target.write(file.read(hole - position))
            position = max(position, hole)
    target.truncate(start + end - begin)
    target.seek(0, os.SEEK_END)


def cut_sparse(source: Path, folder: Path, boundaries: Sequence[int]) -> Path:
    """`NAME.zip.partN` of a sparse zip, N being the offset."""
    folder.mkdir()
    for begin, end in pairwise([0, *boundaries, source.stat().st_size]):
        with (folder / f"{source.name}.part{begin}").open("wb") as piece:
            copy_sparse(source, begin, end, piece)
    return folder


def jpeg(seed: int = 0, width: int = 200, height: int = 120) -> bytes:
    """A page of blurred noise: small, and different for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    encoded: np.ndarray = cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 2))[1]
    return encoded.tobytes()


def label(
    words: Iterable[tuple[Any, Any]] = WORDS, category: str = "인.허가", size: tuple[int, int] = (200, 120)
) -> bytes:
    """A label file; ids repeat, as AI-Hub's do."""
    annotations = [
        {"id": 2, "annotation.type": "rectangle", "annotation.text": text, "annotation.bbox": xywh}
        for xywh, text in words
    ]
    images = [{"image.category": category, "image.width": size[0], "image.height": size[1]}]
    return json.dumps({"images": images, "annotations": annotations}, ensure_ascii=False).encode()


@dataclass(frozen=True)
class MadePage:
    """A page to be put into zips; None leaves its image or label out."""

    stem: str
    image: bytes | None = field(default_factory=jpeg)
    label: bytes | None = field(default_factory=label)
    folder: str = "인.허가/5350109/2001"
    image_suffix: str = ".jpg"


def made_pages(half: str, num_pages: int) -> list[MadePage]:
    code = {"Training": "5350109", "Validation": "5350036"}[half]
    return [MadePage(f"{code}-2001-0001-{number:04d}", jpeg(number)) for number in range(num_pages)]


def write_half(dataset: Path, half: str, pages: Sequence[MadePage]) -> None:
    """The zips of Training or Validation: one of labels, deflated, and one of images, stored."""
    folder, name = dataset / half, {"Training": "train", "Validation": "validation"}[half]
    images = [
        Member(f"02.원천데이터(jpg)/{page.folder}/{page.stem}{page.image_suffix}", page.image)
        for page in pages
        if page.image is not None
    ]
    labels = [
        Member(f"02.라벨링데이터(json)/{page.folder}/{page.stem}.json", page.label, deflate=True)
        for page in pages
        if page.label is not None
    ]
    write_zip(folder / f"[원천]{name}.zip", images)
    write_zip(folder / f"[라벨]{name}.zip", labels)


def write_dataset(dataset: Path, num_training: int, num_validation: int) -> Path:
    write_half(dataset, "Training", made_pages("Training", num_training))
    write_half(dataset, "Validation", made_pages("Validation", num_validation))
    return dataset


def fetched(url: str, folder: Path) -> Path:
    """All files below a URL, copied to disk."""
    for name in files_below(url):
        path = folder / name.removeprefix(url).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Url(name).read_bytes())
    return folder


def sha256_of_files(out: Path) -> dict[str, str]:
    """The digest of every tar, index and manifest below a folder; the time that a build took is no part of it."""
    found = {}
    for path in sorted([*out.rglob("*.tar"), *out.rglob("*.npz"), *out.rglob("manifest.json")]):
        content = path.read_bytes()
        if path.name == "manifest.json":
            content = repr(json.loads(content) | {"worker_seconds": None}).encode()
        found[str(path.relative_to(out))] = hashlib.sha256(content).hexdigest()
    return found
