"""Commands, timed from their start to their end, with the memory and the disk they take."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter

import msgspec

from bench.disk import DiskUsage, watched
from bench.machine import ROOT
from ocr.errors import DataError


class Usage(msgspec.Struct, frozen=True):
    """What a command took. `peak_bytes` is the resident memory of the largest of its processes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    disk: DiskUsage


def timed(command: Sequence[str | Path], work: Path, watch: Path | None = None) -> Usage:
    """Run a command in the repository's root, with a temporary folder below `work`; raises DataError where it fails.

    Its disk is looked at only where `watch` names the folder it writes to: that costs time.
    """
    temp = work / "temp"
    temp.mkdir(exist_ok=True)
    with (work / "log").open("w+b") as log:
        environment = os.environ | {"TMPDIR": str(temp), "JOBLIB_TEMP_FOLDER": str(temp)}
        start = perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        with watched(process.pid, watch, temp) if watch else nullcontext(DiskUsage()) as disk:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise DataError(f"{command}: exit code {process.returncode}: {log.read().decode()[-2000:]}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, disk)
