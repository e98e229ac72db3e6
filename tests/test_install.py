"""`pip install .` gives three programs that work from any folder and say what they can do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ocr.config import Config, load_config

ROOT = Path(__file__).parents[1]
PROGRAMS = {"shard-builder": "shard_builder", "easyocr-train": "trainer", "easyocr-evaluate": "evaluator"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel of this project holds; the checkout stays as it is."""
    copy, target = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("installed")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "configs", *("ocr", *PROGRAMS.values())):
        (copy / name).symlink_to(ROOT / name)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-index")
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, copy], check=True)
    return target


def run(installed: Path, folder: Path, program: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "120"}
    result = subprocess.run(
        [installed / "bin" / program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_shows_every_option_and_an_example(installed: Path, tmp_path: Path, program: str) -> None:
    printed = run(installed, tmp_path, program, "--help")
    assert printed.startswith(f"usage: {program} ")
    assert f"example:\n  {program} --" in printed
    assert f"{program} --help-config > mine.yaml" in printed


def test_help_config_prints_every_key_as_a_file_to_start_from(installed: Path, tmp_path: Path) -> None:
    printed = run(installed, tmp_path, "shard-builder", "--help-config")
    (tmp_path / "mine.yaml").write_text(printed, encoding="utf-8")
    assert set(yaml.safe_load(printed)) == set(Config.__struct_fields__)
    assert load_config(tmp_path / "mine.yaml") == Config()
