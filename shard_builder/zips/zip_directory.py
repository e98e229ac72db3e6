"""A zip's central directory, held against the zip itself before a page is planned from it.

A damaged zip may list perfectly: pieces merged in the wrong order with the last one last leave a directory that is
whole while 97.6 % of the reads fail (measured). So the local headers of entries spread over the zip are read first.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import PurePath

from ocr.errors import DataError
from shard_builder.zips.archives import Archive, join_volumes, place_in, read_at
from shard_builder.zips.stored_names import name_of, shown, stored_name

LOCAL_HEADER = struct.Struct("<4s4xH16xHH")  # magic, method, then the lengths of the name and of the extra field
LOCAL_MAGIC = b"PK\x03\x04"
END_RECORD = struct.Struct("<4sHH12xH")  # magic, this volume's number, that of the directory, length of the comment
END_MAGIC = b"PK\x05\x06"
MAX_COMMENT_BYTES = 0xFFFF
SEE_ZIP64 = 0xFFFF
MAX_DIRECTORY_BYTES = 256 << 20  # about 2,000,000 entries; the whole data set has 230,000
NUM_SAMPLES = 64


class ArchiveFile(io.RawIOBase):
    """An archive as the file that zipfile reads its directory from."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Raises OSError before the beginning, as a file does; zipfile takes that for a file too short."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.archive.num_bytes}[whence]
        if base + offset < 0:
            raise OSError("seek before the beginning")
        self.position = base + offset
        return self.position

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            size = max(0, self.archive.num_bytes - self.position)
        if size > MAX_DIRECTORY_BYTES:
            raise DataError(f"{self.archive.name}: says its directory has {size:,} bytes; download it again")
        content = read_at(self.archive, self.position, size)
        self.position += len(content)
        return content


def read_directory(archive: Archive) -> list[zipfile.ZipInfo]:
    """What a zip lists, in its own order, found to lie where the directory says.

    Raises DataError for a zip that is cut off, no zip, or one volume of several; where bytes are missing, or entries
    lie over one another; and where two or more of the sampled entries, or all of them, do not begin with the header
    that the directory says. One broken header among sound ones passes: its page fails when it is read, and is counted.
    """
    check_volumes(archive)
    try:
        with zipfile.ZipFile(ArchiveFile(archive)) as opened:
            infos, end = opened.infolist(), opened.start_dir
    except UnicodeDecodeError as error:
        repack = "unpack that zip with the tool that made it, and pack it again"
        raise DataError(f"{archive.name}: a name in it is flagged as UTF-8 and is not; {repack}") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise DataError(f"{archive.name}: {fault_at_end(archive, error)}; {way_out(archive)}") from error
    if infos:
        ordered = sorted(infos, key=lambda info: info.header_offset)
        check_length(archive, ordered)
        check_extents(archive, ordered, end)
        check_headers(archive, ordered)
    return infos


def check_volumes(archive: Archive) -> None:
    """Raise DataError for the last volume of several, which zipfile would read as if it were all."""
    tail = read_tail(archive, END_RECORD.size)
    if not tail.startswith(END_MAGIC):  # there is a comment behind it
        tail = read_tail(archive, END_RECORD.size + MAX_COMMENT_BYTES)
    position = tail.rfind(END_MAGIC)
    if 0 <= position <= len(tail) - END_RECORD.size:
        _, volume, directory_volume, comment_bytes = END_RECORD.unpack_from(tail, position)
        at_end = position + END_RECORD.size + comment_bytes == len(tail)  # the magic stands in image data by chance too
        if at_end and not {volume, directory_volume} <= {0, SEE_ZIP64}:
            join = join_volumes(PurePath(archive.path).stem)
            raise DataError(f"{archive.name}: is the last volume of a multi-volume zip; {join}")


def read_tail(archive: Archive, num_bytes: int) -> bytes:
    begin = max(0, archive.num_bytes - num_bytes)
    return read_at(archive, begin, archive.num_bytes - begin)


def fault_at_end(archive: Archive, error: Exception) -> str:
    """What an archive is that has no directory where it should be."""
    beginning = read_at(archive, 0, 60)
    if not beginning.startswith(b"PK"):
        return f"is no zip, {shown(beginning)}"
    if len(archive.pieces) > 1:
        return f"its last piece is missing, cut off or not the last ({error})"
    return f"is cut off, or damaged at its end ({error})"


def way_out(archive: Archive) -> str:
    if len(archive.pieces) > 1:
        return "download its pieces again"
    return (
        "download it again or, where it was merged from pieces, merge them in the order of their numbers "
        "(there is no need to: pieces are read as they are)"
    )


def check_length(archive: Archive, ordered: Sequence[zipfile.ZipInfo]) -> None:
    """Raise DataError where bytes are missing or too many in a zip, saying behind which.

    The directory knows how far from the beginning it should lie, and zipfile adds the difference to every offset. So
    entries behind a cut are found, and those before it lie at the offset without the difference.
    """
    difference = ordered[0].header_offset
    if difference == 0 or (difference > 0 and lies_at(archive, ordered[0], difference)):
        return  # whole, or with something else before it, as self-extracting zips have
    num_before = bisect_left(
        ordered, True, key=lambda info: not lies_at(archive, info, info.header_offset - difference)
    )
    if num_before:
        where = f"behind {place_in(archive, ordered[num_before - 1].header_offset - difference)}"
    elif difference < 0:
        where = "at its beginning"
    else:
        return
    amount = f"{-difference:,} bytes are missing" if difference < 0 else f"there are {difference:,} bytes too many"
    raise DataError(f"{archive.name}: {amount} {where}; {way_out(archive)}")


def check_extents(archive: Archive, ordered: Sequence[zipfile.ZipInfo], end: int) -> None:
    """Raise DataError where entries lie over one another, as a bomb's do, or over the directory, from `end` on."""
    for info, following in pairwise(ordered):
        if end_of(info) > following.header_offset:
            names = f"{name_of(info)} and {name_of(following)}"
            raise DataError(f"{archive.name}: {names} lie over one another: damage or a zip bomb; download it again")
    if end_of(ordered[-1]) > end:
        raise DataError(f"{archive.name}: {name_of(ordered[-1])} runs into its directory; download it again")


def end_of(info: zipfile.ZipInfo) -> int:
    """Where an entry ends at the earliest: how long its local extra field is, the directory does not say."""
    return info.header_offset + LOCAL_HEADER.size + len(stored_name(info)) + info.compress_size


def check_headers(archive: Archive, ordered: Sequence[zipfile.ZipInfo]) -> None:
    """Raise DataError, with the place from which on, where sampled entries do not begin where the directory says."""

    def is_broken(index: int) -> bool:
        return not lies_at(archive, ordered[index], ordered[index].header_offset)

    samples = sampled(archive, ordered)
    broken = [index for index in samples if is_broken(index)]
    if not broken or (len(broken) == 1 and len(samples) > 1):
        return
    sound = max((index for index in samples if index < broken[0]), default=-1)
    between = range(sound + 1, broken[0])
    first = ordered[between.start + bisect_left(between, True, key=is_broken)]
    raise DataError(
        f"{archive.name}: from {place_in(archive, first.header_offset)} on, {len(broken)} of {len(samples)} sampled "
        f"entries are not where its directory says, the first: {name_of(first)}; {way_out(archive)}"
    )


def sampled(archive: Archive, ordered: Sequence[zipfile.ZipInfo]) -> list[int]:
    """Which entries to look at: the first, the last, some spread between, and the first of each piece."""
    last = len(ordered) - 1
    spread = {round(number * last / (NUM_SAMPLES - 1)) for number in range(NUM_SAMPLES)}
    boundaries = accumulate(piece.num_bytes for piece in archive.pieces)
    behind = {bisect_left(ordered, boundary, key=lambda info: info.header_offset) for boundary in boundaries}
    return sorted(spread | {index for index in behind if index <= last})


def lies_at(archive: Archive, info: zipfile.ZipInfo, offset: int) -> bool:
    """Whether an entry's local header is there, with the method and the name that the directory gives it."""
    name = stored_name(info)
    header = read_at(archive, offset, LOCAL_HEADER.size + len(name)) if offset >= 0 else b""
    if len(header) < LOCAL_HEADER.size + len(name):
        return False
    magic, method, name_length, _ = LOCAL_HEADER.unpack_from(header)
    expected = (LOCAL_MAGIC, info.compress_type, len(name), name)
    return (magic, method, name_length, header[LOCAL_HEADER.size :]) == expected
