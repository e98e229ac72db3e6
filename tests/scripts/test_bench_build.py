"""The benchmark of the builder runs, whole, on a few pages; what it looks at is there."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest
from bench.commands import timed
from bench.watch import written_files
from bench_build import FLOOR_OF, LEAN, UNZIP, Sizes, measure, print_result

from ocr.errors import DataError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_all_contenders_run_and_the_tables_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = Sizes(num_rounds=1, drawn=2, one_worker=3, two_workers=3, watched=(2, 3), disk_gigabytes=1)
    result = measure(tmp_path, sizes)
    (paces,) = result.rounds
    assert paces.keys() == {UNZIP, LEAN, *FLOOR_OF, *FLOOR_OF.values()}
    assert all(pace.pages_a_second > 0 for pace in paces.values())
    for watched in result.watched:
        assert watched.usage.seen.command_bytes > 30e6
        assert watched.usage.seen.elsewhere == set()
        assert watched.usage.seen.temp_bytes == 0
    capsys.readouterr()
    print_result(result)
    printed = capsys.readouterr().out
    assert all(f"\n{name}" in printed for name in paces)
    assert "outside OUT: 0 bytes in the temporary folder, open for writing: nothing" in printed


def test_files_open_for_writing_are_seen_with_a_name_or_without(tmp_path: Path) -> None:
    named = tmp_path / "named"
    with named.open("wb"), named.open("rb"), tempfile.TemporaryFile(dir=tmp_path) as nameless:
        nameless.write(bytes(5000))
        nameless.flush()
        found = [(path, status) for path, status in written_files(os.getpid()) if path.startswith(str(tmp_path))]
    assert sorted(status.st_nlink for _, status in found) == [0, 1]
    assert sorted(status.st_size for _, status in found) == [0, 5000]


def test_a_command_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"exit code 3: no more pages"):
        timed([sys.executable, "-c", "import sys; print('no more pages'); sys.exit(3)"], tmp_path)
