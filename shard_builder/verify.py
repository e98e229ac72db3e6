"""Whether shards still are what was written: `python -m shard_builder.verify DIR`.

Every byte of every shard is read and held against the manifest or, for tars of others, against the index beside it.
What differs is looked at more closely, so that the line that names it says what happened.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator

import joblib
import msgspec
import numpy as np

from ocr.errors import DataError, UsageError, run_command
from ocr.plumbing.progress import progress
from ocr.remote.locations import PathOrUrl, Url, path_or_url
from ocr.shards.manifest import MANIFEST_NAME, Manifest, ShardRecord
from ocr.shards.shard_index import Index, file_sha256, index_path, read_index, scan_tar
from shard_builder.inspect.shard_folders import Folder, find_folders, read_folder, without_index
from shard_builder.inspect.tar_diagnosis import damage_of
from shard_builder.inspect.text_tables import counted
from shard_builder.label_scan import WRITTEN

REMAKE = "copy it again, or remove it and run the same build again"
FETCH = "fetch it again, or, if it was meant to change, remove its index and run `python -m shard_builder.index`"


class Shard(msgspec.Struct, frozen=True):
    """A shard to read: `record` says what was written, None for a tar of others; `twins` names the folder's tars."""

    path: PathOrUrl
    record: ShardRecord | None
    twins: dict[str, str]


class Checked(msgspec.Struct, frozen=True):
    """What was looked at, counted as it was written, and a line for all that is wrong with it."""

    num_samples: int
    num_bytes: int
    problems: list[str]


def verify(root: PathOrUrl, workers: int) -> None:
    """Check all shards from `root` down, on `workers` threads, and print what is wrong with them, a line each.

    Raises UsageError where there is no shard, DataError with a summary where something is wrong.
    """
    paths, folders, problems = find_folders(root), [], []
    for path in paths:
        try:
            folders.append(read_folder(path))
        except DataError as error:
            problems.append(str(error))
    problems += [problem for folder in folders for problem in problems_of(folder)]
    shards = [shard for folder in folders for shard in shards_of(folder)]
    checked = list(progress(check_all(shards, workers), "verify", "shards", total=len(shards)))
    problems += [problem for shard in checked for problem in shard.problems]
    for line in [*problems, *notes(folders)]:
        print(line)
    what = (
        f"{counted(len(paths), 'folder')}, {counted(len(shards), 'shard')}, "
        f"{counted(sum(shard.num_samples for shard in checked), 'sample')}, "
        f"{sum(shard.num_bytes for shard in checked) / 1e6:,.1f} MB"
    )
    if problems:
        raise DataError(f"{root}: {counted(len(problems), 'problem')} in {what}")
    print(f"{what}: whole")


def shards_of(folder: Folder) -> list[Shard]:
    records = {record.name: record for record in folder.records}
    twins = {record.sha256: record.name for record in folder.records}
    return [Shard(path, records.get(path.name), twins) for path in folder.shards]


def check_all(shards: Iterable[Shard], workers: int) -> Iterator[Checked]:
    """Check shards, many at a time: reading and hashing lets other threads run."""
    parallel = joblib.Parallel(n_jobs=workers, backend="threading", return_as="generator")
    yield from parallel(joblib.delayed(check_shard)(shard) for shard in shards)


def check_shard(shard: Shard) -> Checked:
    record = shard.record
    try:
        if record:
            return Checked(record.num_samples, record.num_bytes, list(check_built(shard, record)))
        return check_foreign(shard.path)
    except OSError as error:
        problem = f"{shard.path}: cannot be read ({error}); look at the disk and at the rights of the file"
        return Checked(record.num_samples if record else 0, record.num_bytes if record else 0, [problem])


def check_built(shard: Shard, record: ShardRecord) -> Iterator[str]:
    """A line for all that is wrong with a shard of the builder, and with its index."""
    path = shard.path
    if not path.exists():
        yield f"{path}: not there; {REMAKE}"
        return
    sha256 = file_sha256(path)
    try:
        index = read_index(path)
    except DataError as error:
        yield str(error)
        index = None
    if sha256 == record.sha256:
        yield from check_index(path, record, index)
    elif sha256 in shard.twins:
        yield f"{path}: holds what {shard.twins[sha256]} should; {REMAKE}"
    elif index and index.tar_sha256 == sha256:
        yield f"{path}: the shard of another build, with its index; {REMAKE}"
    else:
        known = index if index and index.tar_sha256 == record.sha256 else None
        yield f"{path}: {size_of(path, record.num_bytes)}{damage(path, known)}; {REMAKE}"


def check_index(path: PathOrUrl, record: ShardRecord, index: Index | None) -> Iterator[str]:
    """A line for what is wrong with the index of a shard that is whole."""
    if index is None:  # the folder has a line for all that are not there
        return
    # Another version of numpy may pack the same arrays in other bytes.
    if file_sha256(index_path(path)) != record.index_sha256 and not is_index_of(index, path):
        yield (
            f"{index_path(path)}: not the index of the tar beside it; remove it and run "
            f"`python -m shard_builder.index {path.parent}`"
        )
    elif index.num_samples != record.num_samples:
        yield (
            f"{path.parent / MANIFEST_NAME}: {record.name} holds {index.num_samples:,} samples, not "
            f"{record.num_samples:,}; remove the manifest and run the same build again"
        )


def is_index_of(index: Index, path: PathOrUrl) -> bool:
    return not isinstance(path, Url) and same(index, scan_tar(path))


def damage(path: PathOrUrl, index: Index | None) -> str:
    return "other bytes than were written" if isinstance(path, Url) else damage_of(path, index)


def same(left: Index, right: Index) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in left.__struct_fields__)


def check_foreign(path: PathOrUrl) -> Checked:
    """Hold a tar of others against its index."""
    try:
        index = read_index(path)
    except DataError as error:
        return Checked(0, path.stat().st_size, [str(error)])
    if index is None:
        return Checked(0, path.stat().st_size, [])
    problems = []
    if file_sha256(path) != index.tar_sha256:
        problems = [f"{path}: {size_of(path, index.tar_bytes)}{damage(path, index)}; {FETCH}"]
    return Checked(index.num_samples, index.tar_bytes, problems)


def size_of(path: PathOrUrl, num_bytes: int) -> str:
    found = path.stat().st_size
    return "" if found == num_bytes else f"{found:,} bytes where {num_bytes:,} were written: "


def problems_of(folder: Folder) -> Iterator[str]:
    """A line for all that is wrong with a folder as a whole."""
    if folder.unfinished:
        yield (
            f"{folder.path}: a build has not finished here, {counted(len(folder.records), 'shard')} so far: it was "
            "stopped or is still at work; run the same `python -m shard_builder …` again and it goes on"
        )
    else:
        yield from strange(folder)
    if folder.manifest:
        yield from wrong_sums(folder, folder.manifest)
    lone = without_index(folder)
    if lone:
        yield (
            f"{folder.path}: {counted(len(lone), 'shard')} without an index, the first: {lone[0].name}; run "
            f"`python -m shard_builder.index {folder.path}`"
        )


def strange(folder: Folder) -> Iterator[str]:
    """A line for each tar or index that the manifest does not name and, among tars of others, for a lone index."""
    shards = {*folder.shards}
    known = shards | {index_path(shard) for shard in shards}
    for path in [*folder.tars, *folder.indexes]:
        if path not in known and folder.manifest:
            yield f"{path}: {MANIFEST_NAME} does not name it; two builds may be mixed here: move or remove it"
        elif path not in known:
            yield f"{path}: the tar it was made of is not there; fetch that again, or remove the index"


def wrong_sums(folder: Folder, manifest: Manifest) -> Iterator[str]:
    """A line for each sum of the manifest that does not add up."""
    pages, words = manifest.pages.get(WRITTEN, 0), manifest.words.get(WRITTEN, 0)
    categories = manifest.categories.values()
    num_samples = sum(shard.num_samples for shard in manifest.shards)
    sums = [("samples", num_samples, pages if folder.holds_pages else words)]
    if pages:  # words that came as single images have none, and no category
        sums.append(("pages by category", sum(category.pages for category in categories), pages))
        sums.append(("words by category", sum(category.words for category in categories), words))
    for name, found, written in sums:
        if found != written:
            yield (
                f"{folder.path / MANIFEST_NAME}: {found:,} {name} where {written:,} were written; remove the manifest "
                "and run the same build again"
            )


def notes(folders: Iterable[Folder]) -> Iterator[str]:
    for folder in folders:
        if folder.leftovers:
            yield (
                f"note: {folder.path}: {counted(len(folder.leftovers), 'file')} half-written by a run that was killed, "
                f"the first: {folder.leftovers[0].name}; harmless, the next build clears them"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m shard_builder.verify",
        description="Read shards, whole, and hold them against the manifest or index beside them.",
        epilog="Exit code 0: all of it is what was written. 1: a line says what is wrong.",
    )
    parser.add_argument(
        "folder", type=path_or_url, metavar="DIR", help="a folder of shards, or one above several; s3://…"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="threads; as many as cores by default"
    )
    arguments = parser.parse_args()
    if arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers}: at least one is needed")
    verify(arguments.folder, arguments.workers)


if __name__ == "__main__":
    run_command(main)
