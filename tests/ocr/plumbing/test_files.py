from __future__ import annotations

from pathlib import Path

import pytest

from ocr.plumbing.files import write_whole


def test_a_file_appears_when_its_block_ends(tmp_path: Path) -> None:
    with write_whole(tmp_path / "deep" / "file") as file:
        file.write(b"whole")
        assert not (tmp_path / "deep" / "file").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
    assert (tmp_path / "deep" / "file").read_bytes() == b"whole"


def test_an_error_leaves_what_was_there_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError), write_whole(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert [child.name for child in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"before"
