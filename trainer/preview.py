"""`python -m trainer.preview --config YAML --out preview.png`: what augmentation does to patches, as a contact sheet.

A row is a training sample, drawn by the seed. Its columns: as it is in the shard, each kind of augmentation alone at
the config's strength (on every patch, though in training only a share meets it), and all together as the network gets
them in the first epochs.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from ocr.config import Config, load_config, selected_folders
from ocr.contact_sheet import font
from ocr.errors import DataError, UsageError, run_command
from ocr.page import decode_image
from ocr.patch import fit, pad_batch, reader_width, stretch
from ocr.plumbing.files import write_whole
from ocr.remote.connections import is_url
from ocr.shards.manifest import find_shards
from ocr.shards.shard_index import read_index, read_key, scan_tar
from trainer.data.augment import STEPS, Augmentation, augment, augmentation_of, draws, number_of

NUM_EPOCHS = 3
MAX_CELL_WIDTH = 240
LABEL_WIDTH, HEADER_HEIGHT, GAP = 190, 78, 8
GROUND, INK, FAINT = (214, 226, 240), (20, 30, 50), (90, 100, 120)


class DrawnSample(msgspec.Struct, frozen=True):
    """A training sample: its key, its text and its patch, grey (h, w) or RGB (h, w, 3)."""

    key: str
    text: str
    patch: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trainer.preview", description="Show what augmentation does.")
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="e.g. configs/korean_g2.yaml")
    parser.add_argument("--shards", metavar="DIR", help="a folder, glob or brace pattern; train_data by default")
    parser.add_argument("--out", type=Path, default=Path("preview.png"), metavar="PNG")
    parser.add_argument("--samples", type=int, default=16, metavar="N", help="rows of the sheet")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="config keys that replace the file's")
    arguments = parser.parse_intermixed_args()
    config = load_config(arguments.config, arguments.overrides)
    if arguments.samples < 1:
        raise UsageError(f"--samples {arguments.samples}: at least one is needed")
    folders = [f"{config.train_data}/{folder}" for folder in selected_folders(config)]
    named = [arguments.shards] if arguments.shards else folders
    if urls := [name for name in named if is_url(name)]:
        raise UsageError(f"{urls[0]}: a preview reads shards on this machine; name some with --shards")
    shards = [shard for name in named for shard in find_shards(name)]
    sheet = contact_sheet(draw_samples(shards, arguments.samples, config), config)
    with write_whole(arguments.out) as file:
        sheet.save(file, "png")
    print(f"{arguments.out}: {sheet.width} x {sheet.height} pixels; {state_line(config)}")


def state_line(config: Config) -> str:
    if config.augment:
        return "augment: True, training sees the last columns"
    return "augment: False, training sees the first column; the others are what augment: True would make of it"


def draw_samples(shards: Sequence[Path], number: int, config: Config) -> list[DrawnSample]:
    """`number` samples, or all if there are fewer, drawn by the seed without replacement, in the shards' order."""
    indexes = [read_index(shard) or scan_tar(shard) for shard in shards]
    starts = [0, *accumulate(index.num_samples for index in indexes)]
    if not starts[-1]:
        raise DataError(f"{shards[0].parent}: the shards hold no sample; build them again")
    drawn = sorted(random.Random(config.seed).sample(range(starts[-1]), min(number, starts[-1])))
    samples = []
    for shard, index, start in zip(shards, indexes, starts, strict=False):
        mine = [number - start for number in drawn if start <= number < start + index.num_samples]
        texts = index.texts() if mine else []
        with shard.open("rb") as file:
            for row in mine:
                file.seek(int(index.patch_offset[row]))
                patch = decode_image(file.read(int(index.patch_bytes[row])), color=config.rgb)
                if patch is None:
                    raise DataError(f"{shard}: sample {row}: no readable patch; build the shard again")
                key = read_key(shard, int(index.sample_offset[row]))
                samples.append(DrawnSample(key, texts[row], patch[:, :, ::-1] if config.rgb else patch))
    return samples


def columns_of(config: Config) -> list[tuple[str, str]]:
    """(name, remark) of each column."""
    strengths = shown_strengths(config)
    kinds = [
        (kind, f"{strength:g}, on {share:.0%}" if (strength := getattr(strengths, kind)) else "off")
        for kind, share, _ in STEPS
    ]
    return [("original", ""), *kinds, *((f"epoch {epoch}", "all, padded") for epoch in range(NUM_EPOCHS))]


def shown_strengths(config: Config) -> Augmentation:
    """The strengths that `augment: True` gives, whether it is on or not."""
    return augmentation_of(msgspec.structs.replace(config, augment=True))


def pictures_of(sample: DrawnSample, config: Config) -> Iterator[np.ndarray]:
    """The pictures of a row, uint8 (img_height, w) or (img_height, w, 3), one for each of `columns_of`."""
    strengths, width = shown_strengths(config), reader_width(sample.patch, config.img_height)
    yield fitted(sample.patch, config)
    for (kind, _, distort), (_, *u) in zip(STEPS, draws(config.seed, number_of(sample.key), 0), strict=True):
        strength = getattr(strengths, kind)
        yield fitted(distort(sample.patch, strength, u) if strength else sample.patch, config)
    for epoch in range(NUM_EPOCHS):
        patch = fitted(augment(sample.patch, strengths, config.seed, number_of(sample.key), epoch), config)
        yield pad_batch([patch], width)[0] if config.PAD else patch


def fitted(patch: np.ndarray, config: Config) -> np.ndarray:
    if config.PAD:
        return fit(patch, config.img_height, config.contrast_adjust)
    return stretch(patch, config.img_height, config.img_width)


def contact_sheet(samples: Sequence[DrawnSample], config: Config) -> Image.Image:
    """Draw the sheet; pictures wider than MAX_CELL_WIDTH are scaled down to it."""
    large, small = font(20), font(13)
    columns = columns_of(config)
    rows = [[scaled_down(Image.fromarray(picture)) for picture in pictures_of(each, config)] for each in samples]
    widths = [max(90, *(row[column].width for row in rows)) + GAP for column in range(len(columns))]
    left_edges = list(accumulate(widths, initial=LABEL_WIDTH))
    row_height = config.img_height + GAP
    sheet = Image.new("RGB", (left_edges[-1], HEADER_HEIGHT + row_height * len(rows)), GROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP), f"{config.experiment_name}: {state_line(config)}", INK, large)
    for (name, remark), left in zip(columns, left_edges, strict=False):
        pen.text((left, HEADER_HEIGHT - 42), name, INK, large)
        pen.text((left, HEADER_HEIGHT - 19), remark, FAINT, small)
    for top, (sample, row) in enumerate(zip(samples, rows, strict=True)):
        y = HEADER_HEIGHT + top * row_height
        height, width = sample.patch.shape[:2]
        pen.text((GAP, y + 8), sample.text, INK, large)
        pen.text((GAP, y + 38), f"{sample.key}, {width} x {height}", FAINT, small)
        for picture, left in zip(row, left_edges, strict=False):
            sheet.paste(picture, (left, y))
    return sheet


def scaled_down(picture: Image.Image) -> Image.Image:
    if picture.width <= MAX_CELL_WIDTH:
        return picture
    size = (MAX_CELL_WIDTH, max(1, round(picture.height * MAX_CELL_WIDTH / picture.width)))
    return picture.resize(size, Image.Resampling.BILINEAR)


if __name__ == "__main__":
    run_command(main)
