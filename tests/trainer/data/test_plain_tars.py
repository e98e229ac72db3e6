"""Plain tars, without an index: read from end to end, right under many ranks, and never cut off in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import pytest

from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.shards.manifest import Manifest, record_of, write_manifest, write_shard
from ocr.shards.shard_index import Index, index_path, read_index
from tests.trainer.conftest import changed, drawn, number_shards, process, recipe, sample
from trainer.data.batch import Batch
from trainer.data.data_sources import Shards, training_shards, validation_shards
from trainer.data.loader import training_batches, validation_batches
from trainer.data.sample_order import Cursor
from trainer.data.sample_table import plan_validation


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 samples would mean to read these shards a thousand times before the first batch."""
    monkeypatch.setattr("trainer.data.loader.SHUFFLE_SAMPLES", 50)


def plain(shards: list[str]) -> Shards:
    return Shards([], shards, {})


def first_batches(
    shards: Shards, config: Config, number: int, rank: int = 0, num_ranks: int = 1, start: int = 0
) -> list[Batch]:
    cursors = [Cursor(0, start)] if start else []
    return list(islice(training_batches(shards, recipe(config), process(rank, num_ranks), cursors), number))


def read_all(shards: Shards, config: Config, rank: int = 0, num_ranks: int = 1) -> list[Batch]:
    return list(validation_batches(shards, recipe(config), process(rank, num_ranks)))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("num_ranks", [1, 3])
def test_validation_reads_every_sample_once(tmp_path: Path, config: Config, num_ranks: int, workers: int) -> None:
    shards = plain(number_shards(tmp_path, num_shards=2, samples_per_shard=11))
    config = changed(config, workers=workers)
    keys = [
        key for rank in range(num_ranks) for batch in read_all(shards, config, rank, num_ranks) for key in batch.keys
    ]
    assert len(keys) == 22
    assert {Path(key).name for key in keys} == {f"word-{index}" for index in range(22)}


@pytest.mark.parametrize(("num_ranks", "sizes"), [(1, [4]), (2, [2, 2]), (3, [1, 1, 2]), (5, [1, 1, 1, 1, 1])])
def test_ranks_share_the_batch_size_and_never_run_dry(
    tmp_path: Path, config: Config, num_ranks: int, sizes: list[int]
) -> None:
    shards = plain(number_shards(tmp_path, num_shards=1, samples_per_shard=7))
    ranks = [first_batches(shards, config, 40, rank, num_ranks) for rank in range(num_ranks)]
    assert [{len(batch.texts) for batch in batches} for batches in ranks] == [{size} for size in sizes]
    assert sum(batches[0].weight for batches in ranks) == pytest.approx(num_ranks)


def test_training_sees_every_sample_equally_often(tmp_path: Path, config: Config) -> None:
    shards = plain(number_shards(tmp_path, num_shards=5, samples_per_shard=20))
    seen = Counter(key for batch in first_batches(shards, changed(config, batch_size=25), 400) for key in batch.keys)
    assert len(seen) == 100
    # 10,000 samples through a buffer of 50 and windows of 1,600: what is missing or doubled is what these still hold.
    assert 80 <= min(seen.values()) <= max(seen.values()) <= 120


def test_seed_and_start_decide_the_batches(tmp_path: Path, config: Config) -> None:
    shards = plain(number_shards(tmp_path, num_shards=4, samples_per_shard=10))

    def keys(seed: int = 1, start: int = 0) -> list[list[str]]:
        return [batch.keys for batch in first_batches(shards, changed(config, seed=seed), 20, start=start)]

    assert keys() == keys()
    assert keys() != keys(seed=2)
    assert keys() != keys(start=10)
    assert first_batches(shards, config, 2, start=10)[-1].cursors == (Cursor(0, 12),)


def test_similar_widths_share_a_batch(tmp_path: Path, config: Config) -> None:
    shards = plain(number_shards(tmp_path, num_shards=2, samples_per_shard=200))
    widths = [batch.patches.shape[2] for batch in first_batches(shards, changed(config, batch_size=8), 64)]
    assert sum(widths) / len(widths) < 150  # the widest number needs 196


def test_what_is_refused_is_counted_as_it_is_met(tmp_path: Path, config: Config) -> None:
    shard = tmp_path / "0.tar"
    patch = cv2.imencode(".png", drawn("1"))[1].tobytes()
    write_shard(
        shard, [*(sample(f"a-{n}", text) for n, text in enumerate("123")), ("b", {"png": patch}), ("c", {"txt": b"1"})]
    )
    rules = changed(config, character="12", batch_size=2)
    few = read_all(plain([str(shard)]), changed(rules, total_data_usage_ratio=1e-9))
    expected = {"used": 2, "character outside the alphabet": 1, "no text": 1, "no readable patch": 1}
    assert plan_validation([shard], recipe(rules)).fates == expected
    read = read_all(plain([str(shard)]), rules)
    for batches in (read, few):
        assert sum((Counter(batch.fates) for batch in batches), Counter[str]()) == expected
    assert sorted(text for batch in read for text in batch.texts) == ["1", "2", "3"]
    (trained,) = first_batches(plain([str(shard)]), rules, 1)
    assert set(trained.fates) == set(expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_that_fit_nothing_end_with_the_reasons(
    tmp_path: Path, config: Config, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.plain_tars.HOPELESS_SAMPLES", 500)
    shards = plain(number_shards(tmp_path, num_shards=1, samples_per_shard=3))
    with pytest.raises(DataError, match="no sample can be trained on: .*character outside the alphabet"):
        first_batches(shards, changed(config, character="가나", workers=workers), 1)


Damage = Callable[[bytes, Index], bytes]
DAMAGES: dict[str, Damage] = {
    "cut at the border of a sample": lambda tar, index: tar[: int(index.sample_offset[2])],
    "cut inside a header": lambda tar, index: tar[: int(index.sample_offset[2]) + 100],
    "cut inside a patch": lambda tar, index: tar[: int(index.patch_offset[2]) + 100],
    "flipped byte in the first header": lambda tar, index: flipped(tar, 3),
    "flipped byte in a header": lambda tar, index: flipped(tar, int(index.sample_offset[2]) + 3),
    "end mark missing": lambda tar, index: tar[: int(index.sample_offset[-1] + index.sample_bytes[-1])],
    "empty file": lambda tar, index: b"",
}


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :]


@pytest.mark.parametrize("scheme", ["{}", "pipe:cat {}"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tar_is_named_and_never_ends_in_silence(
    tmp_path: Path, config: Config, damage: str, scheme: str
) -> None:
    shard = Path(number_shards(tmp_path, 1, 5)[0])
    index = read_index(shard)
    assert index
    shard.write_bytes(DAMAGES[damage](shard.read_bytes(), index))
    url = scheme.format(shard)
    with pytest.raises(DataError, match=f"{url}: (ends, or is damaged, after|the shard cannot be read)") as raised:
        read_all(plain([url]), config)
    assert "\n" not in str(raised.value)


def test_a_program_that_fails_is_named(config: Config) -> None:
    with pytest.raises(DataError, match="pipe:cat /nowhere.tar 2>/dev/null: the shard cannot be read"):
        read_all(plain(["pipe:cat /nowhere.tar 2>/dev/null"]), config)


def test_fewer_samples_than_the_manifest_promises_are_named(tmp_path: Path, config: Config) -> None:
    folder = tmp_path / "select_data"
    shard = Path(number_shards(folder, 1, 5)[0])
    index = read_index(shard)
    assert index
    manifest = Manifest(
        split="training",
        shards=(record_of(shard.name, index, ""),),
        pages={},
        words={},
        characters={},
        missing={},
        categories={},
        worker_seconds=0.0,
        settings={},
        inputs=(),
        fingerprint="",
        versions={},
    )
    write_manifest(folder, manifest)
    index_path(shard).unlink()
    shards = validation_shards(recipe(changed(config, val_data=str(tmp_path))))
    assert shards.num_samples == {str(shard): 5}
    assert len([key for batch in read_all(shards, config) for key in batch.keys]) == 5
    with pytest.raises(DataError, match=f"{shard}: 5 samples where its manifest says 6"):
        read_all(Shards([], shards.urls, {str(shard): 6}), config)


def test_a_text_that_is_no_utf8_is_named(tmp_path: Path, config: Config) -> None:
    shard = tmp_path / "0.tar"
    write_shard(shard, [("word-0", {"png": cv2.imencode(".png", drawn("1"))[1].tobytes(), "txt": b"\xff"})])
    with pytest.raises(DataError, match=f"{shard}: word-0: its text is no UTF-8"):
        read_all(plain([str(shard)]), config)


def test_urls_are_taken_as_webdataset_takes_them(tmp_path: Path, config: Config) -> None:
    number_shards(tmp_path, num_shards=2, samples_per_shard=3)
    url = f"pipe:cat {tmp_path}/{{000000..000001}}.tar"
    shards = training_shards(recipe(changed(config, train_data=url)))
    assert shards.urls == [f"pipe:cat {tmp_path}/{name}.tar" for name in ("000000", "000001")]
    assert len(first_batches(shards, config, 3)) == 3
    validation = validation_shards(recipe(changed(config, val_data=url)))
    assert len([key for batch in read_all(validation, config) for key in batch.keys]) == 6


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_pixels": 64 * 2000}, "batch_pixels: needs an index beside each shard"),
        ({"select_data": "a-b", "batch_ratio": "0.5-0.5"}, "batch_ratio: needs an index beside each shard"),
    ],
)
def test_what_needs_an_index_says_so(tmp_path: Path, config: Config, values: dict[str, object], message: str) -> None:
    for folder in ("a", "b", config.select_data):
        (shard,) = number_shards(tmp_path / folder, 1, 2)
        index_path(Path(shard)).unlink()
    with pytest.raises(UsageError, match=message):
        training_shards(recipe(changed(config, train_data=str(tmp_path), **values)))
