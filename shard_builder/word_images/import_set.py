"""The story: a list of labeled images -> a plan -> a job a shard, on whatever engine -> a manifest a split.

Every row that the list holds is either written or counted under the reason it was not.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from time import monotonic

import cv2
import msgspec

from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.plumbing.progress import progress
from ocr.shards.manifest import InputRecord, Manifest, read_manifest, write_manifest
from shard_builder.build import characters_of, summarize
from shard_builder.build_report import print_split
from shard_builder.commits import Failure, check_owner, claimed, finished, write_failures
from shard_builder.executors import RunJobs, engine
from shard_builder.plan import FORMAT, IN_VALIDATION, WORDS_A_SHARD, SplitPlan, even_parts, seeded, split_folder
from shard_builder.settings import Settings, settings_of
from shard_builder.word_images.image_set import NO_SUCH_IMAGE, ImageSet, Row
from shard_builder.word_images.import_job import ImportJob, failure_of, run_import
from shard_builder.word_images.labels_csv import LIST_NAME, LabelsCsv
from shard_builder.word_images.labels_lmdb import DATA_NAME, LabelsLmdb
from shard_builder.zips.page_sources import key_of

KeyedRow = tuple[str, Row]
"""(sample key, row)"""

PAGE_AND_BOX = re.compile(r"(.+)_\d+-\d+-\d+-\d+")


class ImportPlan(msgspec.Struct, frozen=True):
    """What the manifest says of a split, how many rows it has, and the jobs that write its shards."""

    about: SplitPlan
    num_rows: int
    jobs: tuple[ImportJob, ...]


def import_set(
    config: Config, dataset: Path, validation: Path | None, validation_share: float, out: Path, workers: int
) -> dict[str, Manifest]:
    """Write training and validation shards and their manifests below `out`, as the builder does from zips.

    Validation is a set of its own, or a share of the one. The shards are the same bytes for any number of workers and
    any engine; those of a run that was stopped are kept. Raises UsageError and DataError, before anything is written
    where they can be foreseen, and DataError, without a manifest, where more than the config's `max_failed` of a
    split's images are missing or cannot be read.
    """
    start = monotonic()
    plans = plan_import(config, dataset, validation, validation_share, out)
    characters = characters_of(config)
    with engine(config.engine, workers) as run_jobs, ExitStack() as held:
        for plan in plans:
            check_owner(plan.about.folder, plan.about.fingerprint)
        for plan in plans:
            held.enter_context(claimed(plan.about.folder, plan.about.fingerprint, shared=False))
        todo = [job for plan in plans for job in todo_of(plan)]
        run_all(config, plans, todo, run_jobs)
        manifests = {plan.about.split: finish(config, plan, characters) for plan in plans}
        print(f"built in {monotonic() - start:,.1f} s" if todo else "already built", flush=True)
        return manifests


def open_set(folder: Path) -> ImageSet:
    """The set of a folder, told by the file that lists it. Raises UsageError where there is none."""
    if (folder / LIST_NAME).is_file():
        return LabelsCsv(folder)
    if (folder / DATA_NAME).is_file():
        return LabelsLmdb(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one that holds {LIST_NAME} or {DATA_NAME}")
    raise UsageError(f"{folder}: holds neither {LIST_NAME} (EasyOCR's trainer) nor {DATA_NAME} (an LMDB)")


def plan_import(
    config: Config, dataset: Path, validation: Path | None, validation_share: float, out: Path
) -> list[ImportPlan]:
    images = open_set(dataset)
    held_out = open_set(validation) if validation else images
    rows = listed(images)
    if validation:
        if images.path.samefile(held_out.path):
            raise UsageError(f"{dataset}: is given to train and to validate on; leave --validation out to divide it")
        held_out_rows = listed(held_out)
        rows = without_pages_of(held_out_rows, rows)
    else:
        rows, held_out_rows = divided(rows, validation_share, config.seed, images)
    plans = [plan_split(config, "training", images, rows, out)]
    if held_out_rows:
        plans.append(plan_split(config, "validation", held_out, held_out_rows, out))
    return plans


def listed(images: ImageSet) -> list[KeyedRow]:
    """A set's rows, each with a key of its own. Raises DataError where there are none."""
    listing = images.listing()
    if listing.remark:
        print(listing.remark, file=sys.stderr)
    if not listing.rows:
        raise DataError(f"{images.path}: lists no image")
    keyed: list[KeyedRow] = []
    keys: set[str] = set()
    for row in listing.rows:
        key = key_of(PurePosixPath(row.name).stem)
        if key in keys:  # 1/a.png and 2/a.png: with its folder and suffix a name is the only one
            key = key_of(row.name)
        keys.add(key)
        keyed.append((key, row))
    return keyed


def without_pages_of(held_out: Sequence[KeyedRow], rows: Sequence[KeyedRow]) -> list[KeyedRow]:
    """Rows to train on; those of a page that the model is measured on are refused, as the builder does."""
    pages = {page for key, row in held_out if (page := page_of(key, row)) != key}
    return [
        (key, msgspec.structs.replace(row, refused=IN_VALIDATION) if page_of(key, row) in pages else row)
        for key, row in rows
    ]


def divided(
    rows: Sequence[KeyedRow], share: float, seed: int, images: ImageSet
) -> tuple[list[KeyedRow], list[KeyedRow]]:
    """(training, validation): pages are drawn by seed until they hold that share of the rows.

    A page is what names like `<page>_<x0>-<y0>-<x1>-<y1>.png` have in common, AI-Hub's words as the seed project wrote
    them; any other image stands for itself. Raises UsageError where one page holds all.
    """
    pages = [page_of(key, row) for key, row in rows]
    num_rows = Counter(pages)
    held_out: set[str] = set()
    num_held_out = 0
    for page in sorted(num_rows, key=lambda page: seeded(seed, page)):
        if num_held_out >= share * len(rows):
            break
        held_out.add(page)
        num_held_out += num_rows[page]
    if num_held_out == len(rows):
        raise UsageError(f"{images.path}: too few pages to divide; give --validation DIR, or --validation-share 0")
    training = [keyed for keyed, page in zip(rows, pages, strict=True) if page not in held_out]
    return training, [keyed for keyed, page in zip(rows, pages, strict=True) if page in held_out]


def page_of(key: str, row: Row) -> str:
    """By the image's own name: a key holds no Korean and no dot, and may end in a hash."""
    found = PAGE_AND_BOX.fullmatch(unicodedata.normalize("NFC", PurePosixPath(row.name).stem))
    return found[1] if found else key


def plan_split(config: Config, split: str, images: ImageSet, rows: list[KeyedRow], out: Path) -> ImportPlan:
    """The shards of a split: its rows in an order that the seed and their keys decide, cut into even parts."""
    missing = [row for _, row in rows if row.num_bytes is None and not row.refused]
    check_failures(config, split, len(rows), [failure_of(images, row, NO_SUCH_IMAGE) for row in missing])
    rows = sorted(rows, key=lambda keyed: seeded(config.seed, keyed[0]))
    folder, settings = split_folder(split, config, out), settings_of(config)
    rows_sha256 = hashlib.sha256()
    for keyed in rows:
        rows_sha256.update(repr(keyed).encode())
    about = SplitPlan(
        split=split,
        folder=folder,
        pages=(),
        scans=(),
        left_out=Counter(),
        settings=settings,
        inputs=(InputRecord(images.path.name, images.path.stat().st_size, len(rows), rows_sha256.hexdigest()),),
        fingerprint=digest(split, settings, rows_sha256.digest()),
        jobs=(),
    )
    parts = even_parts(len(rows), -(-len(rows) // WORDS_A_SHARD))
    jobs = tuple(
        ImportJob(folder, split, settings, number, images, tuple(rows[start:stop]))
        for number, (start, stop) in enumerate(parts)
    )
    return ImportPlan(about, len(rows), jobs)


def digest(split: str, settings: Settings, rows: bytes) -> str:
    """A digest of all that a split's shards are a function of; images go in by name and size."""
    return hashlib.sha256(repr((FORMAT, cv2.__version__, split, settings, WORDS_A_SHARD, rows)).encode()).hexdigest()


def todo_of(plan: ImportPlan) -> list[ImportJob]:
    """The jobs whose shards are not there yet."""
    built = read_manifest(plan.about.folder) is not None
    return [job for job in plan.jobs if not finished(job.folder, job.first_shard, accept_failures=built)]


def run_all(config: Config, plans: Sequence[ImportPlan], todo: Sequence[ImportJob], run_jobs: RunJobs) -> None:
    """Run jobs of both splits. Raises DataError as soon as too many images of one failed."""
    num_rows = {plan.about.split: plan.num_rows for plan in plans}
    failures: dict[str, list[Failure]] = {split: [] for split in num_rows}

    def images_done() -> Iterator[None]:
        for commit in run_jobs(run_import, todo):
            failures[commit.split] += commit.failures
            check_failures(config, commit.split, num_rows[commit.split], failures[commit.split])
            for _ in range(sum(commit.words.values())):
                yield

    for _ in progress(images_done(), "shards", "images", total=sum(len(job.rows) for job in todo)):
        pass


def check_failures(config: Config, split: str, num_rows: int, failures: Sequence[Failure]) -> None:
    if len(failures) > config.max_failed * num_rows:
        raise DataError(
            f"{failures[0].detail} ({split}: {len(failures):,} of {num_rows:,} images are missing or cannot be read, "
            f"more than max_failed, {config.max_failed:.1%}; mend the set, or raise max_failed, and run again)"
        )


def finish(config: Config, plan: ImportPlan, characters: frozenset[str]) -> Manifest:
    """Write a split's manifest from the commits of its jobs."""
    folder = plan.about.folder
    done = [finished(folder, job.first_shard, accept_failures=True) for job in plan.jobs]
    commits = [commit for commit in done if commit]
    failures = [failure for commit in commits for failure in commit.failures]
    check_failures(config, plan.about.split, plan.num_rows, failures)
    write_failures(folder, failures)
    manifest = summarize(plan.about, commits, characters)
    if manifest != read_manifest(folder):
        write_manifest(folder, manifest)
    print_split(manifest, folder, failures)
    return manifest
