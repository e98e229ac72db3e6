"""What the indexes tell before a shard is opened: who is used, who is refused and why, and where each sample lies."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocr.charset import num_ctc_steps
from ocr.config import Config
from ocr.errors import DataError
from ocr.patch import fitted_widths, num_steps
from ocr.shards.manifest import write_shard
from ocr.shards.shard_index import IndexBuilder, index_path, index_row, read_index
from tests.trainer.conftest import changed, drawn, number_shards, recipe, sample
from trainer.data.batch import encoded
from trainer.data.sample_filter import FATES, USED
from trainer.data.sample_table import Plan, plan_training, plan_validation


def shard_of(folder: Path, *texts: str) -> list[Path]:
    write_shard(folder / "000000.tar", [sample(f"word-{index}", text) for index, text in enumerate(texts)])
    return [folder / "000000.tar"]


def texts_of(plan: Plan) -> list[str]:
    return plan.texts(np.arange(plan.num_samples))


@pytest.mark.parametrize(
    ("values", "fates", "texts"),
    [
        ({}, {USED: 3}, ["1", "22", "333333"]),
        ({"character": "12"}, {USED: 2, "character outside the alphabet": 1}, ["1", "22"]),
        ({"batch_max_length": 2}, {USED: 2, "longer than batch_max_length": 1}, ["1", "22"]),
        ({"img_width": 128}, {USED: 2, "wider than img_width": 1}, ["1", "22"]),
        ({"batch_max_length": 2, "data_filtering_off": True}, {USED: 3}, ["1", "22", "333333"]),
        ({"character": "12", "data_filtering_off": True}, {USED: 2, "no character of the alphabet": 1}, ["1", "22"]),
        ({"PAD": False, "img_width": 40}, {USED: 2, "too narrow for its text": 1}, ["1", "22"]),
    ],
)
def test_what_is_refused_is_counted_by_reason(
    tmp_path: Path, config: Config, values: dict[str, object], fates: dict[str, int], texts: list[str]
) -> None:
    shards, rules = shard_of(tmp_path, "1", "22", "333333"), recipe(changed(config, **values))
    plan = plan_training(shards, rules)
    assert plan.fates == fates
    assert texts_of(plan) == texts
    assert plan.trained.all()
    validation = plan_validation(shards, rules)
    assert texts_of(validation) == ["1", "22", "333333"]
    assert validation.trained.tolist() == [text in texts for text in texts_of(validation)]


@pytest.mark.parametrize("prediction", ["CTC", "Attn"])
def test_fates_of_many_samples_are_those_of_each(config: Config, prediction: str) -> None:
    """Against the rules for one text, written out. An attention needs no blank between two equal characters."""
    rules = recipe(changed(config, Prediction=prediction, character="가나다abc ", batch_max_length=6))
    order, rows = random.Random(5), IndexBuilder()
    texts = ["".join(order.choices("가나다abc 힣Z", k=order.randrange(9))) for _ in range(2_000)]
    for text in texts:
        patch = cv2.imencode(".png", np.zeros((order.randrange(20, 90), order.randrange(4, 90)), np.uint8))[1].tobytes()
        rows.add(0, index_row(0, {"png": (0, patch), "txt": (0, text.encode())}))
    index = rows.index(0, "")
    widths = rules.training_widths(index)
    found = [FATES[fate] for fate in rules.fates(index, widths).tolist()]

    def fate(text: str, width: int) -> str:
        if not text:
            return "no text"
        if rules.charset.missing(text):
            return "character outside the alphabet"
        if len(text) > 6:
            return "longer than batch_max_length"
        steps = num_ctc_steps(text) if prediction == "CTC" else len(text)
        return "too narrow for its text" if steps > num_steps(width) else USED

    assert found == [fate(text, width) for text, width in zip(texts, widths.tolist(), strict=True)]
    assert len(set(found)) == 5
    assert (widths >= fitted_widths(index.width, index.height)).all()
    assert not (widths % 4).any()


@pytest.mark.parametrize(
    ("text", "values", "target", "used"),
    [
        ("Abc", {}, "Abc", True),
        ("Abc", {"character": "abc"}, "bc", False),
        ("ABC", {"character": "abc", "sensitive": False}, "abc", True),
        ("İI", {"character": "i\u0307", "sensitive": False}, "i̇i", True),  # one letter, two characters in lower case
        ("12,345", {"character": "2345", "data_filtering_off": True}, "2345", True),
    ],
)
def test_the_target_that_is_planned_is_the_one_that_is_trained(
    tmp_path: Path, config: Config, text: str, values: dict[str, object], target: str, used: bool
) -> None:
    write_shard(tmp_path / "000000.tar", [sample("word-0", text, drawn("123456"))])
    rules = recipe(changed(config, **values))
    targets, lengths = encoded([rules.text(text)], rules.charset)
    assert rules.charset.decode(targets[0, : lengths[0]].tolist()) == target
    assert plan_validation([tmp_path / "000000.tar"], rules).fates == (
        {USED: 1} if used else {"character outside the alphabet": 1}
    )


@pytest.mark.parametrize(
    ("members", "fate"),
    [
        ({"jpg": b"no image", "txt": b"1"}, "no readable patch"),
        ({"txt": b"1"}, "no readable patch"),
        ({"png": cv2.imencode(".png", drawn("1"))[1].tobytes()}, "no text"),
    ],
)
def test_a_sample_without_a_patch_or_a_text_is_counted(
    tmp_path: Path, config: Config, members: dict[str, bytes], fate: str
) -> None:
    shard = tmp_path / "000000.tar"
    write_shard(shard, [("word-0", members), sample("word-1", "1")])
    for plan in (plan_training([shard], recipe(config)), plan_validation([shard], recipe(config))):
        assert plan.fates == {USED: 1, fate: 1}
        assert texts_of(plan) == ["1"]


def test_part_of_the_data_is_the_same_part_every_time(tmp_path: Path, config: Config) -> None:
    shards = [Path(path) for path in number_shards(tmp_path, num_shards=1, samples_per_shard=400)]
    half, again, quarter = (
        plan_training(shards, recipe(changed(config, total_data_usage_ratio=ratio, seed=seed)))
        for ratio, seed in ((0.5, 1), (0.5, 2), (0.25, 1))
    )
    assert half.patch_block.tolist() == again.patch_block.tolist()
    assert set(quarter.patch_block.tolist()) < set(half.patch_block.tolist())
    assert half.fates["left out by total_data_usage_ratio"] == pytest.approx(200, abs=40)
    assert plan_validation(shards, recipe(changed(config, total_data_usage_ratio=0.5))).num_samples == 400


def test_a_plan_says_where_samples_lie_and_which_shard_is_theirs(tmp_path: Path, config: Config) -> None:
    shards = [Path(path) for path in number_shards(tmp_path, num_shards=3, samples_per_shard=5)]
    plan = plan_training(shards, recipe(config))
    assert plan.first.tolist() == [0, 5, 10, 15]
    places = plan.places(np.arange(15))
    assert [shard for shard, *_ in places] == [0] * 5 + [1] * 5 + [2] * 5
    index = read_index(shards[1])
    assert index
    assert [offset for _, offset, _, _ in places[5:10]] == index.patch_offset.tolist()
    assert [num_bytes for _, _, num_bytes, _ in places[5:10]] == index.patch_bytes.tolist()
    assert texts_of(plan)[5:10] == index.texts() == plan.texts(np.arange(5, 10))
    assert plan.texts(np.array([0, 7])) == [plan.texts(np.array([sample]))[0] for sample in (0, 7)]


def test_a_fingerprint_is_of_what_the_shards_hold_not_of_where_they_lie(tmp_path: Path, config: Config) -> None:
    def fingerprint(name: str, seed: int) -> str:
        paths = number_shards(tmp_path / name, num_shards=2, samples_per_shard=5, seed=seed)
        return plan_training([Path(path) for path in paths], recipe(config)).fingerprint

    assert fingerprint("here", 0) == fingerprint("moved", 0) != fingerprint("other", 1)


def test_shards_that_fit_nothing_end_with_the_reasons(tmp_path: Path, config: Config) -> None:
    with pytest.raises(DataError, match="no sample can be trained on: 2 character outside the alphabet; look at"):
        plan_training(shard_of(tmp_path, "1", "22"), recipe(changed(config, character="가나")))


def test_a_shard_without_an_index_among_others_that_have_one_is_named(tmp_path: Path, config: Config) -> None:
    shards = [Path(path) for path in number_shards(tmp_path, num_shards=2, samples_per_shard=2)]
    index_path(shards[1]).unlink()
    with pytest.raises(DataError, match=f"{shards[1]}: has no index, .* run `python -m shard_builder.index`"):
        plan_training(shards, recipe(config))


@pytest.mark.parametrize(("change", "message"), [(-512, "the shard was cut off"), (512, "the shard was replaced")])
def test_a_shard_of_another_size_than_its_index_says_is_named(
    tmp_path: Path, config: Config, change: int, message: str
) -> None:
    (shard,) = shard_of(tmp_path, "1")
    content = shard.read_bytes() + bytes(512)
    shard.write_bytes(content[: len(content) - 512 + change])
    with pytest.raises(DataError, match=f"{shard}: .* {message}"):
        plan_training([shard], recipe(config))


def test_a_text_that_is_no_utf8_is_named(tmp_path: Path, config: Config) -> None:
    shard = tmp_path / "000000.tar"
    patch = cv2.imencode(".png", drawn("1"))[1].tobytes()
    write_shard(shard, [sample("word-0", "1"), ("word-1", {"png": patch, "txt": b"\xff"})])
    with pytest.raises(DataError, match=f"{shard}: sample 1: its text is no UTF-8"):
        plan_training([shard], recipe(config))
