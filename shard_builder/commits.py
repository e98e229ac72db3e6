"""What a folder of shards already holds, so that a build that was killed goes on where it stopped.

.build/fingerprint    the build that owns the folder, written before its first shard
.build/lock           held while a build writes here; not on object stores
000000.tar, 000000.index.npz, 000001.tar …
                      a job's shards with their indexes, each whole under its name
.build/000000.json    the commit of the job whose first shard that is, written after them: without it they are
                      written again
.build/.000000.tmp-pages
                      while the job runs: a byte for each page it is done with
failed_pages.jsonl    the pages that could not be read, if there are any
manifest.json         written last
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ocr.errors import UsageError
from ocr.plumbing.files import write_whole
from ocr.remote.locations import PathOrUrl, Url
from ocr.remote.remote_files import upload_new
from ocr.shards.manifest import CategoryCounts, ShardRecord, read_manifest
from ocr.shards.shard_index import index_path

BUILD_NAME = ".build"
FAILED_NAME = "failed_pages.jsonl"


class Failure(msgspec.Struct, frozen=True):
    """A page that could not be read: a line of failed_pages.jsonl."""

    page: str
    reason: str
    detail: str


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """What a job made and left out: `pages` and `words` by fate, `seconds` of one worker."""

    split: str
    shards: tuple[ShardRecord, ...]
    pages: dict[str, int]
    words: dict[str, int]
    characters: dict[str, int]
    categories: dict[str, CategoryCounts]
    failures: tuple[Failure, ...]
    seconds: float


def commit_path(folder: PathOrUrl, first_shard: int) -> PathOrUrl:
    return folder / BUILD_NAME / f"{first_shard:06d}.json"


def write_commit(folder: PathOrUrl, first_shard: int, commit: Commit) -> None:
    with write_whole(commit_path(folder, first_shard)) as file:
        file.write(msgspec.json.encode(commit, order="deterministic"))


def finished(folder: PathOrUrl, first_shard: int, accept_failures: bool) -> Commit | None:
    """The commit of a job that need not run again.

    `accept_failures` says whether that holds for one that left out pages, too: in a folder with a manifest they were
    few enough to go without, in one that was stopped the zips may have been mended since.
    """
    try:
        commit = msgspec.json.decode(commit_path(folder, first_shard).read_bytes(), type=Commit)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:  # of another version of the builder, or damaged: its shards are made again
        return None
    whole = all(is_whole(folder / shard.name, shard) for shard in commit.shards)
    return commit if whole and (accept_failures or not commit.failures) else None


def is_whole(path: PathOrUrl, shard: ShardRecord) -> bool:
    return path.exists() and path.stat().st_size == shard.num_bytes and index_path(path).exists()


def check_owner(folder: PathOrUrl, fingerprint: str) -> None:
    """Raise UsageError where a folder holds shards that the build with this fingerprint did not make."""
    mark = folder / BUILD_NAME / "fingerprint"
    if mark.exists():
        owner = mark.read_text()
    elif manifest := read_manifest(folder):
        owner = manifest.fingerprint
    else:
        owner = "unknown" if any(folder.glob("*.tar")) else fingerprint
    if owner != fingerprint:
        raise UsageError(f"{folder}: holds shards of another build; choose another --out or remove it")


@contextmanager
def claimed(folder: PathOrUrl, fingerprint: str, shared: bool) -> Iterator[None]:
    """Hold a folder, after `check_owner`, as the one of this build; `shared` with other jobs of the same build.

    Whoever holds it alone clears what killed runs left half-written. Raises UsageError where another build is at it.
    Object stores have no locks: there the first to write its fingerprint owns the folder, two runs of that build at
    once waste time, and write the same bytes.
    """
    build = folder / BUILD_NAME
    if isinstance(build, Url):
        if not upload_new((build / "fingerprint").text, fingerprint.encode()):
            check_owner(folder, fingerprint)
        yield
        return
    assert isinstance(folder, Path)
    build.mkdir(parents=True, exist_ok=True)
    with (build / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{folder}: another build is writing here; wait for it, or choose another --out"
            ) from error
        except OSError:  # a file system without locks: two builds at once waste time, and write the same bytes
            pass
        for half_written in [] if shared else [*folder.glob(".*.tmp-*"), *build.glob(".*.tmp-*")]:
            half_written.unlink(missing_ok=True)
        with write_whole(build / "fingerprint") as file:
            file.write(fingerprint.encode())
        yield


def write_failures(folder: PathOrUrl, failures: Sequence[Failure]) -> None:
    """Write failed_pages.jsonl; without a failure the folder has none."""
    path = folder / FAILED_NAME
    if not failures:
        path.unlink(missing_ok=True)
        return
    with write_whole(path) as file:
        file.writelines(msgspec.json.encode(failure) + b"\n" for failure in failures)
