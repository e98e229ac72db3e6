"""A batch that was read -> what a step takes: patches in one array, texts as classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from ocr.charset import Charset
from ocr.patch import stretch
from trainer.data.augment import Augmentation, augment, number_of
from trainer.data.indexed_reader import BAD, EncodedSample, PlannedBatch, ReadBatch, name_bad
from trainer.data.sample_filter import Recipe
from trainer.data.sample_order import Cursor

NO_PATCHES = torch.zeros(0, dtype=torch.uint8)
GREY, COLOR = (flag | cv2.IMREAD_IGNORE_ORIENTATION for flag in (cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR))
Empty = Callable[[tuple[int, ...]], np.ndarray]


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


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """Room for patches."""
    return np.empty(shape, np.uint8)


def decode_patch(encoded: bytes | memoryview, rgb: bool) -> np.ndarray | None:
    """Grey uint8 (h, w), or color (h, w, 3) in RGB order; None for what is no image."""
    patch = cv2.imdecode(np.frombuffer(encoded, np.uint8), COLOR if rgb else GREY)
    return patch[:, :, ::-1] if rgb and patch is not None else patch


def to_batches(
    batches: Iterable[ReadBatch], recipe: Recipe, augmentation: Augmentation | None, empty: Empty
) -> Iterator[Batch]:
    """The patches of each are written into what `empty` gives."""
    cv2.setNumThreads(1)  # in workers that are no forks
    for planned, samples in batches:
        yield to_batch(planned, samples, recipe, augmentation, empty)


def to_batch(
    planned: PlannedBatch,
    samples: Sequence[EncodedSample],
    recipe: Recipe,
    augmentation: Augmentation | None,
    empty: Empty,
) -> Batch:
    """One array, a row a patch, the last column of each repeated.

    All patches are decoded before the first is scaled: a step for all samples after another runs a twentieth faster
    than all steps for a sample after another, because the code of one step stays in the processor's cache.

    What is refused, which only validation looks at, has no classes. Where all samples are damaged, one blank row of
    weight 0 keeps the ranks in step.
    """
    config = recipe.config
    color = (3,) if config.rgb else ()
    patches = empty((planned.size, config.img_height, planned.width, *color))
    decoded = [None if sample.patch is None else decode_patch(sample.patch, config.rgb) for sample in samples]
    whole: list[EncodedSample] = []
    for sample, patch in zip(samples, decoded, strict=True):
        if write_patch(patches[len(whole)], patch, sample, recipe, augmentation):
            whole.append(sample)
    num_bad = planned.size - len(whole)
    if not whole:
        patches[:1] = 255
    texts = [recipe.text(sample.text) for sample in whole]
    taught = [text if sample.trained else "" for text, sample in zip(texts, whole, strict=True)]
    targets, target_lengths = encoded(taught or [""], recipe.charset)
    return Batch(
        patches=torch.from_numpy(patches[: max(1, len(whole))]),
        targets=torch.from_numpy(targets),
        target_lengths=torch.from_numpy(target_lengths),
        keys=[sample.key for sample in whole],
        shards=[str(sample.shard) for sample in whole],
        texts=texts,
        number=planned.number,
        weight=planned.weight * len(whole) / planned.size,
        cursors=planned.cursors,
        fates=planned.fates | ({BAD: num_bad} if num_bad and planned.weight else {}),
    )


def write_patch(
    row: np.ndarray, patch: np.ndarray | None, sample: EncodedSample, recipe: Recipe, augmentation: Augmentation | None
) -> bool:
    """Write a sample's decoded patch into its row of a batch; False where it is damaged, which is said on stderr."""
    if sample.patch is None:
        return False  # and was said
    config = recipe.config
    if patch is not None:
        if augmentation:
            varied = augment(patch, augmentation, config.seed, number_of(sample.key), sample.epoch)
            if recipe.fit_into(row, varied) > row.shape[1]:
                row[:] = stretch(varied, *row.shape[:2])  # narrower by a tenth at most
            return True
        if recipe.fit_into(row, patch) <= row.shape[1]:
            return True
    fault = "no readable patch" if patch is None else "its patch is wider than its header says"
    name_bad(sample.shard, sample.key, fault, config.on_bad_sample == "count")
    return False


def encoded(texts: Sequence[str], charset: Charset) -> tuple[np.ndarray, np.ndarray]:
    """The classes of texts, int64 (B, L), rows filled up with zeros, L at least 1; and their lengths, int64 (B,).

    Characters outside the alphabet have none: what holds one was refused, or `data_filtering_off` drops it.
    """
    classes = charset.class_table[np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)]
    lengths = np.array([len(text) for text in texts], np.int64)
    if not classes.all():
        rows = np.repeat(np.arange(len(texts)), lengths)
        lengths, classes = np.bincount(rows[classes > 0], minlength=len(texts)), classes[classes > 0]
    targets = np.zeros((len(texts), max(1, int(lengths.max()))), np.int64)
    targets[np.arange(targets.shape[1]) < lengths[:, None]] = classes
    return targets, lengths
