from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("options", [[], ["--tilted", "--polygon"]])
def test_the_bench_runs_and_says_where(options: list[str]) -> None:
    command = [
        sys.executable,
        str(ROOT / "scripts" / "bench_score.py"),
        "--pages",
        "2",
        "--words",
        "12",
        "--runs",
        "1",
        *options,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    machine, made, wall, processor = run.stdout.splitlines()
    assert all(word in machine for word in ("cores", "Python", "numpy", "shapely", "commit"))
    assert made == f"2 pages x 12 words, {'tilted' if options else 'upright'}, seed 0"
    assert wall.startswith("wall: median ") and processor.startswith("processor: median ")
