"""Where figures come from: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


class Machine(msgspec.Struct, frozen=True):
    cpu: str
    num_cores: int
    load: float  # jobs that wanted a core in the minute before: figures of a busy machine are worth little
    system: str
    python: str
    versions: dict[str, str]
    commit: str


def this_machine(packages: Sequence[str]) -> Machine:
    return Machine(
        cpu_name(),
        len(os.sched_getaffinity(0)),
        round(os.getloadavg()[0], 2),
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
        {package: version(package) for package in packages},
        commit(),
    )


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def commit() -> str:
    """The commit of this checkout, `+` where files differ from it; "unknown" outside git."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    described = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return described.stdout.strip() or "unknown"


def print_machine(machine: Machine) -> None:
    print(f"{machine.cpu}, {machine.num_cores} cores, load {machine.load}, {machine.system}, commit {machine.commit}")
    versions = ", ".join(f"{package} {number}" for package, number in machine.versions.items())
    print(f"Python {machine.python}, {versions}")
