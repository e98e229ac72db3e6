"""What a folder of shards already holds, so that a build that was killed goes on where it stopped.

.fingerprint    the build that owns the folder, written before its first shard
000000.tar      a shard, whole under its name
.000000.json    its commit, written after it: a shard without one is written again
manifest.json   written last
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ocr.errors import UsageError
from ocr.files import written_whole
from ocr.shards import ShardRecord, read_manifest

FINGERPRINT_NAME = ".fingerprint"
WRITTEN = "written"


class Commit(msgspec.Struct, frozen=True):
    """What a job made and left out: `pages` and `words` by fate, `failures` a line for each page that did not read."""

    shard: ShardRecord
    pages: dict[str, int]
    words: dict[str, int]
    characters: dict[str, int]
    failures: tuple[str, ...]


def commit_path(shard: Path) -> Path:
    return shard.with_name(f".{shard.stem}.json")


def write_commit(folder: Path, commit: Commit) -> None:
    with written_whole(commit_path(folder / commit.shard.name)) as file:
        file.write(msgspec.json.encode(commit, order="deterministic"))


def finished(shard: Path, accept_failures: bool) -> Commit | None:
    """The commit of a shard that need not be written again.

    `accept_failures` says whether that holds for one that left out pages, too: in a folder with a manifest they were
    few enough to go without, in one that was stopped the zips may have been mended since.
    """
    path = commit_path(shard)
    if not path.exists():
        return None
    commit = msgspec.json.decode(path.read_bytes(), type=Commit)
    whole = shard.exists() and shard.stat().st_size == commit.shard.num_bytes
    return commit if whole and (accept_failures or not commit.failures) else None


def check_owner(folder: Path, fingerprint: str) -> None:
    """Raise UsageError where a folder holds shards that the build with this fingerprint did not make."""
    mark = folder / FINGERPRINT_NAME
    if mark.exists():
        owner = mark.read_text()
    elif manifest := read_manifest(folder):
        owner = manifest.fingerprint
    else:
        owner = "unknown" if any(folder.glob("*.tar")) else fingerprint
    if owner != fingerprint:
        raise UsageError(f"{folder}: holds shards of another build; choose another --out or remove it")


def claim(folder: Path, fingerprint: str) -> None:
    """Make a folder the one of this build, after `check_owner`, and clear what killed runs left half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    for half_written in folder.glob(".*.tmp-*"):
        half_written.unlink(missing_ok=True)
    with written_whole(folder / FINGERPRINT_NAME) as file:
        file.write(fingerprint.encode())
