"""How torch's threads wait is settled before torch is imported, however a room is entered."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROBE = """
import builtins, os
original = builtins.__import__
def watching(name, *rest):
    if name == "torch":
        assert os.environ.get("GOMP_SPINCOUNT"), "torch came first"
    return original(name, *rest)
builtins.__import__ = watching
import {module}
"""


@pytest.mark.parametrize("module", ["trainer.__main__", "trainer.export", "trainer.train", "evaluator.__main__"])
def test_ocr_comes_before_torch(module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(module=module)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
