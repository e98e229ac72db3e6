"""Validation is equal to the last digit however many ranks share it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import torch.distributed as dist

from ocr.config import Config
from ocr.errors import DataError
from ocr.shards.shard_index import index_path
from tests.trainer.conftest import changed, number_shards, process, recipe
from trainer.checkpoint import starting_model
from trainer.data.data_sources import validation_shards
from trainer.data.loader import validation_batches
from trainer.data.sample_filter import Recipe
from trainer.ranks.process_group import Process
from trainer.validate import Validation, validate


def validated(rules: Recipe, process: Process) -> Validation:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = starting_model(rules.config, rules.charset, Path())
    return validate(model, validation_batches(validation_shards(rules), rules, process), rules, process, iteration=7)


def run_rank(rules: Recipe, rank: int, num_ranks: int, store: Path, found: Queue[Any]) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=num_ranks)
    found.put((rank, validated(rules, process(rank, num_ranks))))
    dist.destroy_process_group()


def on_ranks(rules: Recipe, num_ranks: int, store: Path) -> Sequence[Validation]:
    """What each of `num_ranks` real processes on gloo found."""
    context = multiprocessing.get_context("fork")
    found: Queue[Any] = context.Queue()
    ranks = [context.Process(target=run_rank, args=(rules, rank, num_ranks, store, found)) for rank in range(num_ranks)]
    for rank in ranks:
        rank.start()
    results = sorted((found.get(timeout=120) for _ in ranks), key=lambda result: result[0])
    for rank in ranks:
        rank.join()
    return [result for _, result in results]


@pytest.fixture
def rules(tmp_path: Path, config: Config) -> Recipe:
    number_shards(tmp_path / "numbers" / "select_data", num_shards=3, samples_per_shard=15)
    small = {"character": "01234567", "continue_from": None, "output_channel": 32, "hidden_size": 32}
    return recipe(changed(config, val_data=str(tmp_path / "numbers"), batch_size=8, **small))


def test_ranks_find_the_same_figures_to_the_last_digit(rules: Recipe, tmp_path: Path) -> None:
    alone = validated(rules, process())
    assert alone.sums.texts.num_pairs == 45
    assert 0 < alone.sums.num_losses < 45  # 8 and 9 are not in the alphabet
    for num_ranks in (2, 3):
        for found in on_ranks(rules, num_ranks, tmp_path / f"store-{num_ranks}"):
            assert found.sums == alone.sums
            assert found.examples == alone.examples
            assert [word.reading for word in found.worst] == [word.reading for word in alone.worst]


def test_the_worst_words_are_kept_with_their_patches(rules: Recipe) -> None:
    found = validated(rules, process())
    words = found.worst
    assert [word.likeness for word in words] == sorted(word.likeness for word in words)
    assert all(word.reading.reference != word.reading.prediction for word in words)
    assert {word.patch.shape[0] for word in words} == {64}
    assert len(words) == min(24, 45 - found.sums.texts.num_equal)


def test_examples_change_from_one_validation_to_the_next(rules: Recipe) -> None:
    torch.manual_seed(1)
    model = starting_model(rules.config, rules.charset, Path())
    shards = validation_shards(rules)
    keys = [
        [
            reading.key
            for reading in validate(model, validation_batches(shards, rules, process()), rules, process(), n).examples
        ]
        for n in (1, 1, 2)
    ]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == rules.config.show_number


@pytest.mark.parametrize("indexed", [True, False])
def test_a_validation_set_without_a_word_is_named(rules: Recipe, tmp_path: Path, indexed: bool) -> None:
    (shard,) = number_shards(tmp_path / "empty" / "select_data", num_shards=1, samples_per_shard=0)
    if not indexed:
        index_path(Path(shard)).unlink()
    empty = msgspec.structs.replace(rules, config=changed(rules.config, val_data=str(tmp_path / "empty")))
    with pytest.raises(DataError, match="holds no word to validate on"):
        validated(empty, process())
