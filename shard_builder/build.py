"""The story: zips -> plan -> jobs, on whatever engine -> a manifest a split.

Every page and word that the zips list is either written or counted under the reason it was not.
"""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import cv2
import msgspec

from ocr.config import Config
from ocr.errors import DataError
from ocr.networks.easyocr_files import charset_of
from ocr.remote.locations import PathOrUrl, Url
from ocr.remote.remote_files import map_requests
from ocr.shards.manifest import CategoryCounts, Manifest, read_manifest, write_manifest
from shard_builder.build_report import print_plan, print_split
from shard_builder.commits import Commit, Failure, check_owner, claimed, finished, write_failures
from shard_builder.executors import RunJobs, engine
from shard_builder.inspect.text_tables import counted
from shard_builder.job import run_job
from shard_builder.page_progress import remove_counts, shown_by_page
from shard_builder.plan import FORMAT, Job, SplitPlan, plan_splits
from shard_builder.splits import SPLITS
from shard_builder.traffic import Metered, print_fetched
from shard_builder.zips.dataset_files import Dataset
from shard_builder.zips.page_sources import NO_IMAGE, NO_LABEL


class Part(msgspec.Struct, frozen=True):
    """Which of the jobs this process runs: every `num_jobs`-th, from `index` on."""

    index: int
    num_jobs: int


def build(
    config: Config,
    dataset: Dataset,
    out: PathOrUrl = Path("shards"),
    splits: Sequence[str] = SPLITS,
    workers: int = os.cpu_count() or 1,
) -> dict[str, Manifest]:
    """Write the shards and manifest of each split below `out`; finished shards of a run that was stopped are kept.

    Gives the manifests by split ("training", "validation", "evaluation"): shards, pages and words by fate, characters.
    The shards are the same bytes for any number of workers and any engine. Prints a table a split on stdout, and
    progress and warnings on stderr. Raises UsageError and DataError before anything is written where they can be
    foreseen, and DataError, without a manifest, where more than the config's `max_failed` of a split's pages cannot be
    read.
    """
    start = monotonic()
    with engine(config.engine, workers) as run_jobs, ExitStack() as held:
        metered = Metered(run_jobs)
        plans = plan_splits(config, dataset, out, splits, metered)
        characters = characters_of(config)
        claim(plans, held, shared=False)
        todo = [job for plan in plans for job in todo_of(plan)]
        run_all(config, plans, todo, metered)
        print_fetched(metered.fetched(), plans, todo)
        manifests = {plan.split: finish(config, plan, characters) for plan in plans}
        print(f"built in {monotonic() - start:,.1f} s" if todo else "already built", flush=True)
        return manifests


def build_part(
    config: Config, dataset: Dataset, out: PathOrUrl, splits: Sequence[str], workers: int, part: Part
) -> None:
    """Run one part of the jobs, without a manifest; `finalize` writes it when all parts are done."""
    with engine(config.engine, workers) as run_jobs, ExitStack() as held:
        metered = Metered(run_jobs)
        plans = plan_splits(config, dataset, out, splits, metered)
        claim(plans, held, shared=True)
        jobs = [job for plan in plans for job in plan.jobs][part.index :: part.num_jobs]
        done = finished_all(jobs, accept_failures=False)
        todo = [job for job, commit in zip(jobs, done, strict=True) if not commit]
        run_all(config, plans, todo, metered)
        print_fetched(metered.fetched(), plans, todo)
    print(f"part {part.index} of {part.num_jobs}: {len(jobs)} groups of shards, {len(todo)} of them built now")


def finalize(
    config: Config, dataset: Dataset, out: PathOrUrl, splits: Sequence[str], workers: int
) -> dict[str, Manifest]:
    """Write the manifests of a build that ran in parts. Raises DataError where one is missing."""
    with engine(config.engine, workers) as run_jobs, ExitStack() as held:
        plans = plan_splits(config, dataset, out, splits, run_jobs)
        characters = characters_of(config)
        claim(plans, held, shared=False)
        return {plan.split: finish(config, plan, characters) for plan in plans}


def dry_run(config: Config, dataset: Dataset, out: PathOrUrl, splits: Sequence[str], workers: int) -> None:
    """Print what a build would do, as far as directories and labels tell; writes nothing."""
    with engine(config.engine, workers) as run_jobs:
        for plan in plan_splits(config, dataset, out, splits, run_jobs):
            check_owner(plan.folder, plan.fingerprint)
            print_plan(plan)


def characters_of(config: Config) -> frozenset[str]:
    """The characters that the config's alphabet holds; without what `+data` adds, which is what a build finds out."""
    return frozenset(charset_of(config.character).characters)


def claim(plans: Sequence[SplitPlan], held: ExitStack, shared: bool) -> None:
    for plan in plans:
        check_owner(plan.folder, plan.fingerprint)
        warn_of_unpaired(plan)
    for plan in plans:
        held.enter_context(claimed(plan.folder, plan.fingerprint, shared))
        if not shared:
            remove_counts(plan.jobs)


def warn_of_unpaired(plan: SplitPlan) -> None:
    no_label, no_image = plan.left_out[NO_LABEL], plan.left_out[NO_IMAGE]
    if no_label or no_image:
        images, labels = f"{counted(no_label, 'image')} without label", f"{counted(no_image, 'label')} without image"
        print(f"{plan.split}: left out: {images}, {labels}", file=sys.stderr)


def todo_of(plan: SplitPlan) -> list[Job]:
    """The jobs whose shards are not there yet."""
    built = read_manifest(plan.folder) is not None
    done = finished_all(plan.jobs, accept_failures=built)
    todo = [job for job, commit in zip(plan.jobs, done, strict=True) if not commit]
    if todo and len(todo) < len(plan.jobs):
        there = len(plan.jobs) - len(todo)
        print(f"{plan.split}: {there} of {len(plan.jobs)} groups of shards are there already", file=sys.stderr)
    return todo


def finished_all(jobs: Sequence[Job], accept_failures: bool) -> list[Commit | None]:
    """`finished` of each job; of a bucket they are asked for together."""

    def commit_of(job: Job) -> Commit | None:
        return finished(job.folder, job.first_shard, accept_failures)

    return (
        map_requests(commit_of, jobs) if jobs and isinstance(jobs[0].folder, Url) else [commit_of(job) for job in jobs]
    )


def run_all(config: Config, plans: Sequence[SplitPlan], todo: Sequence[Job], run_jobs: RunJobs) -> None:
    """Run jobs of any split. Raises DataError as soon as too many pages of one failed."""
    plan_of = {plan.split: plan for plan in plans}
    failures: dict[str, list[Failure]] = defaultdict(list)
    with shown_by_page(todo):
        for commit in run_jobs(run_job, todo):
            failures[commit.split] += commit.failures
            check_failures(config, plan_of[commit.split], failures[commit.split])


def check_failures(config: Config, plan: SplitPlan, failures: Sequence[Failure]) -> None:
    if len(failures) > config.max_failed * len(plan.pages):
        write_failures(plan.folder, failures)
        raise DataError(
            f"{failures[0].detail} ({plan.split}: {len(failures)} of {len(plan.pages)} pages so far cannot be read, "
            f"more than max_failed, {config.max_failed:.1%}; what is built stays, mend the zips and run again)"
        )


def finish(config: Config, plan: SplitPlan, characters: frozenset[str]) -> Manifest:
    """Write a split's manifest from the commits of its jobs. Raises DataError where one is missing."""
    done = finished_all(plan.jobs, accept_failures=True)
    commits = [commit for commit in done if commit]
    if len(commits) < len(plan.jobs):
        raise DataError(
            f"{plan.folder}: {len(plan.jobs) - len(commits):,} of {len(plan.jobs):,} groups of shards are missing, the "
            f"first: {plan.jobs[done.index(None)].first_shard:06d}.tar; run every --job-index, then --finalize again"
        )
    failures = [failure for commit in commits for failure in commit.failures]
    check_failures(config, plan, failures)
    write_failures(plan.folder, failures)
    manifest = summarize(plan, commits, characters)
    if manifest != read_manifest(plan.folder):
        write_manifest(plan.folder, manifest)
    print_split(manifest, plan.folder, failures)
    return manifest


def summarize(plan: SplitPlan, commits: Sequence[Commit], characters: frozenset[str]) -> Manifest:
    """The manifest of a split from its commits, in the order of its shards."""
    pages, words, written = plan.left_out.copy(), Counter[str](), Counter[str]()
    categories: dict[str, CategoryCounts] = defaultdict(lambda: CategoryCounts(0, 0))
    for commit in commits:
        pages.update(commit.pages)
        words.update(commit.words)
        written.update(commit.characters)
        for name, counts in commit.categories.items():
            before = categories[name]
            categories[name] = CategoryCounts(before.pages + counts.pages, before.words + counts.words)
    return Manifest(
        split=plan.split,
        shards=tuple(shard for commit in commits for shard in commit.shards),
        pages=dict(pages),
        words=dict(words),
        characters=dict(written),
        missing={character: count for character, count in written.items() if character not in characters},
        categories=dict(categories),
        worker_seconds=round(sum(commit.seconds for commit in commits), 3),
        settings=msgspec.to_builtins(plan.settings),
        inputs=plan.inputs,
        fingerprint=plan.fingerprint,
        versions={
            "format": FORMAT,
            "easyocr-korean-documents": version("easyocr-korean-documents"),
            "opencv": cv2.__version__,
            "python": platform.python_version(),
        },
    )
