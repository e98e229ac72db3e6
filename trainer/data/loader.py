"""Shards -> batches, as a WebDataset pipeline.

    1. indexed_batches (source.py)     ReadBatch  the samples of a planned batch, still bytes; from disk, or from a
                                       server ahead of the batches (remote.py)
       or tars.py's stages             the same from plain tars, where shards have no index
    2. with_padding (padding.py)       ReadBatch  the same, some batches as wide as the Reader would make them
    3. to_batches (batch.py)           Batch      patches uint8 (B, H, W), augmented where the config says so, targets
                                       int64 (B, L)
    4. in_turns                        Batches    what a loader worker hands over at a time (handover.py)

With indexes everything is decided before a shard is opened (plan.py, order.py), and every reader computes its own part
of it: the batches of a run depend on nothing but the shards, the config and the seed.
"""

from __future__ import annotations

import random
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import webdataset as wds

from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.plumbing.memory import keep_freed_memory, spare_what_was_imported
from ocr.remote.locations import Url
from ocr.remote.shard_cache import Cache
from ocr.shards.tar_reader import tar_samples
from trainer.data.augment import Augmentation, augmentation_of
from trainer.data.batch import NO_PATCHES, Batch, empty, to_batches
from trainer.data.data_sources import Shards, orders_of
from trainer.data.indexed_reader import (
    BAD,
    OpenShards,
    PlannedBatch,
    ReadBatch,
    Reader,
    indexed_batches,
    this_reader,
    training_plan,
    validation_plan,
)
from trainer.data.padding import with_padding
from trainer.data.plain_tars import (
    SHUFFLE_SAMPLES,
    all_shards,
    dealt_shards,
    every_nth,
    same_widths,
    training_windows,
)
from trainer.data.remote_shards import RemoteShards
from trainer.data.sample_filter import Recipe
from trainer.data.sample_order import Cursor, mean_batch_size
from trainer.data.sample_table import Plan
from trainer.data.shared_slots import Placed, Slots, batches_a_turn
from trainer.ranks.process_group import Process
from trainer.ranks.stop_signals import leave_stopping_to_the_run

# Workers are forked: they share the plan's arrays, and the first batch comes after 0.3 s, each validation again; with
# spawn after 8 s, with forkserver after 6.5 s and then 0.2 s (two busy cores). A fork takes none of this process's
# threads along, and a worker leaves alone what their locks could block: no GPU, no OpenMP (torch gives a worker one
# thread), and every descriptor is opened by the worker that reads it. OpenCV's threads are put down before the fork:
# a worker that did it would wait for ever for those it does not have.
START_METHOD = "fork" if sys.platform == "linux" else None
Planned = Callable[[Reader], Iterator[PlannedBatch]]
"""A reader's batches; computed in the loader worker that reads them."""


def training_batches(
    shards: Shards, recipe: Recipe, process: Process, cursors: Sequence[Cursor] = ()
) -> Iterator[Batch]:
    """Endless training batches, `batch_size` samples over all ranks, from `cursors` on (from the first without any)."""
    config = recipe.config
    orders = orders_of(shards.plans, config) if shards.plans else []
    batch_size = sum(map(mean_batch_size, orders)) or config.batch_size  # batch_pixels may say another
    turn = batches_a_turn(-(-batch_size // process.num_ranks))
    if orders:
        cursors = cursors or [Cursor()] * len(shards.plans)
        planned: Planned = partial(training_plan, orders, cursors)
        stages: list[Any] = [
            partial(read_batches, planned, shards.plans, process, turn, config, cache_of(config, shards.plans))
        ]
    else:
        start = cursors[0].batch if cursors else 0
        seed = f"{config.seed} {start}"  # a resumed run draws other batches instead of the first ones again
        stages = [
            partial(dealt_shards, shards.urls, seed, process),
            partial(tar_samples, num_samples=shards.num_samples),
            wds.shuffle(SHUFFLE_SAMPLES, initial=SHUFFLE_SAMPLES, rng=random.Random(f"{seed} samples")),
            partial(training_windows, recipe=recipe, process=process, turn=turn, seed=f"{seed} batches", start=start),
        ]
    stages.append(wds.map(partial(with_padding, config=config)))
    batches = loaded(stages, recipe, process, turn, augmentation_of(config) if config.augment else None)
    return held_to_ratio(batches, config, sum(plan.num_samples for plan in shards.plans) // process.num_ranks)


def validation_batches(shards: Shards, recipe: Recipe, process: Process) -> Iterator[Batch]:
    """This rank's part of the validation samples, each once over all ranks, padded as the Reader pads them.

    With indexes every rank is given the same number of batches; those of weight 0 are not to be counted.
    """
    config = recipe.config
    turn = batches_a_turn(config.batch_size)
    if shards.plans:
        (plan,) = shards.plans
        planned = partial(validation_plan, plan, config.batch_size)
        stages: list[Any] = [partial(read_batches, planned, [plan], process, turn, config, cache_of(config, [plan]))]
    else:
        stages = [
            partial(all_shards, shards.urls),
            partial(tar_samples, num_samples=shards.num_samples),
            partial(every_nth, process=process),
            partial(same_widths, recipe=recipe.for_validation()),
        ]
    batches = loaded(stages, recipe, process, turn, None)
    return held_to_ratio(batches, config, sum(plan.num_samples for plan in shards.plans) // process.num_ranks)


def read_batches(
    planned: Planned, plans: Sequence[Plan], process: Process, turn: int, config: Config, cache: Cache | None
) -> Iterator[ReadBatch]:
    """The first stage: what to read is computed here, in the loader worker that reads it."""
    reader, count_bad = this_reader(process, turn), config.on_bad_sample == "count"
    batches = planned(reader)
    if not are_remote(plans):
        return indexed_batches(batches, plans, OpenShards(plans).read, count_bad)
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
    stages: Sequence[Any], recipe: Recipe, process: Process, turn: int, augmentation: Augmentation | None
) -> Iterator[Batch]:
    """Run a pipeline in loader workers, `turn` batches at a time; an error in one ends the run with its own line."""
    cv2.setNumThreads(1)  # many readers share the cores
    workers, pinned = recipe.config.workers, process.device.type == "cuda"
    slots = Slots(workers) if workers and START_METHOD else None
    pipeline = wds.DataPipeline(
        *stages,
        partial(to_batches, recipe=recipe, augmentation=augmentation, empty=slots.empty if slots else empty),
        partial(in_turns, turn=turn if workers else 1, slots=slots),
    )
    loader = wds.WebLoader(
        pipeline,
        batch_size=None,
        collate_fn=as_it_is,  # the default walks through every list and makes lists of tuples
        num_workers=workers,
        multiprocessing_context=START_METHOD if workers else None,
        worker_init_fn=begin_worker,
    )
    for item in chain.from_iterable(loader):
        if isinstance(item, Exception):
            raise item
        batch = taken(item, slots) if slots else item
        yield batch.pinned() if pinned else batch


def begin_worker(number: int) -> None:
    leave_stopping_to_the_run(number)
    keep_freed_memory()
    spare_what_was_imported()


def in_turns(batches: Iterable[Batch], turn: int, slots: Slots | None) -> Iterator[list[Any]]:
    """What a worker hands over at a time: `turn` batches, with `slots` (where their patches lie, the rest of each).

    An error is the last item: torch's loader would bury its line in a worker's traceback.
    """
    items = carry_errors(batches)
    while some := list[Any](islice(items, turn)):
        if slots:
            some = [placed(item, slots) if isinstance(item, Batch) else item for item in some]
            slots.close()
        yield some
        del some  # or patches that found no slot would stay until the next turn is made


def placed(batch: Batch, slots: Slots) -> tuple[Placed | np.ndarray, Batch]:
    return slots.place(batch.patches.numpy()), batch._replace(patches=NO_PATCHES)


def taken(item: tuple[Placed | np.ndarray, Batch], slots: Slots) -> Batch:
    place, batch = item
    return batch._replace(patches=slots.take(place))


def as_it_is(turn: list[Any]) -> list[Any]:
    return turn


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


def carry_errors(batches: Iterable[Batch]) -> Iterator[Batch | DataError | UsageError]:
    """Hand an error over as the last item: torch's loader would bury its line in a worker's traceback."""
    try:
        yield from batches
    except (DataError, UsageError) as error:
        yield error
    except (OSError, ValueError, tarfile.TarError) as error:  # webdataset appends the shard's path to the arguments
        yield DataError(f"{error.args[-1]}: the shard cannot be read ({error.args[0]}); build it again")
