"""How well the model reads the validation set: every word once, over all ranks."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from heapq import nsmallest

import msgspec
import numpy as np
import torch

from ocr.cer import TextCounts
from ocr.decoding.beam_search import BeamSearch
from ocr.decoding.decode import read_features
from ocr.errors import DataError
from ocr.networks.architectures import RecognitionNetwork
from ocr.patch import to_input
from trainer.data.batch import Batch
from trainer.data.sample_filter import Recipe
from trainer.optimizer import loss_of, taught
from trainer.ranks.process_group import Process, gathered
from trainer.step import computes_in_bfloat16

WORST_WORDS = 24  # are kept to be looked at


class Reading(msgspec.Struct, frozen=True):
    """One validation word and how it was read."""

    key: str
    reference: str
    prediction: str
    confidence: float


class Misread(msgspec.Struct, frozen=True):
    """A word that was read wrong, as the network was shown it: uint8 (H, W) or (H, W, 3)."""

    likeness: float  # 1 - edits / max(length)
    reading: Reading
    patch: np.ndarray


class Sums(msgspec.Struct):
    """Sums over the words of one batch, or of all batches in their order: equal to the last digit for any ranks.

    `texts` counts every word; `sum_loss` and `num_losses` only those that the alphabet can write and CTC can align,
    because no loss is defined for the others.
    """

    number: int = 0
    texts: TextCounts = msgspec.field(default_factory=TextCounts)
    sum_loss: float = 0.0
    num_losses: int = 0

    def merge(self, other: Sums) -> None:
        self.texts.merge(other.texts)
        self.sum_loss += other.sum_loss
        self.num_losses += other.num_losses


class Validation(msgspec.Struct):
    """What one rank found, batch by batch, or all of them once they are merged.

    `fates` counts what the indexes had not told: damaged samples, and all of them in plain tars.
    """

    batches: list[Sums] = msgspec.field(default_factory=list)
    fates: dict[str, int] = msgspec.field(default_factory=dict)
    examples: list[Reading] = msgspec.field(default_factory=list)
    worst: list[Misread] = msgspec.field(default_factory=list)
    sums: Sums = msgspec.field(default_factory=Sums)

    @property
    def loss(self) -> float:
        return self.sums.sum_loss / self.sums.num_losses if self.sums.num_losses else float("nan")

    @property
    def accuracy(self) -> float:
        """Percent of words read without a fault, of all words."""
        return 100 * (self.sums.texts.accuracy or 0.0)

    @property
    def cer(self) -> float | None:
        return self.sums.texts.cer

    @property
    def norm_ed(self) -> float:
        """The seed's "normalized edit distance": mean over the words of 1 - edits / max(length)."""
        return self.sums.texts.one_minus_ned or 0.0


def validate(
    model: RecognitionNetwork,
    batches: Iterable[Batch],
    recipe: Recipe,
    process: Process,
    iteration: int,
    beam: BeamSearch | None = None,
) -> Validation:
    """Read this rank's validation batches and merge the sums of all ranks; leaves the model in evaluation mode.

    `show_number` examples are drawn by (iteration, key), so they change from one validation to the next and do not
    depend on the number of ranks. Raises DataError for a validation set without a word.
    """
    own = Validation()
    model.eval()
    for batch in batches:
        read_batch(model, batch, recipe, process, own, iteration, beam)
    merged = merge(gathered(own, process), recipe.config.show_number, iteration)
    if not merged.sums.texts.num_pairs:
        raise DataError(f"{recipe.config.val_data}: holds no word to validate on; build more validation pages")
    return merged


@torch.inference_mode()
def read_batch(
    model: RecognitionNetwork,
    batch: Batch,
    recipe: Recipe,
    process: Process,
    own: Validation,
    iteration: int,
    beam: BeamSearch | None,
) -> None:
    with torch.autocast(
        process.device.type, torch.bfloat16, enabled=computes_in_bfloat16(recipe.config, process.device)
    ):  # as in training: in float32 a validation would take as long as twice the words
        features_BTD = model.features(to_input(batch.patches.to(process.device)))
        logits_BTC = model.predict(features_BTD).float()
    features_BTD = features_BTD.float()
    own.fates = dict(Counter(own.fates) + Counter(batch.fates))
    if not batch.weight:
        return  # it was read to keep the ranks in step
    sums = Sums(batch.number)
    trained = (batch.target_lengths > 0).to(process.device)
    if num_losses := int(trained.sum()):
        targets, lengths = batch.targets.to(process.device)[trained], batch.target_lengths.to(process.device)[trained]
        told = taught(recipe.config, targets)
        answers = logits_BTC[trained] if told is None else model.predict(features_BTD[trained], told)
        loss = loss_of(recipe.config, answers, targets, lengths)
        sums.sum_loss, sums.num_losses = float(loss) * num_losses, num_losses
    read = read_features(model, features_BTD, logits_BTC, recipe.charset, beam)
    readings = [Reading(key, text, *found) for key, text, found in zip(batch.keys, batch.texts, read, strict=True)]
    edits = sums.texts.add_all(batch.texts, [reading.prediction for reading in readings])
    own.batches.append(sums)
    own.examples = drawn(own.examples + readings, recipe.config.show_number, iteration)
    own.worst = worst_of(own.worst + misread(readings, edits, batch.patches.numpy()))


def drawn(readings: list[Reading], number: int, iteration: int) -> list[Reading]:
    return nsmallest(number, readings, key=lambda reading: zlib.crc32(f"{iteration} {reading.key}".encode()))


def misread(readings: list[Reading], edits: list[int], patches: np.ndarray) -> list[Misread]:
    """The worst of a batch; their pixels are copied, so that the batch can go."""
    found = [
        Misread(1 - number / max(len(reading.reference), len(reading.prediction)), reading, patch)
        for reading, number, patch in zip(readings, edits, patches, strict=True)
        if number
    ]
    return [msgspec.structs.replace(word, patch=word.patch.copy()) for word in worst_of(found)]


def worst_of(words: list[Misread]) -> list[Misread]:
    """The least like their texts, the surest first."""
    return nsmallest(WORST_WORDS, words, key=lambda word: (word.likeness, -word.reading.confidence, word.reading.key))


def merge(parts: list[Validation], show_number: int, iteration: int) -> Validation:
    merged = Validation()
    for sums in sorted((sums for part in parts for sums in part.batches), key=lambda sums: sums.number):
        merged.sums.merge(sums)
    merged.fates = dict(sum((Counter(part.fates) for part in parts), Counter[str]()))
    merged.examples = drawn([reading for part in parts for reading in part.examples], show_number, iteration)
    merged.worst = worst_of([word for part in parts for word in part.worst])
    return merged
