"""The example files for Slurm and Kubernetes: sound to their linters, and the shell ones do what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.distributed.run import get_args_parser

from ocr.shards.manifest import read_manifest
from shard_builder.__main__ import parse_arguments, part_of
from shard_builder.build import Part
from tests.shard_builder.made_zips import write_dataset

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "scripts" / "cluster"
SCRIPTS, MANIFESTS = sorted(CLUSTER.glob("*.sh")), sorted(CLUSTER.glob("*.yaml"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    result = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def programs(folder: Path, **bodies: str) -> dict[str, str]:
    """An environment in which these shell programs come first; what they write goes beside `folder`."""
    folder.mkdir()
    for name, body in bodies.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OUT": str(folder.parent)}


def test_a_slurm_array_builds_and_a_job_behind_it_writes_the_manifests(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", 4, 4)
    environment = programs(tmp_path / "bin", srun='exec "$@"') | {"SLURM_CPUS_PER_TASK": "1"}
    options = ("--dataset", tmp_path / "dataset", "--out", tmp_path / "out", "--training", "train_images=4")
    command: list[str | Path] = ["bash", CLUSTER / "slurm_build.sh", *options]
    for part in ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"}, {}):
        assert read_manifest(tmp_path / "out/training/select_data") is None
        subprocess.run(command, cwd=tmp_path, env=environment | part, check=True)
    manifest = read_manifest(tmp_path / "out/training/select_data")
    assert manifest and manifest.pages == {"written": 4}


TORCHRUN = """
echo "$@" > "$OUT/torchrun"
[ "$ENDS" = alone ] && exit 0
sleep 60 &
trap "kill $!; echo > $OUT/saved; exit 1" TERM
echo started
wait
"""


@pytest.mark.parametrize("ends", ["alone", "by the time limit"])
def test_a_slurm_job_whose_time_is_up_stops_the_run_and_queues_again(tmp_path: Path, ends: str) -> None:
    """A shell program stands in for torchrun."""
    scontrol = 'if [ "$1" = show ]; then echo first; echo second; else echo "$@" > "$OUT/scontrol"; fi'
    environment = programs(tmp_path / "bin", srun='shift; exec "$@"', scontrol=scontrol, torchrun=TORCHRUN)
    environment |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "nodes", "SLURM_JOB_NUM_NODES": "2", "ENDS": ends}
    command: list[str | Path] = ["bash", CLUSTER / "slurm_train.sh", "--config", "mine.yaml"]
    environment["SLURM_GPUS_ON_NODE"] = "8"
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as job:
        if ends != "alone":
            assert job.stdout and job.stdout.readline() == "started\n"
            job.send_signal(signal.SIGUSR1)
        job.wait(timeout=30)
    written = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert "--nnodes 2 --nproc-per-node 8" in written["torchrun"]
    assert "--rdzv-endpoint first:20007 -m trainer --config mine.yaml" in written["torchrun"]
    assert ("saved" in written) == (written.get("scontrol") == "requeue 7\n") == (ends != "alone")


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_files_hold_to_their_schema(path: Path) -> None:
    """Of 100 MB, so that it is looked at where somebody has it: pip install kubernetes-validate."""
    schema = pytest.importorskip("kubernetes_validate")
    for document in documents(path):
        schema.validate(document, "1.29", strict=True)


def container(job: dict[str, Any]) -> list[str]:
    """What the container of a job runs."""
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return [argument.replace("$(JOB_COMPLETION_INDEX)", "3") for argument in found["command"] + found["args"]]


def test_kubernetes_pods_build_their_parts_and_then_the_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    for name in ("kubernetes_build.yaml", "kubernetes_finalize.yaml"):
        (job,) = documents(CLUSTER / name)
        monkeypatch.setattr(sys, "argv", container(job))
        asked.append(parse_arguments())
        if not asked[-1].finalize:
            assert part_of(asked[-1]) == Part(3, job["spec"]["completions"])
    part, whole = (vars(arguments) for arguments in asked)
    assert {key for key in part if part[key] != whole[key]} == {"num_jobs", "job_index", "finalize"}


def test_kubernetes_pods_meet_at_the_first_one() -> None:
    service, job = documents(CLUSTER / "kubernetes_train.yaml")
    name, subdomain = job["metadata"]["name"], job["spec"]["template"]["spec"]["subdomain"]
    torchrun = get_args_parser().parse_args(container(job)[1:])
    assert (subdomain, name) == (service["metadata"]["name"], service["spec"]["selector"]["job-name"])
    assert torchrun.rdzv_endpoint == f"{name}-0.{subdomain}:{service['spec']['ports'][0]['port']}"
    assert int(torchrun.nnodes) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert (torchrun.module, torchrun.training_script) == (True, "trainer")
