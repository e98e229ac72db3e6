"""Augmentation is a pure function of (strengths, seed, sample, epoch), keeps texts legible and fits planned batches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from ocr.config import Config, load_config
from ocr.errors import UsageError
from ocr.networks.easyocr_files import find_weights
from ocr.patch import fit, reader_width
from ocr.recognizer import Recognizer
from tests.trainer.conftest import drawn
from trainer.data.augment import STEPS, Augmentation, augment, augmentation_of, draws
from trainer.data.distortions import crop, red, tone

DEFAULT = augmentation_of(Config(augment=True))
FULL = Augmentation(*(1.0 for _ in Augmentation.__struct_fields__))
KINDS = [kind for kind, _, _ in STEPS]


def colored(patch: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.stack([patch, patch // 2 + 60, patch], axis=2))


def test_a_config_of_the_seeds_form_trains_on_the_patches_as_they_are() -> None:
    patch = drawn("12")
    assert augmentation_of(Config()) == Augmentation()
    assert augment(patch, augmentation_of(Config()), 1, 2, 3) is patch


def test_the_config_names_every_kind_and_nothing_else() -> None:
    keys = {key for key in Config.__struct_fields__ if key.startswith("augment_")}
    assert keys == {f"augment_{kind}" for kind in Augmentation.__struct_fields__}
    assert list(Augmentation.__struct_fields__) == KINDS
    assert augmentation_of(load_config(None, ["augment=True", "augment_blur=0"])).blur == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("augment_blur=1.5", "augment_blur: expected `float` <= 1.0"),
        ("augment_blur=on", "augment_blur: expected `float`, got `bool`"),
        ("augment=0.5", "augment: expected `bool`, got `float`"),
        ("augment_blurr=0.5", "unknown key 'augment_blurr'; did you mean 'augment_blur'?"),
    ],
)
def test_a_wrong_strength_is_one_line(override: str, message: str) -> None:
    with pytest.raises(UsageError, match="^command line: ") as raised:
        load_config(None, [override])
    assert message in str(raised.value)


DIGEST = """
import hashlib
import numpy as np
from trainer.data.augment import Augmentation, augment

def digest():
    full = Augmentation(*(1.0 for _ in Augmentation.__struct_fields__))
    grey = np.random.Generator(np.random.Philox(key=1)).integers(0, 256, (40, 100), np.uint8)
    patches = [grey, np.stack([grey, grey // 2, grey], axis=2)]
    made = [augment(patch, full, 5, sample, 2).tobytes() for patch in patches for sample in range(40)]
    return hashlib.sha256(b"".join(made)).hexdigest()
"""


def test_every_process_and_thread_makes_the_same_of_a_sample() -> None:
    scope: dict[str, Callable[[], str]] = {}
    exec(DIGEST, scope)
    here = scope["digest"]()
    with ThreadPoolExecutor(4) as threads:
        assert {future.result() for future in [threads.submit(scope["digest"]) for _ in range(8)]} == {here}
    command = [sys.executable, "-c", f"{DIGEST}print(digest())"]
    there = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_seed_sample_and_epoch_each_change_what_happens() -> None:
    patch, numbers = drawn("512"), list(product(range(4), repeat=3))
    assert len({str(draws(seed, sample, epoch)) for seed, sample, epoch in numbers}) == 64
    made = {augment(patch, FULL, seed, sample, epoch).tobytes() for seed, sample, epoch in numbers}
    assert len(made) > 60  # of 64: one in 30 meets no kind at all


def test_one_kind_changes_nothing_that_the_others_draw() -> None:
    """A patch that does not meet a kind is the same with that kind on and off; the others meet their share."""
    patch, num_samples = drawn("77"), 300
    for row, (kind, share, _) in enumerate(STEPS):
        without = msgspec.structs.replace(FULL, **{kind: 0.0})
        met = [draws(9, sample, 0)[row][0] < share for sample in range(num_samples)]
        assert abs(np.mean(met) - share) < 0.1
        for sample in [sample for sample in range(num_samples) if not met[sample]][:10]:
            expected = augment(patch, without, 9, sample, 0)
            assert np.array_equal(augment(patch, FULL, 9, sample, 0), expected), kind


SHAPES = [(1, 1), (2, 9), (16, 16), (57, 155), (155, 57), (40, 900), (700, 2_000)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("kind", "distort"), [(kind, distort) for kind, _, distort in STEPS])
def test_every_kind_takes_every_patch(kind: str, distort, shape: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    order = np.random.Generator(np.random.Philox(key=3))
    noisy = order.integers(0, 256, shape, np.uint8)
    for patch in (noisy, colored(noisy), np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)):
        before = patch.copy()
        for u in order.random((6, 7)).tolist():
            made = distort(patch, 1.0, u)
            assert made.dtype == np.uint8 and made.ndim == patch.ndim and made.size
            assert kind == "crop" or made.shape == patch.shape
        assert np.array_equal(patch, before)


@pytest.mark.parametrize(("kind", "distort"), [(kind, distort) for kind, _, distort in STEPS])
def test_every_kind_shows_more_the_stronger_it_is(kind: str, distort) -> None:  # type: ignore[no-untyped-def]
    patch = colored(drawn("8023"))
    u_of_sample = np.random.Generator(np.random.Philox(key=4)).random((30, 7)).tolist()

    def difference(strength: float) -> float:
        made = [cv2.resize(distort(patch, strength, u), patch.shape[1::-1]) for u in u_of_sample]
        return float(np.mean([np.abs(each.astype(int) - patch).mean() for each in made]))

    assert 0 < difference(0.3) < difference(1.0)


@pytest.mark.parametrize("shape", [(57, 155), (57, 58), (58, 57), (155, 57), (20, 399), (33, 66)], ids=str)
def test_a_fitted_patch_is_never_much_wider_than_the_original_nor_than_its_padding(
    shape: tuple[int, int],
) -> None:
    patch = cv2.resize(drawn("405"), shape[::-1])
    for sample in range(200):
        width = fit(augment(patch, FULL, 0, sample, 0)).shape[1]
        assert width <= min(reader_width(patch), 1.1 * fit(patch).shape[1] + 1)


def test_another_box_never_cuts_the_ink() -> None:
    patch = drawn("6", height=60)
    num_dark = int((patch < 100).sum())
    shapes = set()
    for u in np.random.Generator(np.random.Philox(key=5)).random((100, 7)).tolist():
        made = crop(patch, 1.0, u)
        shapes.add(made.shape)
        assert (made < 100).sum() == num_dark
    heights = [height for height, _ in shapes]
    assert min(heights) < 60 < max(heights)


@pytest.mark.parametrize(("low", "high"), [(60, 199), (0, 50), (0, 100), (180, 255), (0, 255), (120, 122)])
def test_tone_keeps_half_of_the_contrast_and_the_order_of_the_tones(low: int, high: int) -> None:
    ramp = np.arange(low, high + 1, dtype=np.uint8)[None].repeat(20, axis=0)
    for u in np.random.Generator(np.random.Philox(key=6)).random((100, 7)).tolist():
        made = tone(ramp, 1.0, u)[0].astype(int)
        assert made[-1] - made[0] >= 0.5 * (high - low) - 1
        assert (np.diff(made) >= 0).all()


def test_red_ink_is_as_light_in_color_as_in_grey() -> None:
    mask = np.arange(90, 256, dtype=np.uint8)[None]
    assert red(mask)[0, 0].tolist() == [230, 30, 30]
    luma = red(mask) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - mask).max() < 1


def test_what_the_default_strengths_make_of_a_number_can_still_be_read(tmp_path: Path) -> None:
    """By english_g2, which never saw such patches."""
    recognizer = Recognizer.load(find_weights("english_g2", tmp_path))
    texts = [str(number) for number in range(1_000, 9_000, 130)]
    patches = [drawn(text) for text in texts]
    augmented = [augment(patch, DEFAULT, 0, sample, 0) for sample, patch in enumerate(patches)]
    plain, varied = (
        sum(read == text for (read, _), text in zip(recognizer.read(read_patches), texts, strict=True))
        for read_patches in (patches, augmented)
    )
    assert plain >= 0.95 * len(texts)
    assert varied >= 0.85 * plain
