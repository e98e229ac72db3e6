"""What lies in a folder of shards, whoever wrote it, for the commands that look at shards."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ocr.errors import UsageError
from ocr.remote.locations import PathOrUrl, Url
from ocr.remote.remote_files import files_below
from ocr.shards.manifest import MANIFEST_NAME, Manifest, ShardRecord, read_manifest
from ocr.shards.shard_index import INDEX_SUFFIX, index_path
from shard_builder.commits import BUILD_NAME, Commit
from shard_builder.splits import WHOLE_PAGES


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one folder by kind, and what is known of its shards.

    `records` are those of the manifest or, where a build has not come to it (`unfinished`), of the jobs that are done;
    none for tars of others. `leftovers` are half-written files of runs that were killed.
    """

    path: PathOrUrl
    manifest: Manifest | None
    unfinished: bool
    records: tuple[ShardRecord, ...]
    tars: tuple[PathOrUrl, ...]
    indexes: tuple[PathOrUrl, ...]
    leftovers: tuple[PathOrUrl, ...]

    @property
    def holds_pages(self) -> bool:
        """Whether a sample is a whole page, not a word."""
        return self.manifest is not None and self.manifest.split in WHOLE_PAGES

    @property
    def shards(self) -> list[PathOrUrl]:
        """The shards that are, or should be, there."""
        names = [record.name for record in self.records]
        return [self.path / name for name in names] if self.manifest or self.unfinished else list(self.tars)


def find_folders(root: PathOrUrl) -> Sequence[PathOrUrl]:
    """The folders with shards from `root` down, in order. Raises UsageError where there is none."""
    if isinstance(root, Url):
        return folders_behind(root)
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; name a folder of shards or one above it")
    found = [folder for folder, files in walk(root) if (folder / BUILD_NAME).is_dir() or any(map(is_of_shards, files))]
    if not found:
        raise UsageError(f"{root}: no shard (*.tar) below it; build them with `python -m shard_builder`")
    return sorted(found)


def folders_behind(root: Url) -> list[Url]:
    try:
        found = {Url(url).parent for url in files_below(root.text) if is_of_shards(Url(url).name)}
    except FileNotFoundError as error:
        raise UsageError(f"{root}: no such bucket or page; name a folder of shards or one above it") from error
    if not found:
        raise UsageError(
            f"{root}: no shard (*.tar) is listed below it; build them with `python -m shard_builder --out`"
        )
    return sorted(found)


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """(folder, names of its files) from `root` down, without hidden folders; linked ones are followed, each once."""
    seen = set()
    for folder, below, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = [name for name in below if not name.startswith(".")]
        yield Path(folder), files


def is_of_shards(name: str) -> bool:
    return name == MANIFEST_NAME or name.endswith((".tar", INDEX_SUFFIX))


def read_folder(path: PathOrUrl) -> Folder:
    """Raises DataError for a manifest that cannot be read."""
    manifest, build = read_manifest(path), path / BUILD_NAME
    unfinished = manifest is None and build.is_dir()
    records = manifest.shards if manifest else read_commits(build) if unfinished else ()
    return Folder(
        path=path,
        manifest=manifest,
        unfinished=unfinished,
        records=records,
        tars=tuple(sorted(path.glob("*.tar"))),
        indexes=tuple(sorted(path.glob(f"*{INDEX_SUFFIX}"))),
        leftovers=tuple(sorted([*path.glob(".*.tmp-*"), *build.glob(".*.tmp-*")])),
    )


def read_commits(build: PathOrUrl) -> tuple[ShardRecord, ...]:
    """The shards of the jobs that are done. A commit that cannot be read is none: its job will run again."""
    records: list[ShardRecord] = []
    paths: Sequence[PathOrUrl] = sorted(build.glob("[0-9]*.json"))
    for path in paths:
        try:
            records += msgspec.json.decode(path.read_bytes(), type=Commit).shards
        except msgspec.DecodeError:
            continue
    return tuple(records)


def without_index(folder: Folder) -> list[PathOrUrl]:
    return [shard for shard in folder.shards if shard.exists() and not index_path(shard).exists()]
