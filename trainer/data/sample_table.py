"""What the indexes of a source say about its samples, before a shard is opened: which are used, and where they lie.

The arrays hold a number for each sample that is read, in the order of the shards, 28 bytes a word patch in all:
sample i is sample i everywhere in the trainer. Loader workers that are forked share them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from ocr.errors import DataError
from ocr.remote.connections import CONNECTIONS
from ocr.remote.locations import PathOrUrl, Url
from ocr.remote.remote_files import map_requests
from ocr.shards.shard_index import TAR_BLOCK, Index, read_index
from trainer.data.sample_filter import FATES, NO_PATCH, NO_TEXT, USED, Recipe
from trainer.data.sample_order import ORDER_FORMAT

SamplePlace = tuple[int, int, int, int]
"""Where a sample's patch lies: (number of the shard, first byte in it, bytes, CRC-32)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The samples of a source that are read.

    `first` holds the number of each shard's first sample and, at last, of all; `width` the padded widths; `trained`
    is False for what only validation reads; `patch_block` is where the patch lies, in blocks of the tar; `text_end`
    where each text ends in `text` (UTF-8). `fates` counts every sample of the shards, `fingerprint` is the same for
    the same samples in the same order.
    """

    shards: list[PathOrUrl]
    tar_bytes: list[int]
    tar_sha256: list[str]
    first: np.ndarray
    width: np.ndarray
    trained: np.ndarray
    patch_block: np.ndarray
    patch_bytes: np.ndarray
    patch_crc: np.ndarray
    text: np.ndarray
    text_end: np.ndarray
    fates: dict[str, int]
    fingerprint: str

    @property
    def num_samples(self) -> int:
        return len(self.width)

    def texts(self, samples: np.ndarray) -> list[str]:
        """The texts of samples, as the shard holds them."""
        text = self.text.data
        starts = np.where(samples > 0, self.text_end[samples - 1], 0).tolist()
        return [
            str(text[start:end], "utf-8") for start, end in zip(starts, self.text_end[samples].tolist(), strict=True)
        ]

    def places(self, samples: np.ndarray) -> list[SamplePlace]:
        shards = np.searchsorted(self.first, samples, side="right") - 1
        offsets = self.patch_block[samples].astype(np.int64) * TAR_BLOCK
        columns = (shards, offsets, self.patch_bytes[samples], self.patch_crc[samples])
        return list(zip(*(column.tolist() for column in columns), strict=True))


def plan_training(shards: Sequence[PathOrUrl], recipe: Recipe) -> Plan:
    """The samples to train on. Raises DataError, with the reasons, where there is none."""
    plan = make_plan(shards, recipe, recipe.training_widths, only_trained=True)
    if not plan.num_samples:
        raise DataError(hopeless(plan.fates))
    return plan


def hopeless(fates: dict[str, int]) -> str:
    found = listed_fates(fates) or "the shards hold none"
    return f"no sample can be trained on: {found}; look at character, batch_max_length, img_width"


def listed_fates(fates: Mapping[str, int]) -> str:
    """`2,120 used, 111 character outside the alphabet`, the most common first."""
    return ", ".join(f"{number:,} {fate}" for fate, number in sorted(fates.items(), key=lambda item: -item[1]))


def plan_validation(shards: Sequence[PathOrUrl], recipe: Recipe) -> Plan:
    """Every sample that has a patch and a text, whether it can be trained on or not."""
    recipe = recipe.for_validation()
    return make_plan(shards, recipe, recipe.reader_widths, only_trained=False)


def make_plan(
    shards: Sequence[PathOrUrl], recipe: Recipe, widths_of: Callable[[Index], np.ndarray], only_trained: bool
) -> Plan:
    parts: list[dict[str, np.ndarray]] = []
    tar_bytes: list[int] = []
    tar_sha256: list[str] = []
    counts, sha256 = np.zeros(len(FATES), np.int64), hashlib.sha256(ORDER_FORMAT.encode())
    for shard, index in indexes(shards):
        widths = widths_of(index)
        try:
            fates = recipe.fates(index, widths)
        except UnicodeDecodeError as error:
            raise DataError(f"{shard}: sample {broken_text(index)}: its text is no UTF-8; build it again") from error
        counts += np.bincount(fates, minlength=len(FATES))
        read = fates == FATES.index(USED) if only_trained else readable(fates)
        parts.append(columns(index, widths, fates, read))
        tar_bytes.append(index.tar_bytes)
        tar_sha256.append(index.tar_sha256)
        sha256.update(bytes.fromhex(index.tar_sha256) + parts[-1]["width"].tobytes())
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    text_bytes = joined.pop("text_bytes")
    return Plan(
        shards=list(shards),
        tar_bytes=tar_bytes,
        tar_sha256=tar_sha256,
        first=np.concatenate(([0], np.cumsum([len(part["width"]) for part in parts]))),
        text_end=narrowest(np.cumsum(text_bytes)),
        fates={fate: number for fate, number in zip(FATES, counts.tolist(), strict=True) if number},
        fingerprint=sha256.hexdigest(),
        **{name: narrowest(array) if array.dtype != bool else array for name, array in joined.items()},
    )


def indexes(shards: Sequence[PathOrUrl]) -> Iterator[tuple[PathOrUrl, Index]]:
    """The index of each shard. Raises DataError where one is missing, or its shard has another size than it says."""
    for start in range(0, len(shards), CONNECTIONS):  # what waits for servers waits together, and few are in memory
        some = shards[start : start + CONNECTIONS]
        yield from zip(
            some, map_requests(index_of, some) if isinstance(some[0], Url) else map(index_of, some), strict=True
        )


def index_of(shard: PathOrUrl) -> Index:
    index = read_index(shard)
    if index is None:
        raise DataError(f"{shard}: has no index, but its neighbors have; run `python -m shard_builder.index`")
    if (num_bytes := shard.stat().st_size) != index.tar_bytes:
        raise DataError(other_size(shard, num_bytes, index.tar_bytes))
    return index


def other_size(shard: PathOrUrl, num_bytes: int, tar_bytes: int) -> str:
    what = "cut off" if num_bytes < tar_bytes else "replaced"
    return f"{shard}: {num_bytes:,} bytes where its index says {tar_bytes:,}: the shard was {what}; build it again"


def readable(fates: np.ndarray) -> np.ndarray:
    """Which samples have a patch and a text, whatever else is against them."""
    return ~np.isin(fates, [FATES.index(NO_PATCH), FATES.index(NO_TEXT)])


def columns(index: Index, widths: np.ndarray, fates: np.ndarray, read: np.ndarray) -> dict[str, np.ndarray]:
    """What a plan keeps of one shard: the rows of its index where `read` is true."""
    text_bytes: np.ndarray = np.diff(index.text_end.astype(np.int64), prepend=0)
    return {
        "width": widths[read].astype(np.uint32),
        "trained": fates[read] == FATES.index(USED),
        "patch_block": (index.patch_offset[read] // TAR_BLOCK).astype(np.uint64),
        "patch_bytes": index.patch_bytes[read].astype(np.uint32),
        "patch_crc": index.patch_crc[read],
        "text": index.text[np.repeat(read, text_bytes)],
        "text_bytes": text_bytes[read],
    }


def narrowest(array: np.ndarray) -> np.ndarray:
    """The same numbers in the smallest unsigned type that holds them."""
    return array.astype(np.min_scalar_type(int(array.max(initial=0))), copy=False)


def broken_text(index: Index) -> int:
    """The row of the first text that is no UTF-8."""
    ends = index.text_end.tolist()
    for row, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        try:
            index.text[start:end].tobytes().decode()
        except UnicodeDecodeError:
            return row
    raise ValueError("all texts are UTF-8")


def fates_of(plans: Sequence[Plan]) -> dict[str, int]:
    return dict(sum((Counter(plan.fates) for plan in plans), Counter[str]()))
