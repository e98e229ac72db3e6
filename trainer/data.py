"""Shards -> batches, as a WebDataset pipeline.

    1. indexed_samples (source.py)     bytes of a patch, its text, and the batch it is planned for
       or tars.py's stages             the same from plain tars, where shards have no index
    2. wds.map(to_example)             Example    patch uint8 (H, w), augmented where the config says so, text, classes
    3. to_batches                      Batch      patches uint8 (B, H, W), targets int64 (B, L)

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
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import webdataset as wds

from ocr.config import Config
from ocr.errors import DataError
from ocr.tars import tar_samples
from trainer.augment import Augmentation, augment, augmentation_of, extra_padding, number_of
from trainer.distributed import Process
from trainer.order import Cursor
from trainer.plan import Plan
from trainer.recipe import Recipe
from trainer.shards import Shards, orders_of
from trainer.source import (
    BAD,
    PlannedBatch,
    Reader,
    indexed_samples,
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
# thread), OpenCV on one thread, and every descriptor is opened by the worker that reads it.
START_METHOD = "fork" if sys.platform == "linux" else None
NO_PIXEL = np.zeros((0, 0), np.uint8)

Planned = Callable[[Reader], Iterator[PlannedBatch]]
"""A reader's batches; computed in the loader worker that reads them."""


class Example(NamedTuple):
    """One sample as the network will see it, but for the padding.

    `classes` is what it is trained on; empty for a sample that is refused, which only validation looks at. `patch` has
    no pixel where the sample is damaged.
    """

    key: str
    text: str
    patch: np.ndarray
    classes: list[int]
    batch: PlannedBatch


class Batch(NamedTuple):
    """What a step takes: patches uint8 (B, H, W[, 3]), targets int64 (B, L) padded with zeros, target_lengths (B,).

    The ranks' parts of one batch have one `number`. `weight` is this part's number of samples over an even share's; 0
    for a part that is not to be counted. `cursors` say where the sources go on behind the batch. `fates` counts what
    was met since the last batch and not known from an index: damaged samples, and all of them in plain tars.
    """

    patches: torch.Tensor
    targets: torch.Tensor
    target_lengths: torch.Tensor
    keys: list[str]
    texts: list[str]
    number: int
    weight: float
    cursors: tuple[Cursor, ...]
    fates: dict[str, int]

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
        stages = [partial(planned_samples, planned, shards.plans, process, config)]
    else:
        start = cursors[0].batch if cursors else 0
        seed = f"{config.seed} {start}"  # a resumed run draws other batches instead of the first ones again
        stages = [
            partial(dealt_shards, shards.urls, seed, process),
            partial(tar_samples, num_samples=shards.num_samples),
            wds.shuffle(SHUFFLE_SAMPLES, initial=SHUFFLE_SAMPLES, rng=random.Random(f"{seed} samples")),
            partial(training_windows, recipe=recipe, process=process, seed=f"{seed} batches", start=start),
        ]
    batches = loaded(stages, recipe, process, augmentation_of(config))
    return held_to_ratio(batches, config, sum(plan.num_samples for plan in shards.plans) // process.num_ranks)


def validation_batches(shards: Shards, recipe: Recipe, process: Process) -> Iterator[Batch]:
    """This rank's part of the validation samples, each once over all ranks, padded as the Reader pads them.

    With indexes every rank is given the same number of batches; those of weight 0 are not to be counted.
    """
    config = recipe.config
    if shards.plans:
        (plan,) = shards.plans
        planned = partial(validation_plan, plan, config.batch_size)
        stages = [partial(planned_samples, planned, [plan], process, config)]
    else:
        stages = [
            partial(all_shards, shards.urls),
            partial(tar_samples, num_samples=shards.num_samples),
            partial(every_nth, process=process),
            partial(same_widths, recipe=recipe.for_validation()),
        ]
    batches = loaded(stages, recipe, process, Augmentation())
    return held_to_ratio(batches, config, sum(plan.num_samples for plan in shards.plans) // process.num_ranks)


def planned_samples(
    planned: Planned, plans: Sequence[Plan], process: Process, config: Config
) -> Iterator[dict[str, Any]]:
    """The first stage: what to read is computed here, in the loader worker that reads it."""
    return indexed_samples(planned(this_reader(process)), plans, count_bad=config.on_bad_sample == "count")


def loaded(stages: Sequence[Any], recipe: Recipe, process: Process, augmentation: Augmentation) -> Iterator[Batch]:
    """Run a pipeline in loader workers; an error inside one ends the run with its own line."""
    pipeline = wds.DataPipeline(
        *stages,
        wds.map(partial(to_example, recipe=recipe, augmentation=augmentation)),
        partial(to_batches, recipe=recipe),
        carry_errors,
    )
    workers = recipe.config.workers
    loader = wds.WebLoader(
        pipeline,
        batch_size=None,
        collate_fn=as_it_is,  # the default walks through every list and makes lists of tuples
        num_workers=workers,
        pin_memory=process.device.type == "cuda",
        multiprocessing_context=START_METHOD if workers else None,
    )
    for batch in loader:
        if isinstance(batch, Exception):
            raise batch
        yield batch


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


def to_example(sample: dict[str, Any], recipe: Recipe, augmentation: Augmentation) -> Example:
    text = recipe.text(sample["text"])
    classes = recipe.charset.encode(recipe.target(text)) if sample["trained"] else []
    patch = NO_PIXEL if sample["bad"] else fitted_patch(sample, recipe, augmentation)
    return Example(sample["__key__"], text, patch, classes, sample["batch"])


def fitted_patch(sample: dict[str, Any], recipe: Recipe, augmentation: Augmentation) -> np.ndarray:
    config, width = recipe.config, sample["batch"].width
    decoded = decode_patch(sample["patch"], config.rgb)
    if decoded is not None:
        varied = augment(decoded, augmentation, config.seed, number_of(sample["__key__"]), sample["epoch"])
        for patch in (varied, decoded):  # another box may, though seldom, make a tall patch wider than its batch
            if (fitted := recipe.patch(patch)).shape[1] <= width:
                return fitted
    fault = "no readable patch" if decoded is None else "its patch is wider than its header says"
    name_bad(sample["__url__"], sample["__key__"], fault, config.on_bad_sample == "count")
    return NO_PIXEL


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


def decode_patch(encoded: bytes, rgb: bool) -> np.ndarray | None:
    """Grey uint8 (h, w), or color (h, w, 3) in RGB order; None for what is no image."""
    flag = cv2.IMREAD_COLOR if rgb else cv2.IMREAD_GRAYSCALE
    patch = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    return patch[:, :, ::-1] if rgb and patch is not None else patch


def to_batches(examples: Iterable[Example], recipe: Recipe) -> Iterator[Batch]:
    cv2.setNumThreads(1)  # many readers share the cores
    examples = iter(examples)
    for first in examples:
        yield to_batch(first.batch, chain([first], islice(examples, first.batch.size - 1)), recipe.config)


def to_batch(planned: PlannedBatch, members: Iterable[Example], config: Config) -> Batch:
    """One array, filled row by row as the patches come, the last column of each repeated.

    Where all members are damaged, one blank row of weight 0 keeps the ranks in step.
    """
    color = (3,) if config.rgb else ()
    patches = np.empty((planned.size, config.img_height, planned.width, *color), dtype=np.uint8)
    keys: list[str] = []
    texts: list[str] = []
    targets: list[list[int]] = []
    for key, text, patch, classes, _ in members:
        if not patch.size:
            continue
        row, width = patches[len(keys)], patch.shape[1]
        row[:, :width] = patch
        row[:, width:] = patch[:, -1:]
        keys.append(key)
        texts.append(text)
        targets.append(classes)
    num_bad = planned.size - len(keys)
    if not keys:
        patches[:1] = 255
    return Batch(
        patches=torch.from_numpy(patches[: max(1, len(keys))]),
        targets=padded(targets or [[]]),
        target_lengths=torch.tensor([len(classes) for classes in targets or [[]]]),
        keys=keys,
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


def carry_errors(batches: Iterable[Batch]) -> Iterator[Batch | DataError]:
    """Hand an error over as the last item: torch's loader would bury its line in a worker's traceback."""
    try:
        yield from batches
    except DataError as error:
        yield error
    except (OSError, ValueError, tarfile.TarError) as error:  # webdataset appends the shard's path to the arguments
        yield DataError(f"{error.args[-1]}: the shard cannot be read ({error.args[0]}); build it again")
