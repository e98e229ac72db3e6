"""Zips as AI-Hub packs them: what they list, under which names, and the bytes of one entry.

zipfile reads a central directory once, into compact rows that travel to the workers; a worker reads an entry with
`os.pread` on a descriptor of its own. One `ZipFile` shared by forked processes moves one file position for all of
them, and most of their reads fail (58 of 96, measured).
"""

from __future__ import annotations

import os
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

import msgspec

from ocr.errors import DataError

UTF8_FLAG = 0x800
ENCRYPTED_FLAG = 0x1
METHOD_NAMES = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 99: "AES encryption"}
LOCAL_HEADER = struct.Struct("<4s22xHH")  # magic, then the lengths of the name and of the extra field
LOCAL_MAGIC = b"PK\x03\x04"
MAX_ENTRY_BYTES = 256 << 20  # a page is about 0.7 MB; a declared size beyond this is damage or malice


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One file in a zip, as the central directory lists it. `name` is NFC; `offset` is that of its local header."""

    zip_path: str
    name: str
    offset: int
    stored_bytes: int
    num_bytes: int
    crc: int
    method: int
    flags: int

    @property
    def place(self) -> str:
        return f"{self.zip_path}: {self.name}"


def find_zips(folder: Path) -> list[Path]:
    """The zips anywhere below a folder, in order of path; without macOS's `._` shadows of them."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() == ".zip" and not path.name.startswith("._") and path.is_file()
    )


def list_entries(path: Path) -> tuple[list[Entry], Counter[str]]:
    """The files in a zip, and how many of its entries are none, by what they are.

    Raises DataError where there is no whole central directory: a truncated download, or something else named .zip.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise DataError(f"{path}: truncated, or not a zip ({error}); download it again") from error
    entries, skipped = [], Counter[str]()
    for info in infos:
        name = name_of(info)
        if junk := junk_kind(name):
            skipped[junk] += 1
        else:
            sizes = (info.header_offset, info.compress_size, info.file_size)
            entries.append(Entry(str(path), name, *sizes, info.CRC, info.compress_type, info.flag_bits))
    return entries, skipped


def name_of(info: zipfile.ZipInfo) -> str:
    """An entry's name. zipfile reads names without the UTF-8 flag as cp437; AI-Hub's are CP949, others' UTF-8."""
    name = info.orig_filename
    if not info.flag_bits & UTF8_FLAG:
        stored = name.encode("cp437")
        for encoding in ("utf-8", "cp949"):
            try:
                name = stored.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return unicodedata.normalize("NFC", name)


def junk_kind(name: str) -> str | None:
    """What an entry is if it is no file of the data set."""
    path = PurePosixPath(name)
    if "__MACOSX" in path.parts or path.name.startswith("._") or path.name == ".DS_Store":
        return "macOS leftovers"
    return "folders" if name.endswith("/") else None


def check_readable(entry: Entry) -> None:
    """Raise DataError, naming the way out, for an entry whose packing `read_entry` cannot undo."""
    way_out = "unpack that zip with the tool that made it, and pack it again stored or deflated"
    if entry.flags & ENCRYPTED_FLAG:
        raise DataError(f"{entry.place}: is encrypted; {way_out}")
    if entry.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = METHOD_NAMES.get(entry.method, f"method {entry.method}")
        raise DataError(f"{entry.place}: is packed with {method}, which is not read here; {way_out}")
    if entry.num_bytes > MAX_ENTRY_BYTES:
        raise DataError(f"{entry.place}: says it holds {entry.num_bytes:,} bytes; no page does: download the zip again")


def read_entry(entry: Entry) -> bytes:
    """The bytes of an entry that passed `check_readable`. Raises DataError, with zip and member, for any damage."""
    try:
        with open(entry.zip_path, "rb", buffering=0) as file:
            header = os.pread(file.fileno(), LOCAL_HEADER.size, entry.offset)
            if len(header) < LOCAL_HEADER.size or not header.startswith(LOCAL_MAGIC):
                raise DataError(f"{entry.place}: no entry begins where the directory says; download the zip again")
            _, name_length, extra_length = LOCAL_HEADER.unpack(header)
            start = entry.offset + LOCAL_HEADER.size + name_length + extra_length
            stored = os.pread(file.fileno(), entry.stored_bytes, start)
    except OSError as error:
        raise DataError(f"{entry.place}: cannot be read: {error.strerror}") from error
    content = stored if entry.method == zipfile.ZIP_STORED else inflate(stored, entry)
    if len(content) != entry.num_bytes or zlib.crc32(content) != entry.crc:
        raise DataError(f"{entry.place}: is damaged (its CRC-32 or size is not the one listed); download the zip again")
    return content


def inflate(stored: bytes, entry: Entry) -> bytes:
    """At most one byte more than the declared size, so that no entry can fill the memory."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(stored, entry.num_bytes + 1)
    except zlib.error as error:
        raise DataError(f"{entry.place}: is damaged ({error}); download the zip again") from error
