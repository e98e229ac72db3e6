"""Which shards a run reads, and what their indexes say: found and held against each other before it starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np

from ocr.config import Config, selected_folders
from ocr.errors import DataError, UsageError
from ocr.plumbing.progress import progress
from ocr.remote.connections import EXTRA_OF, is_url
from ocr.remote.locations import PathOrUrl, Url
from ocr.shards.manifest import brace_patterns, find_shards, read_manifest, shards_behind
from ocr.shards.shard_index import Index, index_path, read_index, scan_tar
from trainer.data.sample_filter import Recipe
from trainer.data.sample_order import Order, parts_of, slice_bounds
from trainer.data.sample_table import Plan, fates_of, listed_fates, plan_training, plan_validation


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
    """What `val_data` and `select_data` name, all folders behind one another.

    Raises DataError where they hold no word, as far as indexes tell; of plain tars, validation itself finds out.
    """
    folders, urls = located(recipe.config.val_data, recipe.config)
    if urls:
        return Shards([], urls, promised(folders))
    plan = plan_validation([shard for shards in folders for shard in shards], recipe)
    if not plan.num_samples:
        found = f" ({listed_fates(plan.fates)})" if plan.fates else ""
        raise DataError(f"{recipe.config.val_data}: holds no word to validate on{found}; build more validation pages")
    return Shards([plan], [], {})


def located(data: str, config: Config) -> tuple[Sequence[Sequence[PathOrUrl]], list[str]]:
    """(the shards of each folder; their URLs if none of them has an index).

    `data` is a folder with the folders of `select_data` in it, on disk or behind a URL; the URLs of tars; or what only
    WebDataset reads, such as `pipe:…`.
    """
    if data.startswith("pipe:"):
        return [], brace_patterns(data)
    if is_url(data):
        return located_behind(data, config)
    folders = [find_shards(str(Path(data) / folder)) for folder in selected_folders(config)]
    shards = [shard for folder in folders for shard in folder]
    indexed = any(index_path(shard).exists() for shard in shards)
    return folders, [] if indexed else [plain_url(shard) for shard in shards]


def read_texts(shards: Sequence[PathOrUrl]) -> Iterator[str]:
    """Every text of some shards, in order, from their indexes; a tar without one is read."""
    for shard in progress(shards, "texts", "shards"):
        try:
            yield from (read_index(shard) or scanned(shard)).texts()
        except UnicodeDecodeError as error:
            raise DataError(f"{shard}: a text in it is no UTF-8 ({error}); build it again") from error


def scanned(shard: PathOrUrl) -> Index:
    if isinstance(shard, Url):
        raise UsageError(
            f"{shard}: has no index, and is not on this machine; run `python -m shard_builder.index` on it"
        )
    return scan_tar(shard)


def located_behind(data: str, config: Config) -> tuple[Sequence[Sequence[PathOrUrl]], list[str]]:
    names_tars = all(Url(url).name.endswith((".tar", ".tgz", ".gz")) for url in brace_patterns(data))
    named = [data] if names_tars else [(Url(data) / folder).text for folder in selected_folders(config)]
    if data.partition("://")[0] not in EXTRA_OF:
        return [], [url for name in named for url in brace_patterns(name)]
    folders = [shards_behind(name) for name in named]
    shards = [shard for folder in folders for shard in folder]
    return folders, [] if index_path(shards[0]).exists() else [plain_url(shard) for shard in shards]


def plain_url(shard: PathOrUrl) -> str:
    """As WebDataset takes it: of a path, the absolute one, because it takes what stands before a colon for a scheme."""
    return shard.text if isinstance(shard, Url) else str(shard.absolute())


def promised(folders: Sequence[Sequence[PathOrUrl]]) -> dict[str, int]:
    """How many samples the manifests promise, by URL."""
    found = {}
    for folder in {shard.parent for shards in folders for shard in shards}:
        manifest = read_manifest(folder)
        for record in manifest.shards if manifest else ():
            found[plain_url(folder / record.name)] = record.num_samples
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
