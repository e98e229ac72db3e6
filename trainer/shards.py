"""Which shards a run reads, and what their indexes say: found and held against each other before it starts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np

from ocr.config import Config, selected_folders
from ocr.errors import UsageError
from ocr.index import index_path
from ocr.shards import brace_patterns, find_shards, is_url, read_manifest
from trainer.order import Order, parts_of, slice_bounds
from trainer.plan import Plan, fates_of, plan_training, plan_validation
from trainer.recipe import Recipe


class Shards(msgspec.Struct, frozen=True):
    """The shards of a split: a plan for each source, or only URLs where no shard has an index.

    `num_samples` tells, for a URL, how many samples a manifest promises.
    """

    plans: list[Plan]
    urls: list[str]
    num_samples: dict[str, int]

    @property
    def fates(self) -> dict[str, int]:
        return fates_of(self.plans)

    @property
    def fingerprint(self) -> str:
        of_urls = hashlib.sha256(" ".join(self.urls).encode()).hexdigest()
        return " ".join(plan.fingerprint for plan in self.plans) or f"plain tars {of_urls}"

    def __len__(self) -> int:
        return len(self.urls) + sum(len(plan.shards) for plan in self.plans)


def training_shards(recipe: Recipe) -> Shards:
    """What `train_data`, `select_data` and `batch_ratio` name. Raises UsageError, or DataError for damaged shards."""
    config = recipe.config
    folders, urls = located(config.train_data, config)
    if not urls:
        return Shards([plan_training(shards, recipe) for shards in folders], [], {})
    if len(folders) > 1 or config.batch_pixels:
        key = "batch_pixels" if config.batch_pixels else "batch_ratio"
        raise UsageError(f"{key}: needs an index beside each shard; run `python -m shard_builder.index`")
    return Shards([], urls, promised(folders))


def validation_shards(recipe: Recipe) -> Shards:
    """What `val_data` and `select_data` name, all folders behind one another."""
    folders, urls = located(recipe.config.val_data, recipe.config)
    if urls:
        return Shards([], urls, promised(folders))
    return Shards([plan_validation([shard for shards in folders for shard in shards], recipe)], [], {})


def located(data: str, config: Config) -> tuple[list[list[Path]], list[str]]:
    """(the shards of each folder; their URLs if none of them has an index).

    `data` is a folder with the folders of `select_data` in it, or URLs as WebDataset takes them: `pipe:…`, `https://…`.
    URLs of local shards are absolute, because WebDataset takes what stands before a colon for a scheme.
    """
    if is_url(data):
        return [], brace_patterns(data)
    folders = [find_shards(str(Path(data) / folder)) for folder in selected_folders(config)]
    shards = [shard for folder in folders for shard in folder]
    indexed = any(index_path(shard).exists() for shard in shards)
    return folders, [] if indexed else [str(shard.absolute()) for shard in shards]


def promised(folders: Sequence[Sequence[Path]]) -> dict[str, int]:
    """How many samples the manifests promise, by URL."""
    found = {}
    for folder in {shard.parent for shards in folders for shard in shards}:
        manifest = read_manifest(folder)
        for record in manifest.shards if manifest else ():
            found[str((folder / record.name).absolute())] = record.num_samples
    return found


def orders_of(plans: Sequence[Plan], config: Config) -> list[Order]:
    """How each source is read. Raises UsageError for a source that `batch_ratio` gives no sample of a batch."""
    ratios = [Fraction(ratio) for ratio in str(config.batch_ratio).split("-")]
    parts = parts_of(config.batch_size, ratios)
    if 0 in parts:
        folder = selected_folders(config)[parts.index(0)]
        raise UsageError(f"batch_ratio: leaves no sample of {config.batch_size} for {folder}; raise batch_size")
    columns = config.batch_pixels // config.img_height
    return [
        Order(config.seed, plan.width, slice_bounds(np.diff(plan.first).tolist()), part, columns, source)
        for source, (plan, part) in enumerate(zip(plans, parts, strict=True))
    ]
