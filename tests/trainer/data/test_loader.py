"""Shards -> batches: which samples they hold, what they look like, and what is said when a shard is damaged."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.patch import num_steps
from ocr.shards.manifest import find_shards, write_shard
from ocr.shards.shard_index import Index, index_path, read_index, scan_tar, write_index
from tests.trainer.conftest import changed, drawn, number_shards, process, recipe, sample
from trainer.data.augment import Augmentation
from trainer.data.batch import Batch
from trainer.data.data_sources import Shards, training_shards, validation_shards
from trainer.data.loader import training_batches, validation_batches
from trainer.data.padding import WIDTH_BUCKETS
from trainer.data.sample_order import Cursor
from trainer.data.sample_table import plan_training, plan_validation


def training(shards: Sequence[str | Path], config: Config) -> Shards:
    return Shards([plan_training([Path(shard) for shard in shards], recipe(config))], [], {})


def validation(shards: Sequence[str | Path], config: Config) -> Shards:
    return Shards([plan_validation([Path(shard) for shard in shards], recipe(config))], [], {})


def first_batches(
    shards: Shards, config: Config, number: int, rank: int = 0, num_ranks: int = 1, cursors: Sequence[Cursor] = ()
) -> list[Batch]:
    return list(islice(training_batches(shards, recipe(config), process(rank, num_ranks), cursors), number))


def read_all(shards: Sequence[str | Path], config: Config, rank: int = 0, num_ranks: int = 1) -> list[Batch]:
    return list(validation_batches(validation(shards, config), recipe(config), process(rank, num_ranks)))


def shard_of(folder: Path, *texts: str) -> list[str]:
    write_shard(folder / "000000.tar", [sample(f"word-{index}", text) for index, text in enumerate(texts)])
    return [str(folder / "000000.tar")]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 5])
def test_validation_counts_every_sample_once_and_gives_every_rank_as_many_batches(
    tmp_path: Path, config: Config, num_ranks: int, workers: int
) -> None:
    shards = number_shards(tmp_path, num_shards=2, samples_per_shard=11)
    config = changed(config, workers=workers)
    read = [read_all(shards, config, rank, num_ranks) for rank in range(num_ranks)]
    counted = [batch for batches in read for batch in batches if batch.weight]
    keys = [key for batch in counted for key in batch.keys]
    assert sorted(keys) == sorted(f"word-{index}" for index in range(22))
    assert len({len(batches) for batches in read}) == 1
    assert len({batch.number for batch in counted}) == len(counted)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_ranks_and_workers_read_the_same_pixels_in_the_same_batches(
    tmp_path: Path, config: Config, num_ranks: int, workers: int
) -> None:
    """The whole pipeline in real loader workers; test_order.py has the grid."""
    shards = training(number_shards(tmp_path, num_shards=3, samples_per_shard=7), config)
    alone = first_batches(shards, config, 12)
    ranks = [first_batches(shards, changed(config, workers=workers), 12, rank, num_ranks) for rank in range(num_ranks)]
    for whole, *parts in zip(alone, *ranks, strict=True):
        assert torch.equal(torch.cat([part.patches for part in parts if part.weight]), whole.patches)
        assert [text for part in parts if part.weight for text in part.texts] == whole.texts
        assert {part.cursors for part in parts} == {whole.cursors}
    assert set(Counter(key for batch in alone for key in batch.keys).values()) <= {2, 3}  # 48 of 21 samples


def test_workers_start_in_a_process_that_has_used_opencv(tmp_path: Path, config: Config) -> None:
    """Its threads are not there in a fork."""
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((2_000, 2_000), np.uint8), (9, 9), 2)
    shards = training(number_shards(tmp_path, num_shards=2, samples_per_shard=9), config)
    assert len(first_batches(shards, changed(config, workers=1), 2)) == 2


def test_a_run_goes_on_with_other_workers_where_it_stopped(tmp_path: Path, config: Config) -> None:
    shards = training(number_shards(tmp_path, num_shards=2, samples_per_shard=9), config)
    whole = first_batches(shards, changed(config, workers=1), 14)
    again = first_batches(shards, changed(config, workers=2), 9, cursors=whole[4].cursors)
    assert [batch.keys for batch in again] == [batch.keys for batch in whole[5:]]


def test_patches_are_varied_anew_in_each_epoch_and_the_same_by_any_reader(tmp_path: Path, config: Config) -> None:
    paths = number_shards(tmp_path, num_shards=2, samples_per_shard=8)
    strong = {f"augment_{kind}": 1.0 for kind in Augmentation.__struct_fields__}
    varied = changed(config, augment=True, batch_size=16, **strong)
    plain, first = (first_batches(training(paths, each), each, 2) for each in (changed(varied, augment=False), varied))
    again = first_batches(training(paths, varied), changed(varied, workers=1), 2)
    assert [batch.keys for batch in first] == [batch.keys for batch in plain]
    assert all(torch.equal(one.patches, two.patches) for one, two in zip(first, again, strict=True))
    rows = [dict(zip(batch.keys, batch.patches, strict=True)) for batch in first]
    width = min(batch.patches.shape[2] for batch in first)
    assert any(not torch.equal(rows[0][key][:, :width], rows[1][key][:, :width]) for key in rows[0] if key in rows[1])
    assert [batch.patches.shape for batch in first] == [batch.patches.shape for batch in plain]


def test_the_seed_decides_the_batches(tmp_path: Path, config: Config) -> None:
    shards = training(number_shards(tmp_path, num_shards=4, samples_per_shard=10), config)
    first, again, other = (
        [batch.keys for batch in first_batches(shards, changed(config, seed=seed), 20)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_sources_are_mixed_by_ratio(tmp_path: Path, config: Config) -> None:
    for name, digit, number in (("drawn", "1", 30), ("real", "2", 5)):
        write_shard(tmp_path / name / "0.tar", [sample(f"{name}-{index}", digit) for index in range(number)])
    mixed = changed(config, train_data=str(tmp_path), select_data="drawn-real", batch_ratio="0.75-0.25", batch_size=8)
    batches = first_batches(training_shards(recipe(mixed)), mixed, 10)
    assert [sorted(batch.texts) for batch in batches] == [["1"] * 6 + ["2"] * 2] * 10
    assert set(Counter(key for batch in batches for key in batch.keys).values()) == {2, 4}
    assert batches[-1].cursors == (Cursor(1, 5), Cursor(3, 2))
    both = validation_shards(recipe(changed(mixed, val_data=str(tmp_path))))
    assert both.plans[0].num_samples == 35
    with pytest.raises(UsageError, match="batch_ratio: leaves no sample of 2 for real; raise batch_size"):
        first_batches(training_shards(recipe(mixed)), changed(mixed, batch_size=2, batch_ratio="0.9-0.1"), 1)


def test_a_budget_of_pixels_bounds_the_batches(tmp_path: Path, config: Config) -> None:
    shards = training(number_shards(tmp_path, num_shards=2, samples_per_shard=50), config)
    batches = first_batches(shards, changed(config, batch_pixels=64 * 600), 30)
    assert sorted(batch.patches.numel() for batch in batches)[-6] <= 64 * 600
    assert max(batch.patches.numel() for batch in batches) <= 2 * 64 * 600
    assert len({len(batch.texts) for batch in batches}) > 2
    epoch = [key for batch in batches if batch.cursors[0].epoch == 0 for key in batch.keys]
    assert sorted(epoch) == sorted(f"word-{index}" for index in range(100))


def test_validation_pads_as_the_reader_does(tmp_path: Path, config: Config) -> None:
    shards = shard_of(tmp_path, "12", "44", "333333")  # 50 x 40, 50 x 40 and 126 x 40 pixels
    assert [(batch.texts, tuple(batch.patches.shape)) for batch in read_all(shards, config)] == [
        (["12", "44"], (2, 64, 128)),
        (["333333"], (1, 64, 256)),
    ]


def test_training_pads_to_the_widest_with_its_last_column(tmp_path: Path, config: Config) -> None:
    shards = shard_of(tmp_path, "12", "333333")  # 80 and 193 pixels wide at a height of 64
    (batch,) = first_batches(training(shards, config), changed(config, batch_size=2), 1)
    assert batch.patches.shape == (2, 64, 196)
    narrow = batch.patches[batch.texts.index("12")]
    assert torch.equal(narrow[:, 80:], narrow[:, 79:80].expand(64, 116))


def test_similar_widths_share_a_batch(tmp_path: Path, config: Config) -> None:
    shards = number_shards(tmp_path, num_shards=2, samples_per_shard=200)
    batches = first_batches(training(shards, config), changed(config, batch_size=8), 50)
    widths = [batch.patches.shape[2] for batch in batches]
    assert np.mean(widths) < 150  # the widest number needs 196
    assert widths != sorted(widths)


def test_targets_are_the_classes_of_the_text_padded_with_blanks(tmp_path: Path, config: Config) -> None:
    write_shard(tmp_path / "000000.tar", [sample("a", "1", drawn("1212")), sample("b", "212", drawn("1212"))])
    (batch,) = read_all([tmp_path / "000000.tar"], changed(config, character="12"))
    assert batch.targets.dtype == torch.int64
    assert batch.targets.tolist() == [[1, 0, 0], [2, 1, 2]]
    assert batch.target_lengths.tolist() == [1, 3]


def test_without_filtering_the_alphabet_is_trained_and_the_whole_text_compared(tmp_path: Path, config: Config) -> None:
    unfiltered = changed(config, character="2345", data_filtering_off=True)
    (batch,) = read_all(shard_of(tmp_path, "12,345"), unfiltered)
    assert batch.targets.tolist() == [[1, 2, 3, 4]]
    assert batch.texts == ["12,345"]


def test_validation_reads_what_cannot_be_trained_on_without_a_target(tmp_path: Path, config: Config) -> None:
    text = "1" * 20
    write_shard(tmp_path / "000000.tar", [sample("word-0", text, drawn("1"))])
    (batch,) = read_all([tmp_path / "000000.tar"], config)
    assert num_steps(batch.patches.shape[2]) < 2 * len(text) - 1
    assert batch.target_lengths.tolist() == [0]
    assert batch.texts == [text]


def test_sensitive_off_trains_lower_case(tmp_path: Path, config: Config) -> None:
    (batch,) = read_all(shard_of(tmp_path, "Abc"), changed(config, sensitive=False))
    assert batch.texts == ["abc"]


def test_pad_off_stretches_to_img_width(tmp_path: Path, config: Config) -> None:
    stretched = changed(config, PAD=False, img_width=200)
    (batch,) = read_all(shard_of(tmp_path, "1", "22"), stretched)
    assert batch.patches.shape == (2, 64, 200)


@pytest.mark.parametrize(("values", "widths"), [({}, [200]), ({"compile": True}, WIDTH_BUCKETS)])
def test_pad_off_trains_with_any_width(config: Config, values: dict[str, bool], widths: list[int]) -> None:
    """Training batches are a multiple of 4 wide, or one of a few widths: the last column is repeated up to there."""
    rules = recipe(changed(config, PAD=False, img_width=198, **values))
    batch = next(training_batches(training_shards(rules), rules, process()))
    assert batch.patches.shape[2] in widths
    assert (batch.patches[:, :, 198:] == batch.patches[:, :, 197:198]).all()


def test_rgb_keeps_the_colors_in_rgb_order(tmp_path: Path, config: Config) -> None:
    red = np.zeros((64, 64, 3), dtype=np.uint8)
    red[:, :, 2] = 255  # OpenCV writes blue, green, red
    write_shard(tmp_path / "000000.tar", [sample("word-0", "1", red)])
    (batch,) = read_all([tmp_path / "000000.tar"], changed(config, rgb=True, input_channel=3))
    assert batch.patches.shape == (1, 64, 64, 3)
    assert batch.patches[0, 0, 0].tolist() == [255, 0, 0]


def test_low_contrast_is_stretched_where_asked(tmp_path: Path, config: Config) -> None:
    write_shard(tmp_path / "000000.tar", [sample("word-0", "1", drawn("1") // 4 + 150)])
    plain, stretched = (
        read_all([tmp_path / "000000.tar"], changed(config, contrast_adjust=value))[0].patches for value in (0.0, 0.9)
    )
    assert int(stretched.max()) - int(stretched.min()) > int(plain.max()) - int(plain.min())


def test_more_shards_than_descriptors_are_read_all_the_same(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.indexed_reader.MAX_OPEN_SHARDS", 3)
    shards = number_shards(tmp_path, num_shards=9, samples_per_shard=2)
    batches = first_batches(training(shards, config), changed(config, batch_size=6), 3)
    assert sorted(key for batch in batches for key in batch.keys) == sorted(f"word-{index}" for index in range(18))


def test_ranks_count_a_damaged_sample_once(tmp_path: Path, config: Config) -> None:
    shards = training([damaged_shard(tmp_path, 2, bad=[0])], config)
    counted = changed(config, on_bad_sample="count", max_bad_ratio=1.0, batch_size=2)
    parts = [first_batches(shards, counted, 1, rank, num_ranks=3)[0] for rank in range(3)]
    assert sum(part.fates.get("damaged", 0) for part in parts) == 1


# What happens to a shard between the plan and the moment a worker reads it.
Damage = Callable[[Path, Index], None]


def flip(shard: Path, at: int) -> None:
    with shard.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def replace_with(shard: Path, *texts: str) -> None:
    shard_of(shard.parent / "new", *texts)
    (shard.parent / "new" / "000000.tar").replace(shard)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "cut off": (
        lambda shard, index: os.truncate(shard, 2000),
        r"000000\.tar: 2,000 bytes where its index says 10,240: the shard was cut off",
    ),
    "one byte flipped": (
        lambda shard, index: flip(shard, int(index.patch_offset[1]) + 40),
        r"000000\.tar: word-1: its patch is not the one in the index \(checksum\); .* on_bad_sample: count",
    ),
    "removed": (lambda shard, index: shard.unlink(), r"000000\.tar: cannot be opened any more \(No such file"),
    "replaced by one of the same size": (
        lambda shard, index: replace_with(shard, "7", "8", "9"),
        r"000000\.tar: word-\d: its patch is (not the one in the index|cut off)",
    ),
    "replaced by a longer one": (
        lambda shard, index: replace_with(shard, *("123456",) * 20),
        r"000000\.tar: [\d,]+ bytes where its index says 10,240: the shard was replaced",
    ),
}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_shard_damaged_under_the_run_is_named(tmp_path: Path, config: Config, damage: str, workers: int) -> None:
    (path,) = shard_of(tmp_path, "1", "22", "333")
    shards, index = training([path], config), read_index(Path(path))
    assert index
    change, message = DAMAGES[damage]
    change(Path(path), index)
    with pytest.raises(DataError, match=message) as raised:
        first_batches(shards, changed(config, workers=workers), 2)
    assert "\n" not in str(raised.value)


def test_a_flipped_byte_outside_a_patch_harms_no_sample(tmp_path: Path, config: Config) -> None:
    (path,) = shard_of(tmp_path, "1", "22", "333")
    index = read_index(Path(path))
    assert index
    flip(Path(path), int(index.sample_offset[1]) + 130)  # in a header, where tarfile would stop in silence
    texts = [
        text
        for batch in first_batches(training([path], config), changed(config, batch_size=3), 1)
        for text in batch.texts
    ]
    assert sorted(texts) == ["1", "22", "333"]


def damaged_shard(folder: Path, number: int, bad: Sequence[int]) -> Path:
    (path,) = shard_of(folder, *(str(index) for index in range(number)))
    index = read_index(Path(path))
    assert index
    for row in bad:
        flip(Path(path), int(index.patch_offset[row]) + 40)
    return Path(path)


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_samples_are_left_out_named_and_counted_where_asked(
    tmp_path: Path, config: Config, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    shards = training([damaged_shard(tmp_path, 20, bad=[3, 7])], config)
    counted = changed(config, on_bad_sample="count", max_bad_ratio=0.1, batch_size=5, workers=workers)
    batches = first_batches(shards, counted, 4)
    assert sum((Counter(batch.fates) for batch in batches), Counter[str]()) == {"damaged": 2}
    assert sorted(int(text) for batch in batches for text in batch.texts) == [n for n in range(20) if n not in (3, 7)]
    assert sum(batch.weight for batch in batches) == pytest.approx(4 * 18 / 20)
    names = [line for line in capfd.readouterr().err.splitlines() if line.startswith("left out: ")]
    assert any("000000.tar: word-3: its patch is not the one in the index" in line for line in names)


def test_too_many_damaged_samples_end_the_run(tmp_path: Path, config: Config) -> None:
    shards = training([damaged_shard(tmp_path, 20, bad=[3, 7, 11])], config)
    counted = changed(config, on_bad_sample="count", max_bad_ratio=0.1, batch_size=5)
    with pytest.raises(DataError, match=r"3 of \d+ samples are damaged, more than max_bad_ratio: 0.1 allows"):
        first_batches(shards, counted, 4)


def test_a_batch_of_damaged_samples_keeps_the_ranks_in_step_and_counts_nothing(tmp_path: Path, config: Config) -> None:
    shards = training([damaged_shard(tmp_path, 4, bad=range(4))], config)
    counted = changed(config, on_bad_sample="count", max_bad_ratio=1.0)
    (batch,) = first_batches(shards, counted, 1)
    assert (batch.texts, batch.weight, batch.fates) == ([], 0.0, {"damaged": 4})
    assert batch.patches.shape[0] == len(batch.targets) == len(batch.target_lengths) == 1


@pytest.mark.parametrize("rows", [slice(None, 60), None])
def test_a_patch_that_is_no_image_is_named_though_its_checksum_is_right(
    tmp_path: Path, config: Config, rows: slice | None
) -> None:
    """Built broken: the header of the image promises what its data do not hold."""
    good = cv2.imencode(".png", drawn("1"))[1].tobytes()
    broken = good[rows] if rows else good[:60] + bytes(len(good) - 60)
    shard = tmp_path / "000000.tar"
    write_shard(shard, [("word-0", {"png": broken, "txt": b"1"})])
    with pytest.raises(DataError, match=f"{shard}: word-0: no readable patch"):
        read_all([shard], config)


def test_tars_of_others_are_read_by_an_index_made_for_them(tmp_path: Path, config: Config) -> None:
    (path,) = shard_of(tmp_path, "1", "22")
    index_path(Path(path)).unlink()
    write_index(Path(path), scan_tar(Path(path)))
    assert sorted(text for batch in read_all([path], config) for text in batch.texts) == ["1", "22"]


def test_a_folder_of_shards_becomes_plans(config: Config) -> None:
    shards = training_shards(recipe(config))
    assert not shards.urls
    assert len(shards) == 3 == len(find_shards(str(Path(config.train_data) / config.select_data)))
    assert shards.fates == {"used": 90}


def test_a_pipeline_travels_to_workers_that_are_spawned(config: Config) -> None:
    shards, rules = pickle.loads(pickle.dumps((training_shards(recipe(config)), recipe(config))))
    (batch,) = islice(training_batches(shards, rules, process()), 1)
    assert len(batch.texts) == config.batch_size
