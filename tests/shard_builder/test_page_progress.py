"""Progress moves page by page, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path
from threading import Event

import msgspec
import pytest

from ocr.config import Config
from shard_builder import page_progress as page_count
from shard_builder.build import build
from shard_builder.executors import engine
from shard_builder.job import run_job
from shard_builder.page_progress import count_path, pages_done
from shard_builder.plan import plan_splits
from tests.shard_builder.made_zips import MadePage, made_pages, write_half

CONFIG = Config(train_images=9, max_failed=0.5)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine training pages, one of them broken."""
    folder = tmp_path_factory.mktemp("dataset")
    write_half(folder, "Training", [*made_pages("Training", 8), MadePage("broken", b"no image")])
    return folder


def test_a_job_counts_written_and_refused_pages(dataset: Path, tmp_path: Path) -> None:
    with engine("loky", 1) as run_jobs:
        (plan,) = plan_splits(CONFIG, dataset, tmp_path, ["training"], run_jobs)
    (job,) = plan.jobs
    count_path(job).parent.mkdir(parents=True)
    assert run_job(job).pages == {"written": 8, "image not decodable": 1}
    assert count_path(job).stat().st_size == 9


def test_pages_show_as_the_files_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_count, "LOOK_SECONDS", 0.0)
    first, second, ended = tmp_path / "first", tmp_path / "second", Event()
    shown = pages_done([first, second], ended)
    first.write_bytes(b"..")
    assert len(list(islice(shown, 2))) == 2
    second.write_bytes(b".")
    assert len(list(islice(shown, 1))) == 1
    first.write_bytes(b".")  # its worker died and another began again: pages 1 to 3 have been shown
    ended.set()
    assert not list(shown)


@pytest.mark.parametrize("name", ["loky", "dask", "ray"])
def test_all_pages_are_shown_on_any_engine_and_no_count_stays(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    killed = tmp_path / "training/select_data/.build/.000000.tmp-pages"
    killed.parent.mkdir(parents=True)
    killed.write_bytes(b"." * 99)
    build(msgspec.structs.replace(CONFIG, engine=name), dataset, tmp_path, ["training"], workers=2)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("shards:"))
    assert line.startswith("shards: 100% 9/9 [")
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_the_builder_starts_without_torch() -> None:
    """A worker would hold 0.7 GB of it, and the start take 4 s."""
    command = [sys.executable, "-c", "import sys, shard_builder.__main__; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == 0
