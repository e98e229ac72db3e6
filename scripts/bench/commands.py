"""Commands, timed from their start to their end, with the CPU they take."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter

import msgspec

from bench.machine import ROOT
from bench.watch import Seen, watched
from ocr.errors import DataError


class Usage(msgspec.Struct, frozen=True):
    """What a command took, CPU of all its processes, and what was seen of it where it was watched."""

    seconds: float
    cpu_seconds: float
    seen: Seen


def timed(command: Sequence[str | Path], work: Path, watch: Path | None = None) -> Usage:
    """Run a command in the repository's root, with a temporary folder below `work`; raises DataError where it fails.

    It is watched only where `watch` names the folder it writes to: that costs time.
    """
    temp = work / "temp"
    temp.mkdir(exist_ok=True)
    with (work / "log").open("w+b") as log:
        environment = os.environ | {"TMPDIR": str(temp), "JOBLIB_TEMP_FOLDER": str(temp)}
        start = perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        with watched(process.pid, watch, temp) if watch else nullcontext(Seen()) as seen:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise DataError(f"{command}: exit code {process.returncode}: {log.read().decode()[-2000:]}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, seen)
