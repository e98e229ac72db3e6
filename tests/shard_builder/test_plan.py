"""Which page goes where, before a pixel is read."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ocr.config import Config
from ocr.errors import UsageError
from shard_builder.executors import engine
from shard_builder.plan import (
    IN_VALIDATION,
    NOT_DRAWN,
    PAGES_A_GROUP,
    PAGES_A_SHARD,
    WORDS_A_SHARD,
    Job,
    SplitPlan,
    even_parts,
    jobs_of,
    plan_splits,
    slots_of,
)
from shard_builder.settings import settings_of
from shard_builder.splits import EVERY_SPLIT, SPLITS
from shard_builder.zips.archives import Archive
from shard_builder.zips.page_sources import (
    LISTED_TWICE,
    NO_IMAGE,
    NO_LABEL,
    Listing,
    PageSource,
    half_of,
    key_of,
    list_dataset,
    pair_pages,
)
from shard_builder.zips.zip_entries import Entry
from tests.shard_builder.made_zips import MadePage, made_pages, write_dataset, write_half

TOP = {"jpg": "02.원천데이터(jpg)", "json": "02.라벨링데이터(json)"}


def config(train_images: int = 0, val_images: int = 0, eval_images: int = 0, seed: int = 1111) -> Config:
    return Config(train_images=train_images, val_images=val_images, eval_images=eval_images, seed=seed)


def plan(dataset: Path, settings: Config) -> dict[str, SplitPlan]:
    with engine("loky", 1) as run_jobs:
        return {plan.split: plan for plan in plan_splits(settings, dataset, Path("out"), SPLITS, run_jobs)}


def keys(plan: SplitPlan) -> list[str]:
    return [page.key for page in plan.pages]


def entries(*names: str) -> list[Entry]:
    archive = Archive("a.zip", "a.zip", ())
    return [Entry(archive, name, offset, 1, 1, 0, 0, 0) for offset, name in enumerate(names)]


@pytest.mark.parametrize(
    ("images", "labels", "pairs", "refused"),
    [
        pytest.param(["T/인.허가/1.jpg"], ["L/인.허가/1.json"], ["1"], {}, id="the path below the top folder"),
        pytest.param(["T/a/1.JPG"], ["L/a/1.JSON"], ["1"], {}, id="capital suffixes"),
        pytest.param(["1.jpg"], ["1.json"], ["1"], {}, id="no folder at all"),
        pytest.param(
            [f"x/{TOP['jpg']}/a/1.jpg"], [f"{TOP['json']}/a/1.json"], ["1"], {}, id="a top folder further down"
        ),
        pytest.param(["T/a/1.jpg"], ["L/b/c/1.json"], ["1"], {}, id="another path, one stem"),
        pytest.param(["T/a/1.jpg"], ["L/a/2.json"], [], {NO_LABEL: 1, NO_IMAGE: 1}, id="another stem"),
        pytest.param(["T/a/1.jpg", "T/a/2.jpg"], ["L/a/2.json"], ["2"], {NO_LABEL: 1}, id="no label"),
        pytest.param(["T/a/1.jpg"], ["L/a/1.json", "L/a/2.json"], ["1"], {NO_IMAGE: 1}, id="no image"),
        pytest.param(
            ["T/a/1.jpg", "T/b/1.jpg"], ["L/c/1.json"], [], {NO_LABEL: 2, NO_IMAGE: 1}, id="a stem that is not unique"
        ),
        pytest.param(
            ["T/a/1.jpg", "T/b/1.jpg"], ["L/b/1.json"], ["1"], {NO_LABEL: 1}, id="a stem twice, told by its path"
        ),
        pytest.param(
            ["T/a/1.jpg", "T/b/1.jpg"], ["L/a/1.json", "L/b/1.json"], ["1"], {LISTED_TWICE: 1}, id="two pages, one stem"
        ),
        pytest.param(["T/a/1.jpg"] * 2, ["L/a/1.json"], ["1"], {LISTED_TWICE: 1}, id="an image twice"),
        pytest.param(["T/a/1.jpg"], ["L/a/1.json"] * 2, ["1"], {LISTED_TWICE: 1}, id="a label twice"),
    ],
)
def test_pages_are_paired(images: list[str], labels: list[str], pairs: list[str], refused: dict[str, int]) -> None:
    pages, counted = pair_pages(Listing(entries(*images), entries(*labels), []))
    assert [page.key for page in pages] == pairs
    assert counted == Counter(refused)


def test_the_first_of_two_stays() -> None:
    pages, _ = pair_pages(Listing(entries("T/a/1.jpg", "T/a/1.jpg"), entries("L/a/1.json"), []))
    assert pages[0].image.offset == 0


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        ("5350109-2001-0001-1300", "5350109-2001-0001-1300"),
        ("1.5", "1_5-9f29a130"),
        ("김해 1", "___1-70f5e5a8"),
        ("x" * 99, "x" * 51 + "-d0621fdd"),
    ],
)
def test_a_key_is_ascii_without_dots(stem: str, key: str) -> None:
    assert key_of(stem) == key
    assert len(key) <= 60


@pytest.mark.parametrize(
    ("path", "half"),
    [
        ("Training/[원천]1.zip", "Training"),
        ("01.Training/[원천]train_partly_labeling_01.zip", "Training"),
        ("[라벨]validation.zip", "Validation"),
        ("Training/Validation/x.zip", "Validation"),
        ("Training/[라벨]valid.zip", "Validation"),
    ],
)
def test_a_zip_belongs_to_a_half(path: str, half: str) -> None:
    assert half_of(Path("/data/validated") / path, Path("/data/validated")) == half


def test_a_zip_of_no_half_is_named(tmp_path: Path) -> None:
    write_half(tmp_path, "Training", made_pages("Training", 1))
    (tmp_path / "Training").rename(tmp_path / "x")
    (tmp_path / "x/[원천]train.zip").rename(tmp_path / "x/[원천]1.zip")
    with pytest.raises(UsageError, match=r"\[원천\]1\.zip: of Training or of Validation\?"):
        list_dataset(tmp_path, [])


def test_no_page_is_in_two_splits(tmp_path: Path) -> None:
    plans = plan(write_dataset(tmp_path, 8, 20), config(8, 7, 6))
    drawn = [key for split in SPLITS for key in keys(plans[split])]
    assert len(drawn) == len(set(drawn)) == 8 + 7 + 6


def test_whole_validation_pages_are_the_first_of_validation(tmp_path: Path) -> None:
    dataset, settings = write_dataset(tmp_path, 8, 20), config(8, 7, 6)
    with engine("loky", 1) as run_jobs:
        plans = {plan.split: plan for plan in plan_splits(settings, dataset, Path("out"), EVERY_SPLIT, run_jobs)}
    pages = plans["validation_pages"]
    assert pages.pages == plans["validation"].pages
    assert (pages.folder, [job.num_shards for job in pages.jobs]) == (Path("out/validation_pages"), [1])


def test_raising_a_number_only_adds_pages(tmp_path: Path) -> None:
    write_dataset(tmp_path, 20, 20)
    few, more = plan(tmp_path, config(5, 4, 6)), plan(tmp_path, config(15, 14, 6))
    for split in ("training", "validation"):
        assert keys(more[split])[: len(keys(few[split]))] == keys(few[split])
    assert keys(more["evaluation"]) == keys(few["evaluation"])
    most = plan(tmp_path, config(5, 4, 16))
    assert keys(most["evaluation"])[:6] == keys(few["evaluation"])


def test_adding_zips_moves_no_page_of_training(tmp_path: Path) -> None:
    write_half(tmp_path, "Validation", made_pages("Validation", 3))
    write_half(tmp_path, "Training", made_pages("Training", 10))
    before = keys(plan(tmp_path, config(99, 1, 1))["training"])
    write_half(tmp_path, "Training", made_pages("Training", 30))
    after = keys(plan(tmp_path, config(99, 1, 1))["training"])
    assert [key for key in after if key in before] == before


def test_the_seed_draws_other_pages(tmp_path: Path) -> None:
    write_dataset(tmp_path, 20, 2)
    first, second = (plan(tmp_path, config(10, 1, 1, seed))["training"] for seed in (1, 2))
    assert set(keys(first)) != set(keys(second))


def test_a_page_of_both_halves_is_never_trained_on(tmp_path: Path) -> None:
    write_half(tmp_path, "Training", [*made_pages("Training", 4), *made_pages("Validation", 2)])
    write_half(tmp_path, "Validation", made_pages("Validation", 5))
    plans = plan(tmp_path, config(3, 4, 1))
    assert plans["training"].left_out == Counter({IN_VALIDATION: 2, NOT_DRAWN: 1})
    assert not set(keys(plans["training"])) & {page.stem for page in made_pages("Validation", 5)}


def test_every_listed_page_is_drawn_or_counted(tmp_path: Path) -> None:
    lone = [MadePage("1", label=None), MadePage("2", label=None), MadePage("3", image=None)]
    write_half(tmp_path, "Training", [*made_pages("Training", 9), *lone])
    write_half(tmp_path, "Validation", made_pages("Validation", 9))
    plans = plan(tmp_path, config(4, 3, 2))
    assert plans["training"].left_out == Counter({NOT_DRAWN: 5, NO_LABEL: 2, NO_IMAGE: 1})
    assert plans["validation"].left_out == Counter({NOT_DRAWN: 6})
    assert plans["evaluation"].left_out == Counter({NOT_DRAWN: 7})


def test_fewer_pages_than_asked_for_are_all_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(tmp_path, 3, 2)
    plans = plan(tmp_path, config(40_000, 1, 1))
    assert len(plans["training"].pages) == 3
    assert "training: 40,000 pages asked for (train_images), 3 there: all are taken\n" in capsys.readouterr().err


def test_no_page_left_for_validation_says_why(tmp_path: Path) -> None:
    write_dataset(tmp_path, 3, 2)
    with pytest.raises(UsageError, match="val_images: 10; lower eval_images"):
        plan(tmp_path, config(3, 10, 2))


def pages_of(num_pages: int) -> tuple[PageSource, ...]:
    entry = entries("T/a/1.jpg")[0]
    return tuple(PageSource(f"page-{number}", entry, entry) for number in range(num_pages))


def planned_jobs(split: str, num_words: list[int]) -> list[Job]:
    return list(jobs_of(Path("out"), split, settings_of(Config()), pages_of(len(num_words)), num_words))


@pytest.mark.parametrize(
    ("num_pages", "words_a_page", "pages_a_job", "shards_a_job"),
    [
        (0, 112, [], []),
        (1, 112, [1], [1]),
        (90, 0, [90], [1]),
        (PAGES_A_GROUP * 2 - 1, 10, [PAGES_A_GROUP * 2 - 1], [2]),
        (PAGES_A_GROUP * 2 + 1, 112, [PAGES_A_GROUP, PAGES_A_GROUP + 1], [10, 10]),
    ],
)
def test_pages_are_dealt_evenly_to_groups_of_shards(
    num_pages: int, words_a_page: int, pages_a_job: list[int], shards_a_job: list[int]
) -> None:
    jobs = planned_jobs("training", [words_a_page] * num_pages)
    assert [len(job.pages) for job in jobs] == pages_a_job
    assert [job.num_shards for job in jobs] == shards_a_job
    assert [page for job in jobs for page in job.pages] == list(pages_of(num_pages))
    names = [path.name for job in jobs for path in job.shard_paths()]
    assert names == [f"{number:06d}.tar" for number in range(sum(shards_a_job))]


def test_evaluation_pages_stay_whole_and_in_order() -> None:
    jobs = planned_jobs("evaluation", [112] * (PAGES_A_SHARD + 1))
    assert [(job.first_shard, job.num_shards, len(job.pages)) for job in jobs] == [(0, 1, 32), (1, 1, 33)]


def test_a_batch_in_the_order_of_shards_comes_from_many_pages() -> None:
    """256 words drawn in shard order come from 210 pages or more; from 252 if they were drawn from the whole set."""
    job = planned_jobs("training", [112] * PAGES_A_GROUP)[0]
    page_of_slot = np.empty(sum(job.num_words), np.int64)
    for number, slots in enumerate(slots_of(job)):
        page_of_slot[slots] = number
    batches = page_of_slot[: len(page_of_slot) // 256 * 256].reshape(-1, 256)
    distinct = [len(set(batch.tolist())) for batch in batches]
    assert np.mean(distinct) >= 210


def test_every_word_has_one_slot_and_shards_are_of_even_size() -> None:
    job = planned_jobs("training", [number % 150 for number in range(400)])[0]
    slots = np.concatenate(slots_of(job))
    assert sorted(slots.tolist()) == list(range(sum(job.num_words)))
    sizes = {stop - start for start, stop in even_parts(len(slots), job.num_shards)}
    assert max(sizes) <= WORDS_A_SHARD and max(sizes) - min(sizes) <= 1


def test_a_word_s_place_depends_on_seed_and_page_alone() -> None:
    job = planned_jobs("training", [3] * 50)[0]
    again = planned_jobs("training", [3] * 50)[0]
    other = msgspec.structs.replace(job, settings=msgspec.structs.replace(job.settings, seed=2))
    first, second, third = (np.concatenate(slots_of(each)).tolist() for each in (job, again, other))
    assert first == second != third


def test_a_fingerprint_stands_for_contents_and_settings(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a", 4, 2)
    settings = config(3, 1, 1)
    fingerprint = plan(tmp_path / "a", settings)["training"].fingerprint
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert plan(tmp_path / "b", settings)["training"].fingerprint == fingerprint
    changes: list[dict[str, Any]] = [{"seed": 7}, {"rgb": True, "input_channel": 3}, {"train_images": 4}]
    for change in changes:
        other = msgspec.structs.replace(settings, **change)
        assert plan(tmp_path / "b", other)["training"].fingerprint != fingerprint, change
    other = msgspec.structs.replace(settings, lr=0.5, character="english_g2", val_images=0)  # nothing of training's
    assert plan(tmp_path / "b", other)["training"].fingerprint == fingerprint
    changed_pages = [MadePage(page.stem, b"another image") for page in made_pages("Training", 4)]
    write_half(tmp_path / "b", "Training", changed_pages)
    assert plan(tmp_path / "b", settings)["training"].fingerprint != fingerprint
