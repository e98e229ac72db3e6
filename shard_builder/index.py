"""Indexes for WebDataset tars that others wrote: `python -m shard_builder.index DIR`.

With an index beside it a tar is verified and looked at like one of the builder's own. The tar itself
stays as it is.
"""

from __future__ import annotations

import argparse
import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ocr.errors import DataError, UsageError, run_command
from ocr.plumbing.progress import progress
from ocr.shards.manifest import MANIFEST_NAME, brace_patterns, read_manifest
from ocr.shards.shard_index import Index, index_path, read_index, scan_tar, write_index
from shard_builder.executors import engine
from shard_builder.inspect.shard_folders import walk
from shard_builder.inspect.text_tables import counted

TAR_NAME = re.compile(r"[^.].*\.(tar(\.(gz|bz2|xz|zst|lz4))?|tgz|tbz2?|txz)", re.IGNORECASE)
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd", b'\x04"M\x18': "lz4"}
"""What a file begins with that is packed as a whole, and by what."""

NO_PATCH = "without a patch (jpg, jpeg, png)"
BAD_PATCH = "with a patch that is no JPEG or PNG"
NO_TEXT = "without a text (txt, json), or with an empty one"
BAD_TEXT = "with a text that is not UTF-8"


class Tar(msgspec.Struct, frozen=True):
    """A tar to index; `sha256` is what the manifest beside it says, None where there is none."""

    path: Path
    sha256: str | None


class Indexed(msgspec.Struct, frozen=True):
    """A tar with an index, made now or there before. `faults` counts the samples that lack something."""

    made: bool
    num_samples: int
    faults: dict[str, int]


class NotIndexed(msgspec.Struct, frozen=True):
    """Why a tar got no index: a line that names it and the remedy."""

    line: str


def index_tars(tars: Sequence[Tar], workers: int) -> None:
    """Write the index of each tar that has none of its present content, on `workers` processes.

    Prints how many samples there are and what some of them lack. A tar that cannot be indexed has a line, and the
    others get their index; raises DataError at the end.
    """
    indexed: list[Indexed] = []
    lines: list[str] = []
    with engine("loky", min(workers, len(tars))) as run_jobs:
        for result in progress(run_jobs(index_tar, tars), "index", "shards", total=len(tars)):
            if isinstance(result, Indexed):
                indexed.append(result)
            else:
                lines.append(result.line)
    made = sum(result.made for result in indexed)
    num_samples = sum(result.num_samples for result in indexed)
    print(
        f"{counted(len(indexed), 'shard')}, {counted(num_samples, 'sample')}: {made:,} indexed now, "
        f"{len(indexed) - made:,} up to date"
    )
    for fault, number in sum((Counter(result.faults) for result in indexed), Counter[str]()).most_common():
        print(f"  {counted(number, 'sample')} {fault}")
    for line in sorted(lines):
        print(line)
    if lines:
        raise DataError(f"{counted(len(lines), 'tar')} of {len(tars):,} not indexed")


def index_tar(tar: Tar) -> Indexed | NotIndexed:
    path = tar.path
    try:
        if by := compression(path):
            return NotIndexed(f"{path}: compressed with {by}, so no sample can be read alone; unpack it and run again")
        index = present_index(tar)
        if index:
            return Indexed(False, index.num_samples, faults_of(index))
        index = scan_tar(path)
        if not index.num_samples and not tar.sha256:
            return NotIndexed(f"{path}: no sample in it; WebDataset's members are called KEY.jpg, KEY.txt")
        if tar.sha256 not in (None, index.tar_sha256):
            return NotIndexed(
                f"{path}: not the shard that {MANIFEST_NAME} names; run `python -m shard_builder.verify {path.parent}`"
            )
        write_index(path, index)
    except DataError as error:
        return NotIndexed(str(error))
    except OSError as error:
        return NotIndexed(f"{path}: cannot be read, or the index not written ({error})")
    return Indexed(True, index.num_samples, faults_of(index))


def compression(path: Path) -> str | None:
    """What a tar is packed with, by its first bytes."""
    with path.open("rb") as file:
        begins = file.read(8)
    return next((name for magic, name in COMPRESSIONS.items() if begins.startswith(magic)), None)


def present_index(tar: Tar) -> Index | None:
    """The index beside a tar, if it is of its present content: of its checksum, or of its size and not older."""
    try:
        index = read_index(tar.path)
    except DataError:  # damaged, or of another format: written again
        return None
    found = tar.path.stat()
    if index is None or index.tar_bytes != found.st_size:
        return None
    if tar.sha256:
        return index if index.tar_sha256 == tar.sha256 else None
    return index if index_path(tar.path).stat().st_mtime_ns >= found.st_mtime_ns else None


def faults_of(index: Index) -> dict[str, int]:
    """How many samples cannot be trained on, by reason, as far as their first bytes tell."""
    texts = index.encoded_texts()
    no_patch, no_size = index.patch_bytes == 0, (index.width == 0) | (index.height == 0)
    faults = {
        NO_PATCH: int(np.count_nonzero(no_patch)),
        BAD_PATCH: int(np.count_nonzero(no_size & ~no_patch)),
        NO_TEXT: sum(not text for text in texts),
        BAD_TEXT: sum(not is_utf8(text) for text in texts),
    }
    return {fault: number for fault, number in faults.items() if number}


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def find_tars(names: Iterable[str]) -> list[Tar]:
    """The tars that folders (with all below them), files, globs and brace patterns name, compressed ones too.

    Raises UsageError for a name that stands for none.
    """
    found: set[Path] = set()
    for name in names:
        tars = {*tars_below(Path(name))} if Path(name).is_dir() else {*matches(name)}
        if not tars:
            raise UsageError(f"{name}: no tar there; name a folder, tars or a pattern such as 'shards-*.tar'")
        found |= tars
    sha256_of: dict[Path, str] = {}
    for folder in {path.parent for path in found}:
        if manifest := read_manifest(folder):
            sha256_of |= {folder / shard.name: shard.sha256 for shard in manifest.shards}
    return [Tar(path, sha256_of.get(path)) for path in sorted(found)]


def tars_below(root: Path) -> Iterator[Path]:
    for folder, files in walk(root):
        yield from (folder / file for file in files if TAR_NAME.fullmatch(file))


def matches(name: str) -> Iterator[Path]:
    if Path(name).exists():
        yield Path(name)
        return
    for pattern in brace_patterns(name):
        yield from (Path(path) for path in glob.glob(pattern))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m shard_builder.index",
        description="Write the index of WebDataset tars, beside each of them.",
        epilog="A tar whose index is of its size and not older than it is passed over; remove the index to have it "
        "written again.",
    )
    parser.add_argument("tars", nargs="+", metavar="DIR", help="a folder (all tars below it), a tar, or a pattern")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; as many as cores by default"
    )
    arguments = parser.parse_args()
    if arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers}: at least one is needed")
    index_tars(find_tars(arguments.tars), arguments.workers)


if __name__ == "__main__":
    from shard_builder import index as imported  # what workers are sent must not live in __main__

    run_command(imported.main)
