"""The story: zips -> plan -> one job a shard, in as many processes as asked for -> manifest.

Every page and word that the zips list is either written or counted under the reason it was not.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import cv2

from ocr.config import Config
from ocr.errors import DataError
from ocr.progress import progress
from ocr.shards import Manifest, read_manifest, write_manifest
from shard_builder.commits import Commit, check_owner, claim, finished
from shard_builder.job import Job, run_job
from shard_builder.plan import FORMAT, NO_IMAGE, NO_LABEL, SplitPlan, plan_splits
from shard_builder.report import print_split

MAX_FAILED = 0.01
"""The share of a split's pages that may fail to read: the odd broken page is counted, a broken zip stops the build."""


def build(config: Config, dataset: Path, out: Path, splits: Sequence[str], workers: int) -> dict[str, Manifest]:
    """Write the shards and manifest of each split below `out`; finished shards of a run that was stopped are kept.

    The shards are the same bytes for any number of workers. Prints a table a split on stdout, and progress and
    warnings on stderr. Raises UsageError and DataError before anything is written where they can be foreseen, and
    DataError, without a manifest, where more than MAX_FAILED of a split's pages cannot be read.
    """
    plans = plan_splits(config, dataset, splits)
    for plan in plans:
        check_owner(split_folder(plan.split, config, out), plan.fingerprint)
    characters = characters_of(config)
    return {plan.split: build_split(plan, config, out, workers, characters) for plan in plans}


def split_folder(split: str, config: Config, out: Path) -> Path:
    """Training and validation shards lie in the folder that the trainer selects by name."""
    return out / split if split == "evaluation" else out / split / config.select_data


def characters_of(config: Config) -> frozenset[str]:
    """The characters that the config's alphabet holds."""
    # EasyOCR takes 4 s and 0.8 GB to import: not in the workers, which import this file, nor before bad input is named.
    from ocr.weights import charset_of

    return frozenset(charset_of(config.character).characters)


def build_split(plan: SplitPlan, config: Config, out: Path, workers: int, characters: frozenset[str]) -> Manifest:
    start = monotonic()
    folder = split_folder(plan.split, config, out)
    claim(folder, plan.fingerprint)
    warn_of_unpaired(plan)
    jobs = [
        Job(folder / f"{number:06d}.tar", plan.split, config.seed, config.rgb, pages)
        for number, pages in enumerate(plan.shards())
    ]
    built = read_manifest(folder)
    commits = {job.path: commit for job in jobs if (commit := finished(job.path, accept_failures=built is not None))}
    todo = [job for job in jobs if job.path not in commits]
    if commits and todo:
        print(f"{plan.split}: {len(commits)} of {len(jobs)} shards are there already", file=sys.stderr)
    commits |= {folder / commit.shard.name: commit for commit in run_jobs(plan, todo, workers)}
    manifest = summarize(plan, [commits[job.path] for job in jobs], characters)
    if manifest != built:
        write_manifest(folder, manifest)
    print_split(manifest, folder, monotonic() - start if todo else None)
    return manifest


def warn_of_unpaired(plan: SplitPlan) -> None:
    no_label, no_image = plan.left_out[NO_LABEL], plan.left_out[NO_IMAGE]
    if no_label or no_image:
        print(
            f"{plan.split}: left out: {no_label:,} images without label, {no_image:,} labels without image",
            file=sys.stderr,
        )


def run_jobs(plan: SplitPlan, jobs: Sequence[Job], workers: int) -> list[Commit]:
    """Run jobs and give their commits in the same order. Raises DataError as soon as too many pages failed."""
    if not jobs:
        return []
    commits: list[Commit] = []

    def pages_done(results: Iterable[Commit]) -> Iterator[str]:
        for commit in results:
            commits.append(commit)
            check_failures(plan, commits)
            yield from (page.key for page in jobs[len(commits) - 1].pages)

    num_pages = sum(len(job.pages) for job in jobs)
    with job_mapper(min(workers, len(jobs))) as map_jobs:
        for _ in progress(pages_done(map_jobs(run_job, jobs)), plan.split, "pages", total=num_pages):
            pass
    if failures := [line for commit in commits for line in commit.failures]:
        print(
            f"{plan.split}: {len(failures)} pages cannot be read and are left out, the first: {failures[0]}",
            file=sys.stderr,
        )
    return commits


def check_failures(plan: SplitPlan, commits: Sequence[Commit]) -> None:
    failures = [line for commit in commits for line in commit.failures]
    if len(failures) > MAX_FAILED * len(plan.pages):
        raise DataError(
            f"{failures[0]} ({plan.split}: {len(failures)} of {len(plan.pages)} pages so far cannot be read, more than "
            f"{MAX_FAILED:.0%}; what is built stays, mend the zips and run again)"
        )


MapJobs = Callable[[Callable[[Job], Commit], Iterable[Job]], Iterator[Commit]]


@contextmanager
def job_mapper(num_workers: int) -> Iterator[MapJobs]:
    """Yield a `map` that keeps the order: the builtin for one worker, else that of a pool of spawned processes."""
    if num_workers <= 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=start_worker)
    try:
        yield pool.map
    except BrokenProcessPool as error:
        raise DataError("a worker was killed, perhaps for memory; run again with fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    """One core a worker; Ctrl-C ends it without a traceback, and so does the end of its parent, even by kill -9."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=exit_with_parent, daemon=True).start()


def exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def summarize(plan: SplitPlan, commits: Sequence[Commit], characters: frozenset[str]) -> Manifest:
    """The manifest of a split from its commits, in the order of its shards."""
    pages, words, written = plan.left_out.copy(), Counter[str](), Counter[str]()
    for commit in commits:
        pages.update(commit.pages)
        words.update(commit.words)
        written.update(commit.characters)
    return Manifest(
        split=plan.split,
        shards=tuple(commit.shard for commit in commits),
        pages=dict(pages),
        words=dict(words),
        missing={character: count for character, count in written.items() if character not in characters},
        fingerprint=plan.fingerprint,
        versions={"format": FORMAT, "opencv": cv2.__version__},
    )
