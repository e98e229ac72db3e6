"""The arrows between the rooms: ocr <- {shard_builder, trainer, evaluator}, and no room imports another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("ocr", "shard_builder", "trainer", "evaluator")
MAY_IMPORT = {room: {room, "ocr"} for room in ROOMS}


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports by absolute name; a relative import counts as a fault of its own."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.add("a relative import" if node.level else (node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
    return found & {*ROOMS, "scripts", "tests", "bench", "synthetic", "a relative import"}


@pytest.mark.parametrize("path", [path for room in ROOMS for path in sorted((ROOT / room).glob("**/*.py"))], ids=str)
def test_a_room_imports_itself_and_the_ground_room_only(path: Path) -> None:
    assert imported_rooms(path) <= MAY_IMPORT[path.relative_to(ROOT).parts[0]]
