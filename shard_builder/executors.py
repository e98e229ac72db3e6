"""Where jobs run: in processes of this machine, or on a Dask or Ray cluster.

A job is a plain function of a small spec that writes files and returns a small record, and writing them again gives
the same bytes. So any engine may run a job twice, on any machine that sees the same folders.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import joblib

from ocr.errors import DataError, UsageError


class RunJobs(Protocol):
    """Run a function over specs, in any order, as many at a time as the engine has workers."""

    def __call__(self, function: Callable[[Any], Any], specs: Iterable[Any]) -> Iterator[Any]: ...


@contextmanager
def engine(name: str, workers: int) -> Iterator[RunJobs]:
    """Yield a way to run jobs. One loky worker is this process itself.

    Raises UsageError where an engine is not installed, DataError where a worker is killed.
    """
    with ENGINES[name](workers) as run_jobs:
        yield run_jobs


def run_with_joblib(function: Callable[[Any], Any], specs: Iterable[Any]) -> Iterator[Any]:
    """On the backend that `joblib.parallel_config` names."""
    parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
    try:
        yield from parallel(joblib.delayed(function)(spec) for spec in specs)
    except BrokenProcessPool as error:
        raise DataError("a worker was killed, perhaps for memory; run again with fewer --workers") from error


@contextmanager
def loky(workers: int) -> Iterator[RunJobs]:
    with joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
        yield run_with_joblib


@contextmanager
def dask(workers: int) -> Iterator[RunJobs]:
    """The cluster whose scheduler DASK_SCHEDULER_ADDRESS names, or one of `workers` processes on this machine.

    Dask runs the jobs of a worker that died on another one.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("engine: dask is not installed; pip install '.[dask]'") from error
    with ExitStack() as opened:
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        cluster = address or opened.enter_context(
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        )
        opened.enter_context(Client(cluster))
        opened.enter_context(joblib.parallel_config("dask"))
        yield run_with_joblib


@contextmanager
def ray(workers: int) -> Iterator[RunJobs]:
    """The cluster that RAY_ADDRESS names, or one of `workers` processes on this machine.

    By Ray's own tasks: joblib's Ray backend gives results only when all are there, and does not retry.
    """
    try:
        import ray as library
    except ImportError as error:
        raise UsageError("engine: ray is not installed; pip install '.[ray]'") from error

    def run_jobs(function: Callable[[Any], Any], specs: Iterable[Any]) -> Iterator[Any]:
        task = library.remote(num_cpus=1, max_retries=3)(function)
        waiting = [task.remote(spec) for spec in specs]
        while waiting:
            done, waiting = library.wait(waiting, num_returns=1)
            try:
                yield library.get(done[0])
            except library.exceptions.WorkerCrashedError as error:
                raise DataError("a Ray worker died four times over one job; look at its memory") from error

    address = os.environ.get("RAY_ADDRESS")
    library.init(address=address, num_cpus=None if address else workers, log_to_driver=False, logging_level="error")
    try:
        yield run_jobs
    finally:
        library.shutdown()


ENGINES = {"loky": loky, "dask": dask, "ray": ray}
