"""The simulation of the plan runs, and says the same of ranks as the plan itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_scale.py"


def test_a_plan_over_more_ranks_than_divide_the_batch_is_measured() -> None:
    command = [sys.executable, str(SCRIPT), "--samples", "20_000", "--ranks", "1", "6", "--batch-size", "64"]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    *_, indexes, _, _, one, six = result.stdout.splitlines()
    assert indexes.startswith("indexes, a sample: ")
    assert one.split()[:3] == ["20,000", "1", "64"] and six.split()[:3] == ["20,000", "6", "64"]
    assert "1.0000  1.0000  2 of 2" in one
    assert "1.0312" in six  # 11 samples where 64 / 6 are the mean
