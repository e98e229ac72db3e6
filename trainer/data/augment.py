"""Training patches as other scanners, printers and detectors might have given them.

    ink     bold or thin print                        on paper
    rule    a line of a form                          "
    stamp   a red seal                                "
    shear   a page askew, leaning letters             in the scanner
    crop    another box around the word               in the detector
    blur    out of focus, or moved                    in the scanner
    tone    brightness, contrast, gamma               "
    noise   of the sensor or the paper                "
    jpeg    compression                               in the file

A patch is varied as it is in the shard, before it is fitted to the network's height. Each kind is met by a share of
the patches, and its strength, in [0, 1], says how far it goes; 0 turns it off. What happens to a patch is a pure
function of (strengths, seed, sample, epoch), the same in any worker and rank, and changing the strength of one kind
changes nothing that the others draw.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from ocr.config import Config
from trainer.data.distortions import blur, crop, ink, jpeg, noise, rule, shear, stamp, tone


class Augmentation(msgspec.Struct, frozen=True):
    """The strength of each kind, in the order in which they are applied."""

    ink: float = 0.0
    rule: float = 0.0
    stamp: float = 0.0
    shear: float = 0.0
    crop: float = 0.0
    blur: float = 0.0
    tone: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0


Distortion = Callable[[np.ndarray, float, Sequence[float]], np.ndarray]

STEPS: tuple[tuple[str, float, Distortion], ...] = (
    ("ink", 0.4, ink),
    ("rule", 0.1, rule),
    ("stamp", 0.05, stamp),
    ("shear", 0.2, shear),
    ("crop", 0.5, crop),
    ("blur", 0.2, blur),
    ("tone", 0.3, tone),
    ("noise", 0.3, noise),
    ("jpeg", 0.1, jpeg),
)
"""(kind, share of the patches that meet it, how)"""

NUM_DRAWS = 8  # a kind: one says whether it happens, seven say how


def augmentation_of(config: Config) -> Augmentation:
    """The strengths that a config asks for; all 0 unless its `augment` is on."""
    if not config.augment:
        return Augmentation()
    return Augmentation(*(getattr(config, f"augment_{kind}") for kind in Augmentation.__struct_fields__))


def augment(patch: np.ndarray, strengths: Augmentation, seed: int, sample: int, epoch: int) -> np.ndarray:
    """A patch, uint8 grey (h, w) or RGB (h, w, 3), as it looks in this epoch; the one given is left as it is.

    `sample` is `number_of` its key; the three numbers are below 2**64. The size may change, but
    fitted to the network's height the result is never wider than `reader_width` of the given patch, nor than that by
    more than a tenth. It may be narrower: pad it as far as the given one, on whose width it was decided that CTC can
    write the text.
    """
    if not any(getattr(strengths, kind) for kind, _, _ in STEPS):
        return patch
    patch = np.ascontiguousarray(patch)
    for (kind, share, distort), (gate, *u) in zip(STEPS, draws(seed, sample, epoch), strict=True):
        if (strength := getattr(strengths, kind)) and gate < share:
            patch = distort(patch, strength, u)
    return patch


def number_of(key: str) -> int:
    """A sample's number, whatever shard or data set it lies in."""
    return zlib.crc32(key.encode())


def draws(seed: int, sample: int, epoch: int) -> list[list[float]]:
    """NUM_DRAWS numbers in [0, 1) for each of STEPS, by Philox with the key (seed, sample)."""
    return DICE.rolled((seed, sample), (0, 0, 0, epoch))


class Dice(threading.local):
    """A thread's Philox, turned to another key for each sample: a new one for each costs three times as much."""

    def __init__(self) -> None:
        self.bits = np.random.Philox(key=0)
        self.generator = np.random.Generator(self.bits)
        self.start = self.bits.state  # a copy, and stays that of a Philox that has drawn nothing

    def rolled(self, key: tuple[int, int], counter: tuple[int, int, int, int]) -> list[list[float]]:
        self.start["state"]["key"][:] = key
        self.start["state"]["counter"][:] = counter
        self.bits.state = self.start
        rolled: list[list[float]] = self.generator.random((len(STEPS), NUM_DRAWS)).tolist()
        return rolled


DICE = Dice()
