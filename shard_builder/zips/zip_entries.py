"""Zips as AI-Hub packs them: what they list, under which names, and the bytes of one entry.

zipfile reads a central directory once, into compact rows that travel to the workers; a worker reads an entry with
`os.pread` on a descriptor of its own. One `ZipFile` shared by forked processes moves one file position for all of
them, and most of their reads fail (58 of 96, measured).
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from ocr.errors import DataError
from ocr.remote.connections import RemoteError
from shard_builder.zips.archives import Archive, read_at
from shard_builder.zips.stored_names import is_leftover, name_of
from shard_builder.zips.zip_directory import LOCAL_HEADER, LOCAL_MAGIC, read_directory

ENCRYPTED_FLAG = 0x1
METHOD_NAMES = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 99: "AES encryption"}
MAX_ENTRY_BYTES = 256 << 20  # a page is about 0.7 MB; a declared size beyond this is damage or malice
TOO_LARGE = "say that they hold more than 256 MiB, as no page does"
HEADER_BYTES = 512  # more than a local header with its name and extra field takes; where it takes more, a second read


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One file in a zip, as the central directory lists it. `name` is NFC; `offset` is that of its local header."""

    archive: Archive
    name: str
    offset: int
    stored_bytes: int
    num_bytes: int
    crc: int
    method: int
    flags: int

    @property
    def place(self) -> str:
        return f"{self.archive.name}: {self.name}"


def list_entries(archive: Archive) -> tuple[list[Entry], Counter[str]]:
    """The files in a zip, and how many of its entries are none, by what they are.

    Raises DataError where its directory is missing or is not that of the bytes before it.
    """
    entries, skipped = [], Counter[str]()
    for info in read_directory(archive):
        name = name_of(info)
        if junk := junk_kind(name):
            skipped[junk] += 1
        else:
            sizes = (info.header_offset, info.compress_size, info.file_size)
            entries.append(Entry(archive, name, *sizes, info.CRC, info.compress_type, info.flag_bits))
    return entries, skipped


def junk_kind(name: str) -> str | None:
    """What an entry is if it is no file of the data set."""
    if is_leftover(name):
        return "macOS leftovers"
    return "folders" if name.endswith("/") else None


def check_entries(archive: Archive, entries: Sequence[Entry]) -> None:
    """Raise DataError, naming the way out, where any of these entries is packed in a way that is not read here."""
    refused = Counter(reason for entry in entries if (reason := refuse(entry)))
    for reason, count in refused.most_common(1):
        first = next(entry for entry in entries if refuse(entry) == reason)
        way_out = "unpack that zip with the tool that made it, and pack it again stored or deflated"
        raise DataError(
            f"{archive.name}: {count:,} of {len(entries):,} images and labels {reason}, the first: {first.name}; "
            f"{'download it again' if reason == TOO_LARGE else way_out}"
        )


def refuse(entry: Entry) -> str | None:
    """Why `read_entry` cannot undo an entry's packing, if so."""
    if entry.flags & ENCRYPTED_FLAG:
        return "are encrypted"
    if entry.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"are packed with {METHOD_NAMES.get(entry.method, f'method {entry.method}')}"
    return TOO_LARGE if max(entry.num_bytes, entry.stored_bytes) > MAX_ENTRY_BYTES else None


ReadAt = Callable[[Archive, int, int], bytes]
"""`archives.read_at`, or what gives the same bytes."""


def read_entry(entry: Entry, read: ReadAt = read_at) -> bytes:
    """The bytes of an entry that passed `check_entries`. Raises DataError, with zip and member, for any damage."""
    try:
        stored = read_stored(entry, read)
    except RemoteError:
        raise
    except DataError as error:
        raise DataError(f"{entry.place}: {error}") from error
    content = bytes(stored) if entry.method == zipfile.ZIP_STORED else inflate(stored, entry)
    if len(content) != entry.num_bytes or zlib.crc32(content) != entry.crc:
        raise DataError(f"{entry.place}: is damaged (its CRC-32 or size is not the one listed); download the zip again")
    return content


def read_stored(entry: Entry, read: ReadAt) -> memoryview:
    """The bytes of an entry as they are packed, in one read with its local header."""
    run = read(entry.archive, entry.offset, HEADER_BYTES + entry.stored_bytes)
    if len(run) < LOCAL_HEADER.size or not run.startswith(LOCAL_MAGIC):
        raise DataError("no entry begins where the directory says; download the zip again")
    *_, name_length, extra_length = LOCAL_HEADER.unpack_from(run)
    begin = LOCAL_HEADER.size + name_length + extra_length
    end = begin + entry.stored_bytes
    if end > len(run):
        run += read(entry.archive, entry.offset + len(run), end - len(run))
    return memoryview(run)[begin:end]


def inflate(stored: memoryview, entry: Entry) -> bytes:
    """At most one byte more than the declared size, so that no entry can fill the memory."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(stored, entry.num_bytes + 1)
    except zlib.error as error:
        raise DataError(f"{entry.place}: is damaged ({error}); download the zip again") from error
