"""Batches are padded as the Reader pads, now and then, by a pure function; it costs little."""

from __future__ import annotations

from itertools import islice

import numpy as np

from ocr.config import Config
from tests.trainer.conftest import changed
from trainer.data.indexed_reader import PlannedBatch
from trainer.data.padding import PADDED_SHARE, WIDTH_BUCKETS, shown_width, with_padding
from trainer.data.sample_order import Cursor, Order, batches, rounded_up, slice_bounds

NO_MEMBERS = np.zeros((0, 2), int)


def planned(batch: int, width: int = 132, epoch: int = 0) -> PlannedBatch:
    return PlannedBatch(0, 64, NO_MEMBERS, width, 1.0, (Cursor(epoch, batch),), {})


def widths(config: Config, number: int = 4_000, width: int = 132, epoch: int = 0) -> np.ndarray:
    return np.array([shown_width(planned(batch, width, epoch), config) for batch in range(number)])


def test_one_batch_in_four_is_padded_as_one_word_is_and_a_few_of_these_as_a_page_is(config: Config) -> None:
    found = widths(config)
    assert abs((found > 132).mean() - PADDED_SHARE) < 0.02
    assert 0.95 < (found[found > 132] == 192).mean() < 0.995
    assert found.max() > 192 + 4 * 64 and found.max() <= 192 + 8 * 64
    assert (found % 4 == 0).all()
    assert set(widths(config, width=128)) >= {128, 192}, "the Reader pads a whole multiple of the height, too"


def test_seed_and_epoch_decide_which(config: Config) -> None:
    first = widths(config, 200)
    assert (first == widths(config, 200)).all()
    assert (first != widths(config, 200, epoch=1)).any()
    assert (first != widths(changed(config, seed=config.seed + 1), 200)).any()


def test_a_budget_of_pixels_is_exceeded_by_a_factor_of_two_at_most(config: Config) -> None:
    assert widths(changed(config, batch_pixels=1_000_000), width=60).max() == 120


def test_stretched_patches_are_never_padded(config: Config) -> None:
    assert {with_padding((planned(batch), []), changed(config, PAD=False))[0].width for batch in range(50)} == {132}


def test_a_compiled_network_meets_few_widths(config: Config) -> None:
    compiled = changed(config, compile=True)
    shown = {with_padding((planned(batch, width), []), compiled)[0].width for batch in range(50) for width in (60, 300)}
    assert shown <= set(WIDTH_BUCKETS)


def test_less_than_a_tenth_of_what_the_network_is_given_is_padding(config: Config) -> None:
    """Widths as AI-Hub's words have them at height 64: 155 on average, the widest above 1,000."""
    drawn = np.random.Generator(np.random.Philox(key=1)).lognormal(np.log(135), 0.55, 100_000)
    width = np.array([rounded_up(int(each)) for each in drawn.clip(16, 1_280)], np.uint32)
    for batch_size in (16, 64):
        order = Order(1, width, slice_bounds([10_000] * 10), batch_size)
        given = kept = 0
        for samples, cursor in islice(batches(order, Cursor()), len(width) // batch_size):
            widest = planned(cursor.batch, int(width[samples].max()), cursor.epoch)
            given += shown_width(widest, config) * len(samples)
            kept += int(width[samples].sum())
        assert 1 - kept / given < 0.1, batch_size
