"""Shards -> batches, as a WebDataset pipeline.

    1. indexed_batches (source.py)     ReadBatch  the samples of a planned batch, still bytes; from disk, or from a
                                       server ahead of the batches (remote.py)
       or tars.py's stages             the same from plain tars, where shards have no index
    2. to_batches                      Batch      patches uint8 (B, H, W), augmented where the config says so, targets
                                       int64 (B, L)

With indexes everything is decided before a shard is opened (plan.py, order.py), and every reader computes its own part
of it: the batches of a run depend on nothing but the shards, the config and the seed.
"""

from __future__ import annotations

import math
import random
import sys
import tarfile
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import webdataset as wds

from ocr.cache import Cache
from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.places import Url
from ocr.tars import tar_samples
from trainer.augment import Augmentation, augment, augmentation_of, extra_padding, number_of
from trainer.distributed import Process
from trainer.handover import Placed, Slots
from trainer.order import WIDTH_STEP, Cursor
from trainer.plan import Plan
from trainer.recipe import Recipe
from trainer.remote import RemoteShards
from trainer.shards import Shards, orders_of
from trainer.signals import leave_stopping_to_the_run
from trainer.source import (
    BAD,
    EncodedSample,
    OpenShards,
    PlannedBatch,
    ReadBatch,
    Reader,
    indexed_batches,
    name_bad,
    this_reader,
    training_plan,
    validation_plan,
)
from trainer.tars import (
    SHUFFLE_SAMPLES,
    all_shards,
    dealt_shards,
    every_nth,
    same_widths,
    training_windows,
)

# Workers are forked: they share the plan's arrays, and the first batch comes after 0.3 s, each validation again; with
# spawn after 8 s, with forkserver after 6.5 s and then 0.2 s (two busy cores). A fork takes none of this process's
# threads along, and a worker leaves alone what their locks could block: no GPU, no OpenMP (torch gives a worker one
# thread), and every descriptor is opened by the worker that reads it. OpenCV's threads are put down before the fork:
# a worker that did it would wait for ever for those it does not have.
START_METHOD = "fork" if sys.platform == "linux" else None
WIDTH_BUCKETS = [WIDTH_STEP * math.ceil(16 * 2 ** (third / 3)) for third in range(25)]
"""64, 84, 104, 128, … 16,384: the widths of batches for a compiled network, which is compiled anew for each."""

NO_PATCHES = torch.zeros(0, dtype=torch.uint8)

Planned = Callable[[Reader], Iterator[PlannedBatch]]
"""A reader's batches; computed in the loader worker that reads them."""


class Batch(NamedTuple):
    """What a step takes: patches uint8 (B, H, W[, 3]), targets int64 (B, L) padded with zeros, target_lengths (B,).

    `shards` says where each key is from. The ranks' parts of one batch have one `number`. `weight` is this part's
    number of samples over an even share's; 0 for a part that is not to be counted. `cursors` say where the sources go
    on behind the batch. `fates` counts what was met since the last batch and not known from an index: damaged samples,
    and all of them in plain tars.
    """

    patches: torch.Tensor
    targets: torch.Tensor
    target_lengths: torch.Tensor
    keys: list[str]
    shards: list[str]
    texts: list[str]
    number: int
    weight: float
    cursors: tuple[Cursor, ...]
    fates: dict[str, int]

    def pinned(self) -> Batch:
        """The same in memory that a GPU fetches from by itself."""
        patches, targets, target_lengths = (tensor.pin_memory() for tensor in self[:3])
        return self._replace(patches=patches, targets=targets, target_lengths=target_lengths)

    def __reduce__(self) -> tuple[Any, ...]:
        """A batch travels from its loader worker as arrays.

        torch would send every tensor through a shared file of its own: three a batch, 0.5 ms each on either side, and
        they need a /dev/shm that containers rarely have.
        """
        return batch_of_arrays, (*(tensor.numpy() for tensor in self[:3]), *self[3:])


def batch_of_arrays(patches: np.ndarray, targets: np.ndarray, target_lengths: np.ndarray, *told: Any) -> Batch:
    return Batch(torch.from_numpy(patches), torch.from_numpy(targets), torch.from_numpy(target_lengths), *told)


def training_batches(
    shards: Shards, recipe: Recipe, process: Process, cursors: Sequence[Cursor] = ()
) -> Iterator[Batch]:
    """Endless training batches, `batch_size` samples over all ranks, from `cursors` on (from the first without any)."""
    config = recipe.config
    if shards.plans:
        cursors = cursors or [Cursor()] * len(shards.plans)
        planned: Planned = partial(training_plan, orders_of(shards.plans, config), cursors)
        if config.augment and config.PAD:
            planned = partial(widened, planned, config)
        stages: list[Any] = [
            partial(read_batches, planned, shards.plans, process, config, cache_of(config, shards.plans))
        ]
    else:
        start = cursors[0].batch if cursors else 0
        seed = f"{config.seed} {start}"  # a resumed run draws other batches instead of the first ones again
        stages = [
            partial(dealt_shards, shards.urls, seed, process),
            partial(tar_samples, num_samples=shards.num_samples),
            wds.shuffle(SHUFFLE_SAMPLES, initial=SHUFFLE_SAMPLES, rng=random.Random(f"{seed} samples")),
            partial(training_windows, recipe=recipe, process=process, seed=f"{seed} batches", start=start),
        ]
    if config.compile:
        stages.append(wds.map(in_bucket))
    batches = loaded(stages, recipe, process, augmentation_of(config) if config.augment else None)
    return held_to_ratio(batches, config, sum(plan.num_samples for plan in shards.plans) // process.num_ranks)


def validation_batches(shards: Shards, recipe: Recipe, process: Process) -> Iterator[Batch]:
    """This rank's part of the validation samples, each once over all ranks, padded as the Reader pads them.

    With indexes every rank is given the same number of batches; those of weight 0 are not to be counted.
    """
    config = recipe.config
    if shards.plans:
        (plan,) = shards.plans
        planned = partial(validation_plan, plan, config.batch_size)
        stages: list[Any] = [partial(read_batches, planned, [plan], process, config, cache_of(config, [plan]))]
    else:
        stages = [
            partial(all_shards, shards.urls),
            partial(tar_samples, num_samples=shards.num_samples),
            partial(every_nth, process=process),
            partial(same_widths, recipe=recipe.for_validation()),
        ]
    batches = loaded(stages, recipe, process, None)
    return held_to_ratio(batches, config, sum(plan.num_samples for plan in shards.plans) // process.num_ranks)


def read_batches(
    planned: Planned, plans: Sequence[Plan], process: Process, config: Config, cache: Cache | None
) -> Iterator[ReadBatch]:
    """The first stage: what to read is computed here, in the loader worker that reads it."""
    reader, count_bad = this_reader(process), config.on_bad_sample == "count"
    batches = planned(reader)
    if not are_remote(plans):
        return indexed_batches(batches, plans, OpenShards().read, count_bad)
    shards = RemoteShards(plans, reader.num_ranks * reader.num_workers, cache)
    return indexed_batches(shards.ahead(batches), plans, shards.read, count_bad)


def are_remote(plans: Sequence[Plan]) -> bool:
    return any(isinstance(shard, Url) for plan in plans for shard in plan.shards[:1])


def cache_of(config: Config, plans: Sequence[Plan]) -> Cache | None:
    """Of shards behind URLs, where the config names one. Raises UsageError where it cannot be made."""
    if not config.cache_dir or not are_remote(plans):
        return None
    return Cache(Path(config.cache_dir), int(config.cache_gb * 1e9))


def loaded(
    stages: Sequence[Any], recipe: Recipe, process: Process, augmentation: Augmentation | None
) -> Iterator[Batch]:
    """Run a pipeline in loader workers; an error inside one ends the run with its own line."""
    cv2.setNumThreads(1)  # many readers share the cores
    workers, pinned = recipe.config.workers, process.device.type == "cuda"
    slots = Slots(workers) if workers and START_METHOD else None
    pipeline = wds.DataPipeline(
        *stages,
        partial(to_batches, recipe=recipe, augmentation=augmentation),
        *([partial(placed, slots=slots)] if slots else []),
        carry_errors,
    )
    loader = wds.WebLoader(
        pipeline,
        batch_size=None,
        collate_fn=as_it_is,  # the default walks through every list and makes lists of tuples
        num_workers=workers,
        multiprocessing_context=START_METHOD if workers else None,
        worker_init_fn=leave_stopping_to_the_run,
    )
    for item in loader:
        if isinstance(item, Exception):
            raise item
        batch = taken(item, slots, pinned) if slots else item
        yield batch.pinned() if pinned else batch


def placed(batches: Iterable[Batch], slots: Slots) -> Iterator[tuple[Placed | np.ndarray, Batch]]:
    """Hand the patches of each batch over by a slot (handover.py)."""
    info = torch.utils.data.get_worker_info()
    assert info, "slots are for loader workers"
    for batch in batches:
        yield slots.place(info.id, batch.patches.numpy()), batch._replace(patches=NO_PATCHES)


def taken(item: tuple[Placed | np.ndarray, Batch], slots: Slots, pinned: bool) -> Batch:
    place, batch = item
    return batch._replace(patches=slots.take(place, pinned))


def as_it_is(batch: Batch) -> Batch:
    return batch


def held_to_ratio(batches: Iterable[Batch], config: Config, num_samples: int) -> Iterator[Batch]:
    """Pass batches through until more samples are damaged than `max_bad_ratio` allows: a DataError.

    The ratio is of this rank's samples of an epoch, or of those read so far if they are more.
    """
    num_bad, num_read = 0, 0
    for batch in batches:
        bad = batch.fates.get(BAD, 0)
        num_bad, num_read = num_bad + bad, num_read + len(batch.keys) + bad
        if num_bad > config.max_bad_ratio * max(num_samples, num_read):
            raise DataError(
                f"{num_bad:,} of {num_read:,} samples are damaged, more than max_bad_ratio: "
                f"{config.max_bad_ratio} allows; build the shards named above again"
            )
        yield batch


def fitted_patch(
    sample: EncodedSample, width: int, recipe: Recipe, augmentation: Augmentation | None
) -> np.ndarray | None:
    """A sample's patch at img_height, no wider than `width`; None where it is damaged, which is said on stderr."""
    if sample.patch is None:
        return None
    config = recipe.config
    decoded = decode_patch(sample.patch, config.rgb)
    if decoded is not None:
        if augmentation:
            varied = augment(decoded, augmentation, config.seed, number_of(sample.key), sample.epoch)
            if (fitted := recipe.patch(varied)).shape[1] <= width:
                return fitted  # another box may, though seldom, make a tall patch wider than its batch
        if (fitted := recipe.patch(decoded)).shape[1] <= width:
            return fitted
    fault = "no readable patch" if decoded is None else "its patch is wider than its header says"
    name_bad(sample.shard, sample.key, fault, config.on_bad_sample == "count")
    return None


def widened(
    planned: Callable[[Reader], Iterator[PlannedBatch]], config: Config, reader: Reader
) -> Iterator[PlannedBatch]:
    """Batches with the room that varied patches take, and with padding as the Reader's own batches have it.

    `augment` makes no patch wider than the Reader pads the one it was given, which is to less than the next whole
    multiple of the height above its own width.
    """
    augmentation = augmentation_of(config)
    for batch in planned(reader):
        cursor = batch.cursors[0]
        room = (batch.width // config.img_height + 1) * config.img_height
        extra = extra_padding(augmentation, config.seed, cursor.batch, cursor.epoch, config.img_height)
        yield batch._replace(width=room + extra)


def in_bucket(read: ReadBatch) -> ReadBatch:
    planned, samples = read
    return planned._replace(width=WIDTH_BUCKETS[bisect_left(WIDTH_BUCKETS, planned.width)]), samples


def decode_patch(encoded: bytes | memoryview, rgb: bool) -> np.ndarray | None:
    """Grey uint8 (h, w), or color (h, w, 3) in RGB order; None for what is no image."""
    flag = cv2.IMREAD_COLOR if rgb else cv2.IMREAD_GRAYSCALE
    patch = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    return patch[:, :, ::-1] if rgb and patch is not None else patch


def to_batches(batches: Iterable[ReadBatch], recipe: Recipe, augmentation: Augmentation | None) -> Iterator[Batch]:
    cv2.setNumThreads(1)  # in workers that are no forks
    for planned, samples in batches:
        yield to_batch(planned, samples, recipe, augmentation)


def to_batch(
    planned: PlannedBatch, samples: Sequence[EncodedSample], recipe: Recipe, augmentation: Augmentation | None
) -> Batch:
    """One array, filled row by row as the patches come, the last column of each repeated.

    What is refused, which only validation looks at, has no classes. Where all samples are damaged, one blank row of
    weight 0 keeps the ranks in step.
    """
    config = recipe.config
    color = (3,) if config.rgb else ()
    patches = np.empty((planned.size, config.img_height, planned.width, *color), dtype=np.uint8)
    keys: list[str] = []
    shards: list[str] = []
    texts: list[str] = []
    targets: list[list[int]] = []
    for sample in samples:
        patch = fitted_patch(sample, planned.width, recipe, augmentation)
        if patch is None:
            continue
        row, width = patches[len(keys)], patch.shape[1]
        row[:, :width] = patch
        row[:, width:] = patch[:, -1:]
        text = recipe.text(sample.text)
        keys.append(sample.key)
        shards.append(str(sample.shard))
        texts.append(text)
        targets.append(recipe.charset.encode(recipe.target(text)) if sample.trained else [])
    num_bad = planned.size - len(keys)
    if not keys:
        patches[:1] = 255
    return Batch(
        patches=torch.from_numpy(patches[: max(1, len(keys))]),
        targets=padded(targets or [[]]),
        target_lengths=torch.from_numpy(np.array([len(classes) for classes in targets or [[]]], np.int64)),
        keys=keys,
        shards=shards,
        texts=texts,
        number=planned.number,
        weight=planned.weight * len(keys) / planned.size,
        cursors=planned.cursors,
        fates=planned.fates | ({BAD: num_bad} if num_bad and planned.weight else {}),
    )


def padded(targets: Sequence[list[int]]) -> torch.Tensor:
    """int64 (B, L), rows filled up with zeros; L is at least 1."""
    array = np.zeros((len(targets), max(1, *map(len, targets))), dtype=np.int64)
    for row, classes in zip(array, targets, strict=True):
        row[: len(classes)] = classes
    return torch.from_numpy(array)


def carry_errors(batches: Iterable[Batch]) -> Iterator[Batch | DataError | UsageError]:
    """Hand an error over as the last item: torch's loader would bury its line in a worker's traceback."""
    try:
        yield from batches
    except (DataError, UsageError) as error:
        yield error
    except (OSError, ValueError, tarfile.TarError) as error:  # webdataset appends the shard's path to the arguments
        yield DataError(f"{error.args[-1]}: the shard cannot be read ({error.args[0]}); build it again")
