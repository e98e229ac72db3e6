"""A cluster of two nodes of which one dies while it works: the shards are those of a build on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ocr.config import Config
from shard_builder import executors as engines
from shard_builder.build import build
from shard_builder.job import run_job
from tests.shard_builder.made_zips import made_pages, sha256_of_files, write_half
from tests.shard_builder.test_build import many_small_groups

ROOT = Path(__file__).parents[2]
CONFIG = Config(train_images=40, val_images=2, eval_images=2)


class Node(NamedTuple):
    """A node that can be frozen, so that it holds what it was given, and killed."""

    freeze: Callable[[], object]
    kill: Callable[[], object]


def dies_at_work(monkeypatch: pytest.MonkeyPatch, name: str, node: Node) -> list[str]:
    """Freeze the node before the shards are built and kill it with the first that is; gives what happened."""
    happened: list[str] = []
    make = engines.ENGINES[name]

    @contextmanager
    def watched(workers: int) -> Iterator[engines.RunJobs]:
        with make(workers) as run_jobs:

            def run_and_kill(function: Callable[[Any], Any], specs: Iterable[Any]) -> Iterator[Any]:
                calls = list(specs)  # (function, spec), as the traffic's meter hands them on
                if calls[0][0] is not run_job:
                    yield from run_jobs(function, calls)
                    return
                node.freeze()
                for number, result in enumerate(run_jobs(function, calls)):
                    if number == 0:
                        node.kill()
                        happened.append("killed")
                    happened.append("job")
                    yield result

            yield run_and_kill

    monkeypatch.setitem(engines.ENGINES, name, watched)
    return happened


@contextmanager
def dask_nodes(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Node]:
    """A scheduler and two workers, as on three machines."""
    with ExitStack() as running:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
            log = running.enter_context((folder / "dask.log").open("ab"))
            process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)
            running.callback(process.wait)
            running.callback(process.kill)
            return process

        address = folder / "scheduler.json"
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address))
        worker = ("worker", "--scheduler-file", str(address), "--nthreads", "1", "--no-nanny", "--no-dashboard")
        workers = [start(*worker, "--local-directory", str(folder)) for _ in range(2)]
        from distributed import Client

        with Client(scheduler_file=str(address), timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", client.scheduler.address)
        yield Node(lambda: os.kill(workers[1].pid, signal.SIGSTOP), workers[1].kill)


@contextmanager
def ray_nodes(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Node]:
    """A head and another node, of one core each, as on two machines."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield Node(lambda: None, lambda: cluster.remove_node(node, allow_graceful=False))
    finally:
        cluster.shutdown()


@pytest.mark.parametrize(
    ("name", "package", "nodes"),
    [("dask", "distributed", dask_nodes), ("ray", "ray", ray_nodes)],
    ids=["dask", "ray"],
)
def test_a_node_that_dies_at_work_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, nodes: Any
) -> None:
    pytest.importorskip(package)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    many_small_groups(monkeypatch)
    write_half(tmp_path / "dataset", "Training", made_pages("Training", 40))
    build(CONFIG, tmp_path / "dataset", tmp_path / "here", ["training"], workers=1)
    with nodes(monkeypatch, tmp_path) as node:
        happened = dies_at_work(monkeypatch, name, node)
        config = Config(train_images=40, val_images=2, eval_images=2, engine=name)  # type: ignore[arg-type]
        build(config, tmp_path / "dataset", tmp_path / "there", ["training"], workers=2)
    assert happened[0] == "killed" and happened.count("job") > 10
    assert sha256_of_files(tmp_path / "there") == sha256_of_files(tmp_path / "here")
