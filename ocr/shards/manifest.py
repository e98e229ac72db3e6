"""Shards: ordinary WebDataset tars, whole under their names, with a manifest beside them.

A shard holds two members a sample, `<key>.<ext>` twice, next to each other. Tars are ustar with mtime 0 and a fixed
owner, so the same samples give the same bytes and every tar reader takes them. Beside each tar lies its index
(ocr/shards/shard_index.py). `manifest.json` in the same folder is written last: it says what each shard holds and how
many bytes it has.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from braceexpand import braceexpand

from ocr.errors import DataError, UsageError
from ocr.plumbing.files import write_whole
from ocr.remote.connections import is_url
from ocr.remote.locations import PathOrUrl, Url
from ocr.remote.remote_files import map_requests
from ocr.shards.shard_index import Index, IndexBuilder, file_sha256, read_index, write_index
from ocr.shards.tar_writer import PackedSample, Sample, pack_sample, tar_chunks

MANIFEST_NAME = "manifest.json"


class ShardRecord(msgspec.Struct, frozen=True):
    """What one shard holds: `num_bytes` is the tar's size on disk, widths are in pixels.

    `sha256` is the tar's hex digest, `index_sha256` that of the index beside it.
    """

    name: str
    num_samples: int
    num_bytes: int
    sha256: str
    index_sha256: str
    min_width: int
    max_width: int


class CategoryCounts(msgspec.Struct, frozen=True):
    """What was written of one category of documents."""

    pages: int
    words: int


class InputRecord(msgspec.Struct, frozen=True):
    """What shards were made of: a zip, `digest` is the SHA-256 over names, sizes and checksums of its directory; or a
    list of labeled images, with that over their names, sizes and texts."""

    name: str
    num_bytes: int
    num_entries: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was written into one folder of shards, and what was left out, by reason.

    `pages` and `words` map a fate ("written", or the reason of a refusal) to how many met it: their sums are what the
    zips listed. `characters` counts those of the written texts, `missing` the ones among them that the config's
    charset does not hold. `fingerprint` is a digest of the inputs and settings the shards are a function of;
    `worker_seconds` is the work of all workers together, the one value that differs from run to run.
    """

    split: str
    shards: tuple[ShardRecord, ...]
    pages: dict[str, int]
    words: dict[str, int]
    characters: dict[str, int]
    missing: dict[str, int]
    categories: dict[str, CategoryCounts]
    worker_seconds: float
    settings: dict[str, str | int | bool]
    inputs: tuple[InputRecord, ...]
    fingerprint: str
    versions: dict[str, str]


def write_shard(path: PathOrUrl, samples: Iterable[Sample]) -> ShardRecord:
    """Write samples as one tar and its index beside it; each appears under its name when it is whole."""
    return write_packed(path, map(pack_sample, samples))


def write_packed(path: PathOrUrl, samples: Iterable[PackedSample]) -> ShardRecord:
    """`write_shard` of samples that are packed already."""
    rows, sha256, num_bytes = IndexBuilder(), hashlib.sha256(), 0
    with write_whole(path) as file:
        for piece in tar_chunks(samples, rows):
            file.write(piece)
            sha256.update(piece)
            num_bytes += len(piece)
    index = rows.index(num_bytes, sha256.hexdigest())
    return record_of(path.name, index, write_index(path, index))


def record_of(name: str, index: Index, index_sha256: str) -> ShardRecord:
    widths = index.width if index.num_samples else np.zeros(1, np.uint32)
    return ShardRecord(
        name=name,
        num_samples=index.num_samples,
        num_bytes=index.tar_bytes,
        sha256=index.tar_sha256,
        index_sha256=index_sha256,
        min_width=int(widths.min()),
        max_width=int(widths.max()),
    )


def write_manifest(folder: PathOrUrl, manifest: Manifest) -> None:
    with write_whole(folder / MANIFEST_NAME) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1))


def read_manifest(folder: PathOrUrl) -> Manifest | None:
    """The manifest of a folder of shards; None where there is none (tars that others made)."""
    path = folder / MANIFEST_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: not a manifest of shards: {error}; remove it and build again") from error


def find_shards(spec: str) -> list[Path]:
    """The shards that a folder, a file, a glob or a brace pattern (`{000000..000007}.tar`) names, in order of name.

    Each shard is held against the manifest beside it: a missing or truncated tar is a DataError, because tar itself
    ends early without a word. Raises UsageError where nothing matches.
    """
    if Path(spec).is_dir():
        paths = sorted(Path(spec).glob("*.tar"))
    elif Path(spec).exists():
        paths = [Path(spec)]
    else:
        paths = sorted({Path(name) for pattern in brace_patterns(spec) for name in glob.glob(pattern)})
    if not paths:
        raise UsageError(f"{spec}: no shard (*.tar) there; build them with `python -m shard_builder`, or mend the path")
    for folder in sorted({path.parent for path in paths}):
        if manifest := read_manifest(folder):
            whole_folder = Path(spec) == folder
            check_shards(folder, manifest, {path.name for path in paths if path.parent == folder}, whole_folder)
    return paths


def shards_at(spec: str) -> Sequence[PathOrUrl]:
    """`find_shards`, or `shards_behind` where `spec` is a URL."""
    return shards_behind(spec) if is_url(spec) else find_shards(spec)


def shards_behind(url: str) -> list[Url]:
    """The shards that the URL of a folder, or of tars with a brace pattern, names, in order of name.

    A folder's are those of its manifest, without one those that its server lists. Each is held against the manifest as
    one on disk. Raises UsageError where there is none.
    """
    named = [Url(pattern) for pattern in brace_patterns(url)]
    whole_folder = len(named) == 1 and not named[0].name.endswith(".tar")
    if whole_folder:
        folder = Url(url.rstrip("/"))
        manifest = read_manifest(folder)
        named = [folder / shard.name for shard in manifest.shards] if manifest else sorted(folder.glob("*.tar"))
    if not named:
        raise UsageError(f"{Url(url)}: no shard (*.tar) there; build them with `python -m shard_builder --out`")
    for folder in sorted({shard.parent for shard in named}):
        if manifest := read_manifest(folder):
            names = {shard.name for shard in named if shard.parent == folder}
            check_shards(folder, manifest, names, whole_folder)
    return named


def brace_patterns(spec: str) -> list[str]:
    try:
        return list(braceexpand(spec))
    except ValueError as error:
        raise UsageError(f"{spec}: no shard there: {error}; mend the pattern") from error


def check_shards(folder: PathOrUrl, manifest: Manifest, names: set[str], whole_folder: bool) -> None:
    """Hold the named tars of a folder against its manifest, by name and size."""
    known = {shard.name: shard for shard in manifest.shards}
    if strange := sorted(names - known.keys()):
        raise DataError(f"{folder / strange[0]}: not in {MANIFEST_NAME} beside it; two builds may be mixed here")
    if lost := sorted(known.keys() - names) if whole_folder else []:
        raise DataError(f"{folder / lost[0]}: named in {MANIFEST_NAME} but not there; build the shards again")
    for name, size in sizes_of(folder, sorted(names)):
        if size != known[name].num_bytes:
            raise DataError(
                f"{folder / name}: {size:,} bytes where {MANIFEST_NAME} says {known[name].num_bytes:,}: the shard is "
                "damaged; build it again"
            )


def sizes_of(folder: PathOrUrl, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The size of each of these tars. Raises DataError for one that is not there."""

    def size_of(name: str) -> int:
        try:
            return (folder / name).stat().st_size
        except FileNotFoundError as error:
            raise DataError(
                f"{folder / name}: named in {MANIFEST_NAME} but not there; build the shards again"
            ) from error

    yield from zip(names, map_requests(size_of, names) if isinstance(folder, Url) else map(size_of, names), strict=True)


def verify_shard(path: PathOrUrl) -> None:
    """Read a shard, whole, and hold it against the manifest or, for a tar of others, the index beside it.

    A tar that has neither is left to whoever reads it. Raises DataError for bytes that are not those written.
    """
    manifest, index = read_manifest(path.parent), read_index(path)
    records = {shard.name: shard.sha256 for shard in manifest.shards} if manifest else {}
    written = records.get(path.name, index.tar_sha256 if index else None)
    if written and file_sha256(path) != written:
        raise DataError(
            f"{path}: changed since it was written; `python -m shard_builder.verify {path.parent}` says where: copy it "
            "again, or build it again"
        )
