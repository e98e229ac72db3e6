"""Zips wherever their bytes lie: whole, in pieces, or in a tar, on disk or on a server; nothing is merged or unpacked.

    folder -> files, those inside tars too -> zips, each as its runs of bytes in order -> read_at

AI-Hub serves one download.tar, which holds `NAME.zip.partN` pieces of 1 GiB; N is an index in some sets and a byte
offset in others. Only `read_at` touches the bytes of a zip, its directory included.
"""

from __future__ import annotations

import os
import re
import sys
import tarfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path, PurePath

import msgspec

from ocr.errors import DataError, UsageError
from ocr.remote.connections import url_without_query
from ocr.remote.locations import path_or_url
from ocr.shards.shard_index import index_path
from shard_builder.zips.byte_runs import Piece, read_piece
from shard_builder.zips.dataset_files import Dataset, RemoteSet, remote_files
from shard_builder.zips.stored_names import is_leftover, readable, shown

CANDIDATE = re.compile(r".+\.(zip|zip\.part\d*|z\d\d|tar|tar\.part|crdownload)", re.IGNORECASE | re.DOTALL)
PIECE = re.compile(r"(?P<zip>.+\.zip)\.part(?P<number>\d+)", re.IGNORECASE | re.DOTALL)
VOLUME = re.compile(r"(?P<stem>.+)\.z\d\d", re.IGNORECASE | re.DOTALL)
UNFINISHED = (".crdownload", ".part")  # Chrome's and Firefox's name for a download that goes on


class Archive(msgspec.Struct, frozen=True):
    """One zip. `name` is what messages say; `path` is where it would lie whole, a tar being taken for a folder."""

    name: str
    path: str
    pieces: tuple[Piece, ...]

    @property
    def num_bytes(self) -> int:
        return sum(piece.num_bytes for piece in self.pieces)


class File(msgspec.Struct, frozen=True):
    """A file, or a member of a tar, named as `Archive` is; `content` says where its bytes lie."""

    name: str
    path: str
    content: Piece


def find_archives(dataset: Dataset) -> list[Archive]:
    """The zips below a folder, or those of one .zip or .tar file, on disk or behind URLs, in order of path.

    Raises UsageError where a zip lies beside its own pieces, and DataError for pieces that do not follow one another,
    for a tar that is cut off, and for what is no whole zip yet: an unfinished download, a volume of a multi-volume zip.
    """
    zips: dict[str, File] = {}
    pieces: dict[str, list[File]] = defaultdict(list)
    for file in files_of(dataset):
        check_whole(file)
        if piece := PIECE.fullmatch(file.path):
            pieces[piece["zip"]].append(file)
        elif file.path.lower().endswith(".zip"):
            zips[file.path] = file
    for path in sorted(zips.keys() & pieces.keys()):
        beside = f"lies beside its own pieces, {PurePath(pieces[path][0].path).name} …"
        raise UsageError(f"{zips[path].name}: {beside}; remove one of the two, the zip or its pieces")
    archives = [Archive(file.name, path, (file.content,)) for path, file in zips.items()]
    archives += [join(path, files) for path, files in pieces.items()]
    return sorted(archives, key=lambda archive: PurePath(archive.path).parts)


def files_of(dataset: Dataset) -> Iterator[File]:
    """What may be zips or pieces of them below a folder, or in the files named; a tar stands for its members."""
    files = files_on_servers(dataset) if isinstance(dataset, RemoteSet) else files_on_disk(dataset)
    for file in files:
        if file.path.lower().endswith(".tar"):
            yield from tar_members(file)
        else:
            yield file


def files_on_disk(dataset: Path) -> Iterator[File]:
    for path in sorted(paths_below(dataset)) if dataset.is_dir() else [only_file(dataset)]:
        if not CANDIDATE.fullmatch(path.name) or is_leftover(path.relative_to(dataset).as_posix()):
            continue
        if path.suffix.lower() == ".tar" and index_path(path).exists():  # a shard: --out lies inside the data set
            continue
        yield File(readable(path), str(path), Piece(str(path), 0, size_of(path)))


def files_on_servers(dataset: RemoteSet) -> Iterator[File]:
    for url, status in remote_files(dataset, CANDIDATE):
        yield File(url_without_query(url), url_without_query(url), Piece(url, 0, status.st_size, status.version))


def paths_below(folder: Path) -> Iterator[Path]:
    """The files anywhere below a folder. Links to folders are followed, each once: data may lie on several disks."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{readable(error.filename)}: cannot be listed: {error.strerror}") from error

    seen = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders.sort()
        if (target := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(target)
        yield from (Path(place, name) for name in names)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{readable(path)}: cannot be read: {error.strerror}") from error


def only_file(path: Path) -> Path:
    if path.suffix.lower() not in (".zip", ".tar"):
        remedy = "name the folder of all its pieces" if PIECE.fullmatch(path.name) else "name one, or a folder of them"
        raise UsageError(f"{path}: is neither a .zip nor a .tar; {remedy}")
    return path


def check_whole(file: File) -> None:
    if file.path.lower().endswith(UNFINISHED):
        raise DataError(f"{file.name}: is a download that has not ended; let it end, or remove it")
    if volume := VOLUME.fullmatch(file.name):
        way_out = join_volumes(PurePath(volume["stem"]).name)
        raise DataError(f"{file.name}: is a volume of a multi-volume zip; {way_out}")


def join_volumes(stem: str) -> str:
    return f"make one zip of its volumes (zip -s 0 '{stem}.zip' --out '{stem}-whole.zip') and remove them"


def tar_members(tar: File) -> list[File]:
    """The zips and pieces in a tar, found by its headers alone; of two members of one name and size the later stays."""
    found: dict[str, File] = {}
    num_replaced = 0
    for member in read_headers(tar):
        place = member.name.lstrip("/").removeprefix("./")
        if not CANDIDATE.fullmatch(place) or is_leftover(place) or member.isdir():
            continue
        name = f"{tar.name}: {readable(place)}"
        if not member.isreg() or member.issparse():
            raise DataError(f"{name}: is a link or a sparse file; untar {tar.name}, remove it, and name the folder")
        content = Piece(tar.content.path, member.offset_data, member.size, tar.content.version)
        file = File(name, f"{tar.path}/{place}", content)
        if earlier := found.get(file.path):
            if earlier.content.num_bytes != member.size:
                sizes = f"{earlier.content.num_bytes:,} and {member.size:,} bytes"
                raise DataError(f"{name}: is there twice, with {sizes}; download {tar.name} again")
            num_replaced += 1
        found[file.path] = file
    if num_replaced:
        print(f"{tar.name}: holds {num_replaced} members twice; the later is read, as untar would", file=sys.stderr)
    return list(found.values())


def read_headers(tar: File) -> Iterator[tarfile.TarInfo]:
    """The members of an uncompressed tar. Raises DataError where it is none, is cut off or breaks off."""
    beginning, last = b"", None
    try:
        with path_or_url(tar.content.path).open("rb") as file:
            beginning = file.read(60)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as opened:
                for member in opened:
                    yield member
                    last = member.name
                file.seek(opened.offset)  # tarfile takes a header that is cut or broken for the end
                if (block := file.read(tarfile.BLOCKSIZE)).strip(b"\0"):
                    raise tarfile.ReadError("no header follows it")
                if not block:  # as some tools end a tar; a download that ended between two members looks the same
                    print(
                        f"{tar.name}: has no mark of its end; if a zip is missing, download it again", file=sys.stderr
                    )
    except OSError as error:
        raise DataError(f"{tar.name}: cannot be read: {error.strerror}") from error
    except (tarfile.TarError, ValueError, OverflowError) as error:
        if last is None:
            raise DataError(f"{tar.name}: is no tar, {shown(beginning)}; download it again") from error
        fault = f"is cut off or damaged in or behind {readable(last)} ({error})"
        raise DataError(f"{tar.name}: {fault}; download it again") from error


def join(path: str, files: Sequence[File]) -> Archive:
    """One zip of its pieces, in the order of their numbers. Raises DataError where they do not make one."""
    files = sorted(files, key=lambda file: (number_of(file), file.path))
    for file, following in pairwise(files):
        if number_of(file) == number_of(following):
            raise DataError(f"{following.name}: is the same piece as {PurePath(file.path).name}; remove one of the two")
        if file.content.num_bytes == 0:
            raise DataError(f"{file.name}: is empty (0 bytes); download it again")
    if fault := fault_in_order(files):
        raise DataError(f"{fault}; download it again")
    return Archive(
        f"{zip_name(files[0])} ({len(files)} {'piece' if len(files) == 1 else 'pieces'})",
        path,
        tuple(file.content for file in files),
    )


def number_of(piece: File) -> int:
    return int(piece.name.rpartition(".")[2][len("part") :])


def zip_name(piece: File) -> str:
    return piece.name.rpartition(".")[0]


def fault_in_order(pieces: Sequence[File]) -> str | None:
    """What is wrong unless the numbers are 0, 1, 2, …, or 1, 2, 3, …, or the offsets at which the pieces begin."""
    numbers = [number_of(piece) for piece in pieces]
    sizes = [piece.content.num_bytes for piece in pieces]
    if numbers in ([*range(len(pieces))], [*range(1, len(pieces) + 1)], [0, *accumulate(sizes[:-1])]):
        return None
    if 2 * numbers[-1] >= max(sizes):  # as no index is: AI-Hub's end at 99, and its pieces have 1 GiB
        return fault_in_offsets(pieces)
    missing = next(number for number in range(min(numbers[0], 1), numbers[-1]) if number not in numbers)
    return f"{zip_name(pieces[0])}.part{missing}: is missing"


def fault_in_offsets(pieces: Sequence[File]) -> str:
    for piece, following in pairwise(pieces):
        gap = number_of(following) - number_of(piece) - piece.content.num_bytes
        name = PurePath(following.path).name
        if gap > 0:
            return f"{piece.name}: ends {gap:,} bytes before {name} begins; it is cut off, or one between is missing"
        if gap < 0:
            return f"{piece.name}: runs {-gap:,} bytes into {name}, so one of the two is of another download"
    return f"{zip_name(pieces[0])}.part0: is missing"


def read_at(archive: Archive, offset: int, num_bytes: int) -> bytes:
    """The bytes of an archive from `offset` on, fewer than asked for only at its end.

    Raises DataError, naming the file, where one cannot be read; RemoteError where its server does not answer.
    """
    chunks = []
    for piece in archive.pieces:
        if offset >= piece.num_bytes:
            offset -= piece.num_bytes
            continue
        chunk = read_piece(piece, offset, min(num_bytes, piece.num_bytes - offset))
        chunks.append(chunk)
        num_bytes -= len(chunk)
        if num_bytes == 0 or offset + len(chunk) < piece.num_bytes:  # the latter: it was cut since it was found
            break
        offset = 0
    return b"".join(chunks)


def is_remote(archive: Archive) -> bool:
    return any(piece.version for piece in archive.pieces)


def place_in(archive: Archive, offset: int) -> str:
    """`byte 1,234`, and of which piece, where there are several."""
    if len(archive.pieces) == 1:
        return f"byte {offset:,}"
    starts = [0, *accumulate(piece.num_bytes for piece in archive.pieces[:-1])]
    index = bisect_right(starts, offset) - 1
    file_name = readable(PurePath(archive.pieces[index].path).name)
    return f"byte {offset - starts[index]:,} of piece {index + 1} of {len(starts)}, in {file_name}"
