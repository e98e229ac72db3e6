"""Small shards of drawn numbers, which english_g2 reads and a network learns in seconds."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch

from ocr.config import Config
from ocr.networks.easyocr_files import charset_of
from ocr.shards.manifest import write_shard
from ocr.shards.tar_writer import Sample
from trainer.data.sample_filter import Recipe
from trainer.ranks.process_group import Process
from trainer.train import train as run_training

Text = str


def drawn(text: str, height: int = 40) -> np.ndarray:
    """A grey patch with a text in OpenCV's own letters."""
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 2)
    patch = np.full((height, width + 12), 230, dtype=np.uint8)
    cv2.putText(patch, text, (6, 30), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 40, 2)
    return patch


def sample(key: str, text: str, patch: np.ndarray | None = None) -> Sample:
    encoded = cv2.imencode(".png", drawn(text) if patch is None else patch)[1].tobytes()
    return key, {"png": encoded, "txt": text.encode()}


def number_shards(folder: Path, num_shards: int, samples_per_shard: int, seed: int = 0) -> list[str]:
    """Shards of numbers of one to six digits; keys `word-N` run over all of them."""
    order = random.Random(seed)
    paths = []
    for shard in range(num_shards):
        samples = [
            sample(f"word-{shard * samples_per_shard + index}", str(order.randrange(10 ** order.randint(1, 6))))
            for index in range(samples_per_shard)
        ]
        paths.append(folder / f"{shard:06d}.tar")
        write_shard(paths[-1], samples)
    return [str(path) for path in paths]


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with training/select_data (3 shards, 90 samples) and validation/select_data (2 shards, 22 samples)."""
    folder = tmp_path_factory.mktemp("numbers")
    number_shards(folder / "training" / "select_data", num_shards=3, samples_per_shard=30)
    number_shards(folder / "validation" / "select_data", num_shards=2, samples_per_shard=11, seed=1)
    return folder


SMALL = {"character": "0123456789", "continue_from": None, "output_channel": 32, "hidden_size": 32}
"""A network that trains in no time, for what does not depend on the network."""


@pytest.fixture
def config(numbers: Path) -> Config:
    return numbers_config(numbers)


def numbers_config(numbers: Path) -> Config:
    """english_g2 goes on learning numbers: few and small iterations."""
    return Config(
        experiment_name="numbers",
        train_data=str(numbers / "training"),
        val_data=str(numbers / "validation"),
        character="english_g2",
        continue_from="english_g2",
        baseline_model="english_g2",
        adam=True,
        lr=0.0005,
        workers=0,
        batch_size=4,
        n_iter=4,
        val_period=2,
        show_number=3,
    )


def changed(config: Config, **values: object) -> Config:
    return msgspec.structs.replace(config, **values)


def train(config: Config, saved_models: Path, easyocr_dir: Path) -> Path:
    """Train; gives the run's folder."""
    return run_training(config, saved_models, easyocr_dir).folder


def process(rank: int = 0, num_ranks: int = 1) -> Process:
    return Process(rank, num_ranks, torch.device("cpu"))


def recipe(config: Config) -> Recipe:
    return Recipe(config, charset_of(config.character))
