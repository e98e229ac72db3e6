"""How torch's threads wait is settled before torch is imported, however a room is entered."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROBE = """
import os, sys

class Watch:
    def find_spec(self, name, path, target=None):
        if name == "torch":
            sys.exit("" if "GOMP_SPINCOUNT" in os.environ else "torch came first")  # what comes behind takes seconds

sys.meta_path.insert(0, Watch())
import {module}
sys.exit("torch never came")
"""


@pytest.mark.parametrize("module", ["trainer.train", "trainer.export", "evaluator.evaluate"])
def test_ocr_comes_before_torch(module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    command = [sys.executable, "-c", PROBE.format(module=module)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.stderr.strip() == ""
