"""Shards -> batches, as a WebDataset pipeline.

    1. training_shards | all_shards    {"url": path}                which shards this reader reads, in which order
    2. wds.tarfile_to_samples          {"__key__", "jpg", "txt"}    bytes
    3. wds.shuffle | own_samples       the same                     shuffled (training) | this reader's (validation)
    4. to_examples                     Example                      patch uint8 (H, w), text, classes or a refusal
    5. mixed_batches | even_batches    Batch                        patches uint8 (B, H, W), targets int64 (B, L)

A reader is one loader worker of one rank. Training is endless: the shards of epoch 0, 1, 2, … follow one another, each
epoch permuted by (seed, epoch), and are dealt to the readers in turn. So no reader starves however few shards there
are, no rank ends before another, and an epoch deals a reader other shards than the one before. Validation deals
samples, so that each is read exactly once over all readers.
"""

from __future__ import annotations

import random
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import count, groupby, islice
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np
import torch
import webdataset as wds

from ocr.charset import Charset
from ocr.config import Config
from ocr.errors import DataError
from ocr.network import network_of
from ocr.patch import fit, pad_batch, reader_width, stretch
from trainer.distributed import Process

SHUFFLE_SAMPLES = 5_000  # encoded, 3 to 4 KB each
WINDOW_BATCHES = 32  # samples of this many batches are sorted by width and cut into batches of similar width
HOPELESS_SAMPLES = 50_000  # this many refused in a row, and nothing in the shards fits the config
WIDEST_BATCH = 640  # validation batches wider than this get smaller, so that their memory does not grow

USED = "used"


class Recipe(msgspec.Struct, frozen=True):
    """What decides which samples are used and how they look: the config and the alphabet it names."""

    config: Config
    charset: Charset

    def text(self, text: str) -> str:
        """The text that readings are compared with: lower case unless `sensitive`."""
        return text if self.config.sensitive else text.lower()

    def target(self, text: str) -> str:
        """The text that is trained: with `data_filtering_off` only the characters that the alphabet holds."""
        if not self.config.data_filtering_off:
            return text
        return "".join(character for character in text if character in self.charset.class_of)

    def patch(self, patch: np.ndarray) -> tuple[np.ndarray, int]:
        """(patch at img_height, the width it is padded to): in its own shape with `PAD`, stretched without."""
        config = self.config
        if not config.PAD:
            return stretch(patch, config.img_height, config.img_width), config.img_width
        return fit(patch, config.img_height, config.contrast_adjust), reader_width(patch, config.img_height)

    def refusal(self, key: str, target: str, width: int) -> str | None:
        """Why a sample is not trained on; None if it is."""
        config = self.config
        if zlib.crc32(key.encode()) >= config.total_data_usage_ratio * 2**32:
            return "left out by total_data_usage_ratio"
        if not config.data_filtering_off and self.charset.missing(target):
            return "character outside the alphabet"
        if not config.data_filtering_off and len(target) > config.batch_max_length:
            return "longer than batch_max_length"
        if width > config.img_width:
            return "wider than img_width"
        if not target:
            return "no character of the alphabet"
        if not network_of(config).can_write(target, width):
            return "too narrow for its text"
        return None


class Example(NamedTuple):
    """One sample as the network will see it, but for the padding up to `width` or more.

    `classes` is what it is trained on; empty for a sample that is refused, which only validation looks at.
    """

    key: str
    text: str
    patch: np.ndarray
    width: int
    classes: list[int]
    fate: str


class Batch(NamedTuple):
    """What a step takes: patches uint8 (B, H, W[, 3]), targets int64 (B, L) padded with zeros, target_lengths (B,).

    `fates` counts, by reason, every sample that the reader met since its last batch.
    """

    patches: torch.Tensor
    targets: torch.Tensor
    target_lengths: torch.Tensor
    keys: list[str]
    texts: list[str]
    fates: dict[str, int]


def training_batches(shards: Sequence[str], recipe: Recipe, process: Process, start: int) -> Iterator[Batch]:
    """Endless training batches for this rank, `batch_size / num_ranks` samples each.

    `start` is the iteration the run starts at: a resumed run draws a new order instead of the first one again.
    """
    config = recipe.config
    seed = f"{config.seed} {start}"
    pipeline = wds.DataPipeline(
        partial(training_shards, shards, seed, process),
        wds.tarfile_to_samples(),
        wds.shuffle(SHUFFLE_SAMPLES, initial=SHUFFLE_SAMPLES, rng=random.Random(f"{seed} samples")),
        partial(to_examples, recipe=recipe),
        partial(mixed_batches, size=config.batch_size // process.num_ranks, seed=f"{seed} batches"),
        carry_errors,
    )
    return loaded(pipeline, config.workers, process)


def validation_batches(shards: Sequence[str], recipe: Recipe, process: Process) -> Iterator[Batch]:
    """This rank's part of the validation samples, every one of them, padded as the Reader pads them."""
    recipe = msgspec.structs.replace(recipe, config=msgspec.structs.replace(recipe.config, total_data_usage_ratio=1.0))
    pipeline = wds.DataPipeline(
        partial(all_shards, shards),
        wds.tarfile_to_samples(),
        partial(own_samples, process=process),
        partial(to_examples, recipe=recipe),
        partial(even_batches, size=recipe.config.batch_size),
        carry_errors,
    )
    return loaded(pipeline, recipe.config.workers, process)


def loaded(pipeline: wds.DataPipeline, workers: int, process: Process) -> Iterator[Batch]:
    """Run a pipeline in loader workers; an error inside one ends the run with its own line."""
    pin = process.device.type == "cuda"
    for batch in wds.WebLoader(pipeline, batch_size=None, num_workers=workers, pin_memory=pin):
        if isinstance(batch, Exception):
            raise batch
        yield batch


def reader(process: Process) -> tuple[int, int]:
    """(this reader, how many readers there are) over all workers of all ranks."""
    worker = torch.utils.data.get_worker_info()
    index, num_workers = (worker.id, worker.num_workers) if worker else (0, 1)
    return process.rank * num_workers + index, process.num_ranks * num_workers


def training_shards(shards: Sequence[str], seed: str, process: Process) -> Iterator[dict[str, str]]:
    index, num_readers = reader(process)
    endless = (shard for epoch in count() for shard in permuted(shards, f"{seed} {epoch}"))
    for shard in islice(endless, index, None, num_readers):
        yield {"url": shard}


def permuted(shards: Sequence[str], seed: str) -> list[str]:
    return random.Random(seed).sample(shards, len(shards))


def all_shards(shards: Sequence[str]) -> Iterator[dict[str, str]]:
    for shard in shards:
        yield {"url": shard}


def own_samples(samples: Iterable[dict[str, Any]], process: Process) -> Iterator[dict[str, Any]]:
    index, num_readers = reader(process)
    return islice(samples, index, None, num_readers)


def to_examples(samples: Iterable[dict[str, Any]], recipe: Recipe) -> Iterator[Example]:
    cv2.setNumThreads(1)  # many readers share the cores
    for sample in samples:
        key, place = sample["__key__"], f"{sample['__url__']}: {sample['__key__']}"
        text = recipe.text(decode_text(sample, place))
        target = recipe.target(text)
        patch, width = recipe.patch(decode_patch(sample, place, recipe.config.rgb))
        refusal = recipe.refusal(key, target, width)
        classes = [] if refusal else recipe.charset.encode(target)
        yield Example(key, text, patch, width, classes, refusal or USED)


def decode_text(sample: dict[str, Any], place: str) -> str:
    try:
        return str(sample["txt"], encoding="utf-8")
    except (KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{place}: no readable text ({error}); build the shard again") from error


def decode_patch(sample: dict[str, Any], place: str, rgb: bool) -> np.ndarray:
    """Grey uint8 (h, w), or color (h, w, 3) in RGB order."""
    encoded = np.frombuffer(sample.get("jpg") or sample.get("png") or b"", dtype=np.uint8)
    flag = cv2.IMREAD_COLOR if rgb else cv2.IMREAD_GRAYSCALE
    patch = cv2.imdecode(encoded, flag | cv2.IMREAD_IGNORE_ORIENTATION) if len(encoded) else None
    if patch is None:
        raise DataError(f"{place}: no readable patch; build the shard again")
    return patch[:, :, ::-1] if rgb else patch


def mixed_batches(examples: Iterable[Example], size: int, seed: str) -> Iterator[Batch]:
    """Batches of exactly `size` usable examples of similar width, in random order; refused examples are counted.

    Raises DataError where the shards hold next to nothing that the config can use, instead of reading on for ever.
    """
    order = random.Random(seed)
    window: list[Example] = []
    fates: Counter[str] = Counter()
    refused_in_a_row = 0
    for example in examples:
        fates[example.fate] += 1
        refused_in_a_row = 0 if example.fate == USED else refused_in_a_row + 1
        if refused_in_a_row == HOPELESS_SAMPLES:
            raise DataError(
                f"no sample can be trained on: {dict(fates)}; look at character, batch_max_length, img_width"
            )
        if example.fate != USED:
            continue
        window.append(example)
        if len(window) < size * WINDOW_BATCHES:
            continue
        window.sort(key=lambda example: example.width)
        batches = [window[start : start + size] for start in range(0, len(window), size)]
        order.shuffle(batches)
        for batch in batches:
            yield to_batch(batch, fates)
            fates = Counter()
        window = []


def even_batches(examples: Iterable[Example], size: int) -> Iterator[Batch]:
    """Batches of at most `size` examples that the Reader pads to the same width, every example once."""
    examples = iter(examples)
    while window := list(islice(examples, size * WINDOW_BATCHES)):
        window.sort(key=lambda example: example.width)
        for width, same_width in groupby(window, key=lambda example: example.width):
            fitting = max(1, size * WIDEST_BATCH // max(width, WIDEST_BATCH))
            while batch := list(islice(same_width, fitting)):
                yield to_batch(batch, Counter(example.fate for example in batch))


def to_batch(examples: Sequence[Example], fates: Counter[str]) -> Batch:
    lengths = [len(example.classes) for example in examples]
    targets = np.zeros((len(examples), max(*lengths, 1)), dtype=np.int64)
    for row, example in zip(targets, examples, strict=True):
        row[: len(example.classes)] = example.classes
    width = max(example.width for example in examples)
    return Batch(
        patches=torch.from_numpy(pad_batch([example.patch for example in examples], width)),
        targets=torch.from_numpy(targets),
        target_lengths=torch.tensor(lengths),
        keys=[example.key for example in examples],
        texts=[example.text for example in examples],
        fates=dict(fates),
    )


def carry_errors(batches: Iterable[Batch]) -> Iterator[Batch | DataError]:
    """Hand an error over as the last item: torch's loader would bury its line in a worker's traceback."""
    try:
        yield from batches
    except DataError as error:
        yield error
    except (OSError, ValueError, tarfile.TarError) as error:  # webdataset appends the shard's path to the arguments
        yield DataError(f"{error.args[-1]}: the shard cannot be read ({error.args[0]}); build it again")
