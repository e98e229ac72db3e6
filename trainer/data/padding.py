"""How wide a training batch is: as its widest sample, and now and then as the Reader would pad it.

The Reader pads every word: one alone by 1 to `img_height` pixels, to the next whole multiple of the height, and on a
GPU all words of a page to the widest. A network that was shown next to no padding writes marks into it: of the
quickstart's validation words it reads 19 %, 65 % if one batch in eight is padded, 77 % if one in four is.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from ocr.config import Config
from trainer.data.indexed_reader import PlannedBatch, ReadBatch
from trainer.data.sample_order import PADDING, WIDTH_STEP, draws, rounded_up

PADDED_SHARE = 1 / 4  # of the batches are padded as the Reader pads a word alone …
PAGE_SHARE = 1 / 200  # … and of these some further, by up to PAGE_HEIGHTS heights, as it pads those of a page
PAGE_HEIGHTS = 8

WIDTH_BUCKETS = [WIDTH_STEP * math.ceil(16 * 2 ** (third / 3)) for third in range(25)]
"""64, 84, 104, 128, … 16,384: the widths of batches for a compiled network, which is compiled anew for each."""


def with_padding(read: ReadBatch, config: Config) -> ReadBatch:
    """A batch as wide as it is shown; in `compile` one of WIDTH_BUCKETS."""
    planned, samples = read
    width = shown_width(planned, config) if config.PAD else planned.width
    if config.compile:
        width = WIDTH_BUCKETS[bisect_left(WIDTH_BUCKETS, width)]
    return planned._replace(width=width), samples


def shown_width(planned: PlannedBatch, config: Config) -> int:
    """The width of a batch, a pure function of its place in the run's order, of its own width and the seed.

    One number a batch, because one wide sample would widen them all. Under a budget of pixels no batch takes more than
    twice the budget.
    """
    cursor, height = planned.cursors[0], config.img_height
    gate, share = draws(np.arange(2), config.seed, PADDING, cursor.epoch, cursor.batch) / 2**64
    if gate >= PADDED_SHARE:
        return planned.width
    width = (planned.width // height + 1) * height
    if gate < PAGE_SHARE:
        width += rounded_up(int(share * PAGE_HEIGHTS * height))
    return min(width, 2 * planned.width) if config.batch_pixels else width
