"""Which samples a batch holds, what they look like, and what is left out and counted."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from ocr.config import Config
from ocr.errors import DataError
from ocr.patch import num_steps
from ocr.shards import write_shard
from ocr.weights import charset_of
from tests.trainer.conftest import changed, drawn, number_shards, sample
from trainer.data import USED, Batch, Recipe, training_batches, validation_batches
from trainer.distributed import Process


def process(rank: int = 0, num_ranks: int = 1) -> Process:
    return Process(rank, num_ranks, torch.device("cpu"))


def recipe(config: Config) -> Recipe:
    return Recipe(config, charset_of(config.character))


def first_batches(
    shards: list[str], config: Config, number: int, rank: Process | None = None, start: int = 0
) -> list[Batch]:
    return list(islice(training_batches(shards, recipe(config), rank or process(), start), number))


def shard_of(folder: Path, *texts: str) -> list[str]:
    write_shard(folder / "000000.tar", [sample(f"word-{index}", text) for index, text in enumerate(texts)])
    return [str(folder / "000000.tar")]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 5])
def test_validation_reads_every_sample_once(tmp_path: Path, config: Config, num_ranks: int, workers: int) -> None:
    shards = number_shards(tmp_path, num_shards=2, samples_per_shard=11)
    keys = [
        key
        for rank in range(num_ranks)
        for batch in validation_batches(shards, recipe(changed(config, workers=workers)), process(rank, num_ranks))
        for key in batch.keys
    ]
    assert sorted(keys) == sorted(f"word-{index}" for index in range(22))


@pytest.mark.parametrize(("num_ranks", "size"), [(1, 4), (2, 2), (4, 1)])
def test_ranks_share_the_batch_size_and_never_run_dry(
    tmp_path: Path, config: Config, num_ranks: int, size: int
) -> None:
    shards = number_shards(tmp_path, num_shards=1, samples_per_shard=7)
    for rank in range(num_ranks):
        batches = first_batches(shards, config, 40, process(rank, num_ranks))
        assert [len(batch.texts) for batch in batches] == [size] * 40


def test_training_sees_every_sample_equally_often(tmp_path: Path, config: Config) -> None:
    shards = number_shards(tmp_path, num_shards=5, samples_per_shard=20)
    seen = Counter(key for batch in first_batches(shards, changed(config, batch_size=25), 400) for key in batch.keys)
    assert len(seen) == 100
    # 10,000 samples drawn through a buffer of 5,000: what is missing or doubled is what the buffer still holds.
    assert 60 <= min(seen.values()) <= max(seen.values()) <= 140


def test_the_seed_decides_the_batches(tmp_path: Path, config: Config) -> None:
    shards = number_shards(tmp_path, num_shards=4, samples_per_shard=10)

    def keys(**values: object) -> list[list[str]]:
        start = values.pop("start", 0)
        assert isinstance(start, int)
        return [batch.keys for batch in first_batches(shards, changed(config, **values), 20, start=start)]

    assert keys() == keys()
    assert keys() != keys(seed=2)
    assert keys() != keys(start=10)


def test_a_batch_is_padded_as_the_reader_pads_its_widest(tmp_path: Path, config: Config) -> None:
    shards = shard_of(tmp_path, "12", "44", "333333")  # 50 x 40, 50 x 40 and 126 x 40 pixels
    batches = list(validation_batches(shards, recipe(config), process()))
    assert [(batch.texts, tuple(batch.patches.shape)) for batch in batches] == [
        (["12", "44"], (2, 64, 128)),
        (["333333"], (1, 64, 256)),
    ]


def test_similar_widths_share_a_batch(tmp_path: Path, config: Config) -> None:
    shards = number_shards(tmp_path, num_shards=2, samples_per_shard=200)
    widths = [batch.patches.shape[2] for batch in first_batches(shards, changed(config, batch_size=8), 64)]
    assert np.mean(widths) < 190  # the widest number needs 256


def test_targets_are_the_classes_of_the_text_padded_with_blanks(tmp_path: Path, config: Config) -> None:
    write_shard(tmp_path / "000000.tar", [sample("a", "1", drawn("1212")), sample("b", "212", drawn("1212"))])
    (batch,) = validation_batches([str(tmp_path / "000000.tar")], recipe(changed(config, character="12")), process())
    assert batch.targets.dtype == torch.int64
    assert batch.targets.tolist() == [[1, 0, 0], [2, 1, 2]]
    assert batch.target_lengths.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("values", "fates"),
    [
        ({}, {USED: 3}),
        ({"character": "12"}, {USED: 2, "character outside the alphabet": 1}),
        ({"batch_max_length": 2}, {USED: 2, "longer than batch_max_length": 1}),
        ({"img_width": 128}, {USED: 2, "wider than img_width": 1}),
        ({"batch_max_length": 2, "data_filtering_off": True}, {USED: 3}),
        ({"character": "12", "data_filtering_off": True}, {USED: 2, "no character of the alphabet": 1}),
        ({"total_data_usage_ratio": 1e-9}, {USED: 3}),  # of the training samples
    ],
)
def test_what_is_refused_is_counted_by_reason(
    tmp_path: Path, config: Config, values: dict[str, object], fates: dict[str, int]
) -> None:
    shards = shard_of(tmp_path, "1", "22", "333333")
    found: Counter[str] = Counter()
    for batch in validation_batches(shards, recipe(changed(config, **values)), process()):
        found.update(batch.fates)
    assert found == fates


def test_without_filtering_the_alphabet_is_trained_and_the_whole_text_compared(tmp_path: Path, config: Config) -> None:
    shards = shard_of(tmp_path, "12,345")
    unfiltered = changed(config, character="2345", data_filtering_off=True)
    (batch,) = validation_batches(shards, recipe(unfiltered), process())
    assert batch.targets.tolist() == [[1, 2, 3, 4]]
    assert batch.texts == ["12,345"]


def test_ctc_needs_more_steps_than_a_narrow_patch_has(tmp_path: Path, config: Config) -> None:
    text = "1" * 20
    write_shard(tmp_path / "000000.tar", [sample("word-0", text, drawn("1"))])
    (batch,) = validation_batches([str(tmp_path / "000000.tar")], recipe(config), process())
    assert num_steps(batch.patches.shape[2]) < 2 * len(text) - 1
    assert batch.fates == {"too narrow for its text": 1}
    assert batch.texts == [text]


def test_half_the_data_is_the_same_half_every_time(tmp_path: Path, config: Config) -> None:
    shards = number_shards(tmp_path, num_shards=1, samples_per_shard=200)
    half = changed(config, total_data_usage_ratio=0.5, batch_size=20)
    seen = [{key for batch in first_batches(shards, half, 100, start=start) for key in batch.keys} for start in (0, 7)]
    assert seen[0] == seen[1]
    assert 70 < len(seen[0]) < 130


def test_sensitive_off_trains_lower_case(tmp_path: Path, config: Config) -> None:
    shards = shard_of(tmp_path, "Abc")
    (batch,) = validation_batches(shards, recipe(changed(config, sensitive=False)), process())
    assert batch.texts == ["abc"]


def test_pad_off_stretches_to_img_width(tmp_path: Path, config: Config) -> None:
    shards = shard_of(tmp_path, "1", "22")
    (batch,) = validation_batches(shards, recipe(changed(config, PAD=False, img_width=200)), process())
    assert batch.patches.shape == (2, 64, 200)


def test_rgb_keeps_the_colors_in_rgb_order(tmp_path: Path, config: Config) -> None:
    red = np.zeros((64, 64, 3), dtype=np.uint8)
    red[:, :, 2] = 255  # OpenCV writes blue, green, red
    write_shard(tmp_path / "000000.tar", [sample("word-0", "1", red)])
    color = changed(config, rgb=True, input_channel=3)
    (batch,) = validation_batches([str(tmp_path / "000000.tar")], recipe(color), process())
    assert batch.patches.shape == (1, 64, 64, 3)
    assert batch.patches[0, 0, 0].tolist() == [255, 0, 0]


def test_low_contrast_is_stretched_where_asked(tmp_path: Path, config: Config) -> None:
    write_shard(tmp_path / "000000.tar", [sample("word-0", "1", drawn("1") // 4 + 150)])
    shards = [str(tmp_path / "000000.tar")]
    plain, stretched = (
        next(validation_batches(shards, recipe(changed(config, contrast_adjust=value)), process())).patches
        for value in (0.0, 0.9)
    )
    assert int(stretched.max()) - int(stretched.min()) > int(plain.max()) - int(plain.min())


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_that_fit_nothing_end_with_the_reasons(
    tmp_path: Path, config: Config, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.HOPELESS_SAMPLES", 500)
    shards = shard_of(tmp_path, "1", "22")
    hopeless = changed(config, character="가나", workers=workers)
    with pytest.raises(DataError, match="no sample can be trained on: .*character outside the alphabet"):
        first_batches(shards, hopeless, 1)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"jpg": b"no image", "txt": b"1"}, "no readable patch"),
        ({"txt": b"1"}, "no readable patch"),
        ({"jpg": b"no image", "txt": b"\xff"}, "no readable text"),
        ({"jpg": b"no image"}, "no readable text"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_sample_is_named_in_one_line(
    tmp_path: Path, config: Config, members: dict[str, bytes], message: str, workers: int
) -> None:
    shard = tmp_path / "000000.tar"
    write_shard(shard, [("word-0", members)])
    with pytest.raises(DataError) as raised:
        list(validation_batches([str(shard)], recipe(changed(config, workers=workers)), process()))
    assert str(raised.value).startswith(f"{shard}: word-0: {message}")
    assert "\n" not in str(raised.value)


def test_a_cut_shard_without_a_manifest_is_named(tmp_path: Path, config: Config) -> None:
    shard = Path(number_shards(tmp_path, 1, 5)[0])
    shard.write_bytes(shard.read_bytes()[:1100])  # inside the bytes of a member
    with pytest.raises(DataError, match=f"{shard}: the shard cannot be read"):
        list(validation_batches([str(shard)], recipe(config), process()))


def test_a_recipe_travels_to_workers_that_are_spawned(config: Config) -> None:
    assert pickle.loads(pickle.dumps(recipe(config))).charset.characters == recipe(config).charset.characters
