"""How far the jobs of a run are, page by page, wherever they run.

A job takes a minute, and its engine hears nothing of it before it ends. All engines share the shards' folder: a job
adds a byte a page to a file of its own there, and whoever started the jobs looks at the sizes of these files.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from threading import Event, Thread

from ocr.plumbing.progress import progress
from shard_builder.commits import BUILD_NAME
from shard_builder.plan import Job

LOOK_SECONDS = 0.5


def count_path(job: Job) -> Path:
    """For shards in a bucket it lies on the machine of the job; the progress shows the jobs of this machine, then."""
    name = f".{job.first_shard:06d}.tmp-pages"
    if isinstance(job.folder, Path):
        return job.folder / BUILD_NAME / name
    return Path(gettempdir()) / f".{hashlib.sha256(job.folder.text.encode()).hexdigest()[:16]}{name}"


@contextmanager
def shown_by_page(jobs: Sequence[Job]) -> Iterator[None]:
    """Show the progress of jobs that run, on any engine, while the block does."""
    paths, ended = [count_path(job) for job in jobs], Event()
    remove_counts(jobs)
    shown = progress(pages_done(paths, ended), "shards", "pages", total=sum(len(job.pages) for job in jobs))
    thread = Thread(target=deque, args=(shown, 0), daemon=True)  # a deque of no length takes in all and keeps nothing
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        remove_counts(jobs)


def pages_done(paths: Sequence[Path], ended: Event) -> Iterator[None]:
    """One None a page as the files grow, until `ended`; a job that begins again takes none back."""
    shown, last_look = 0, False
    while not last_look:
        last_look = ended.wait(LOOK_SECONDS)
        done = sum(map(num_bytes, paths))
        yield from [None] * (done - shown)
        shown = max(shown, done)


def num_bytes(path: Path) -> int:
    with suppress(FileNotFoundError):  # its job has not begun
        return path.stat().st_size
    return 0


def remove_counts(jobs: Iterable[Job]) -> None:
    """Of jobs that no one runs."""
    for job in jobs:
        count_path(job).unlink(missing_ok=True)
