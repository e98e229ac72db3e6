"""What a build fetches from servers, over all its workers, wherever they run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ocr.remote.connections import TRAFFIC_METER, Traffic
from shard_builder.executors import RunJobs
from shard_builder.plan import Job, SplitPlan


class Metered:
    """A way to run jobs that knows what they and this process have fetched."""

    def __init__(self, run_jobs: RunJobs) -> None:
        self.run_jobs = run_jobs
        self.before, self.of_others = TRAFFIC_METER.traffic, Traffic()

    def __call__(self, function: Callable[[Any], Any], specs: Iterable[Any]) -> Iterator[Any]:
        for result, pid, fetched in self.run_jobs(measured, ((function, spec) for spec in specs)):
            if pid != os.getpid():
                self.of_others += fetched
            yield result

    def fetched(self) -> Traffic:
        return TRAFFIC_METER.traffic - self.before + self.of_others


def measured(call: tuple[Callable[[Any], Any], Any]) -> tuple[Any, int, Traffic]:
    """(result, process, what it fetched meanwhile)."""
    function, spec = call
    before = TRAFFIC_METER.traffic
    result = function(spec)
    return result, os.getpid(), TRAFFIC_METER.traffic - before


def print_fetched(fetched: Traffic, plans: Sequence[SplitPlan], jobs: Sequence[Job]) -> None:
    """Print what came over the network beside what the zips hold of it; nothing for zips on disk."""
    if not fetched.num_bytes:
        return
    labels = sum(page.label.stored_bytes for plan in plans for page in plan.pages)
    images = sum(page.image.stored_bytes for job in jobs for page in job.pages)
    print(
        f"fetched {fetched.num_bytes / 1e6:,.1f} MB in {fetched.num_requests:,} requests, {fetched.num_retries:,} "
        f"retried: the zips' directories, and {(labels + images) / 1e6:,.1f} MB of labels and pages"
    )
