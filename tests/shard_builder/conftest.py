"""A small data set, built once, for the tests that damage shards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shard_builder.plan
from ocr.config import Config
from ocr.errors import DataError
from shard_builder.build import build
from shard_builder.splits import SPLITS
from shard_builder.verify import verify
from tests.shard_builder.made_zips import write_dataset

BUILT = Config(train_images=12, val_images=3, eval_images=2)
TRAINING = Path("training/select_data")
SHARD = TRAINING / "000001.tar"
WHOLE = "3 folders, 6 shards, 47 samples, 0.2 MB: whole\n"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `out`: training in four shards, validation and evaluation in one each; and the zips beside it."""
    folder = tmp_path_factory.mktemp("built")
    write_dataset(folder / "dataset", 12, 8)
    build_small(folder / "dataset", folder / "out")
    return folder


def build_small(dataset: Path, out: Path) -> None:
    """A build of groups of three pages, so that few pages make several shards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_builder.plan, "PAGES_A_GROUP", 3)
        build(BUILT, dataset, out, SPLITS, workers=1)


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built / "out", tmp_path / "out"))


def problems(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that verify prints for shards that are not whole."""
    capsys.readouterr()
    with pytest.raises(DataError, match=r"problems? in \d folders?, \d shards?, "):
        verify(root, workers=2)
    return capsys.readouterr().out.splitlines()


def flipped(tar: bytes, at: int) -> bytes:
    return tar[:at] + bytes([tar[at] ^ 0x20]) + tar[at + 1 :]
