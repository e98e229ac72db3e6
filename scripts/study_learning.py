"""`python scripts/study_learning.py --work DIR`: what each part of the recipe brings, on drawn pages and one budget.

Every recipe has one part more than another, from EasyOCR's english_g2 and for the same number of patches:

    seed recipe          labels as its labels.csv spoiled them, korean_g2's alphabet, Adadelta, no augmentation
    + lossless labels    `하며,` and not `"하며,"`
    + whole alphabet     character: korean_g2+ksx1001
        + schedule       to the three above: warm-up and cosine
        + augmentation   to the three above: augment: True

Every recipe is measured by what it exports, best_norm_ed.pth, over every validation word and its whole, true text. So
a word that an alphabet cannot write is a word read wrong, as in use; and once more over the same words as a worse scan
would show them, which no recipe was shown. A study that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import cv2
import msgspec
import numpy as np
import webdataset as wds

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.commands import timed
from bench.machine import Machine, print_machine, this_machine

from ocr.cer import TextCounts
from ocr.config import load_config, save_config
from ocr.errors import UsageError, run_command
from ocr.networks.easyocr_files import charset_of
from ocr.page import decode_image
from ocr.plumbing.files import write_whole
from ocr.recognizer import Recognizer
from ocr.shards.manifest import find_shards, write_shard
from ocr.shards.shard_index import read_index, scan_tar
from ocr.shards.tar_writer import Sample

PACKAGES = ("torch", "numpy", "opencv-python-headless", "easyocr", "webdataset")
BATCH_SIZE, NUM_VALIDATIONS = 16, 5
WORSE_SCAN = "worse scan"
FOR_ALL = {
    "continue_from": "english_g2",
    "batch_size": BATCH_SIZE,
    "workers": 1,
    "show_number": 0,
    "adam": False,
    "lr": 1.0,
    "eval_images": 0,
}


class Part(msgspec.Struct, frozen=True):
    """A recipe: what this part adds to the keys of another recipe."""

    name: str
    title: str
    base: str
    keys: dict[str, str | bool]
    spoiled: bool = False


PARTS = (
    Part("seed", "seed recipe", "", {"character": "korean_g2", "augment": False}, spoiled=True),
    Part("labels", "+ lossless labels", "seed", {}),
    Part("alphabet", "+ whole alphabet", "labels", {"character": "korean_g2+ksx1001"}),
    Part("schedule", "    + schedule", "alphabet", {"schedule": "cosine"}),  # and warm-up: see below
    Part("augmentation", "    + augmentation", "alphabet", {"augment": True}),
)


class Words(msgspec.Struct, frozen=True):
    """Validation words: grey patches, uint8 (h, w), and what they say."""

    patches: list[np.ndarray]
    texts: list[str]


class Run(msgspec.Struct, frozen=True):
    """How one recipe with one seed reads: all words, and groups of them."""

    recipe: str
    seed: int
    groups: dict[str, TextCounts]


class Study(msgspec.Struct, frozen=True):
    machine: Machine
    num_patches: int
    num_training_words: int
    runs: list[Run]


def main() -> None:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description="Measure what each part of the recipe brings, on drawn pages.")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="for pages, shards and runs; kept")
    parser.add_argument("--pages", type=int, default=240, metavar="N", help="training pages to draw")
    parser.add_argument("--validation", type=int, default=24, metavar="N", help="validation pages to draw")
    parser.add_argument("--scale", type=float, default=0.5, metavar="S", help="of the pages; 1 is 300 dpi")
    parser.add_argument("--patches", type=int, default=25_600, metavar="N", help="budget of every recipe")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each recipe")
    parser.add_argument("--recipes", nargs="+", choices=names, default=names, help="default: all, in their order")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="config keys for all recipes")
    arguments = parser.parse_args()
    if arguments.patches < BATCH_SIZE * NUM_VALIDATIONS:
        raise UsageError(f"--patches {arguments.patches}: at least {BATCH_SIZE * NUM_VALIDATIONS:,} are needed")
    work: Path = arguments.work
    make_shards(work, arguments.pages, arguments.validation, arguments.scale)
    words = read_words(find_shards(str(work / "shards/validation/select_data")))
    training = find_shards(str(work / "shards/training/select_data"))
    num_training_words = sum((read_index(shard) or scan_tar(shard)).num_samples for shard in training)
    study = Study(this_machine(PACKAGES), arguments.patches, num_training_words, [])
    print_machine(study.machine)
    print(f"{num_training_words:,} training and {len(words.texts):,} validation words, {arguments.patches:,} patches")
    for seed in range(1111, 1111 + arguments.seeds):
        for name in arguments.recipes:
            run = trained_and_measured(work, name, seed, arguments.patches, arguments.set, words)
            study.runs.append(run)
            print(f"{name}, seed {seed}: {run.groups['all'].accuracy:.2%} of the words", flush=True)
            if arguments.json:
                with write_whole(arguments.json) as file:
                    file.write(msgspec.json.format(msgspec.json.encode(study), indent=1))
    print("\n".join(table(study.runs)))


def make_shards(work: Path, pages: int, validation: int, scale: float) -> None:
    """Draw pages and build shards of them, once; and the same shards with labels as the seed's labels.csv gave them."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "dataset").exists():
        beside = work / "dataset.unfinished"
        counts = ("--training", str(pages), "--validation", str(validation), "--scale", str(scale))
        timed([sys.executable, "scripts/make_synthetic_dataset.py", beside.absolute(), *counts], work)
        beside.rename(work / "dataset")
    numbers = (f"train_images={pages}", f"val_images={validation}", "eval_images=0")
    splits = ("--training", "--validation")
    build = (sys.executable, "-m", "shard_builder", "--dataset", (work / "dataset").absolute())
    timed([*build, "--out", (work / "shards").absolute(), *splits, *numbers], work)
    for split in ("training", "validation"):
        for shard in find_shards(str(work / "shards" / split / "select_data")):
            spoiled = work / "spoiled" / split / "select_data" / shard.name
            if not spoiled.exists():
                write_shard(spoiled, spoiled_samples(shard))


def spoiled_samples(shard: Path) -> Iterator[Sample]:
    for sample in wds.WebDataset(str(shard.absolute()), shardshuffle=False):
        yield sample["__key__"], {"jpg": sample["jpg"], "txt": csv_field(sample["txt"].decode()).encode()}


def csv_field(text: str) -> str:
    """What a CSV writer makes of a text, and the seed's trainer took for the text."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["name", text])
    return line.getvalue().removeprefix("name,")


def read_words(shards: Sequence[Path]) -> Words:
    patches, texts = [], []
    for shard in shards:
        index, content = read_index(shard) or scan_tar(shard), shard.read_bytes()
        texts += index.texts()
        for start, size in zip(index.patch_offset.tolist(), index.patch_bytes.tolist(), strict=True):
            patch = decode_image(content[start : start + size], color=False)
            assert patch is not None, "the builder wrote it just now"
            patches.append(patch)
    return Words(patches, texts)


def trained_and_measured(
    work: Path, name: str, seed: int, num_patches: int, overrides: Sequence[str], words: Words
) -> Run:
    part, keys = recipe_of(name)
    n_iter = num_patches // BATCH_SIZE
    shards = (work / ("spoiled" if part.spoiled else "shards")).absolute()
    of_run = {
        "experiment_name": f"{name}-{seed}-{num_patches}",
        "seed": seed,
        "train_data": shards / "training",
        "val_data": shards / "validation",
        "n_iter": n_iter,
        "val_period": -(-n_iter // NUM_VALIDATIONS),
        "warmup": n_iter // 20 if "schedule" in keys else 0,
    }
    values = {**FOR_ALL, **keys, **of_run}
    config = load_config(None, [*(f"{key}={value}" for key, value in values.items()), *overrides])
    path = work / f"{config.experiment_name}.yaml"
    save_config(config, path)
    places = ("--saved-models", work.absolute() / "saved_models", "--easyocr-dir", work.absolute() / "EasyOCR")
    timed([sys.executable, "-m", "trainer", "--config", path.absolute(), *places], work)
    groups = measured(work / "saved_models" / config.experiment_name / "best_norm_ed.pth", words)
    return Run(name, seed, groups)


def recipe_of(name: str) -> tuple[Part, dict[str, str | bool]]:
    """A part, and its keys with those of what it adds to."""
    part = next(part for part in PARTS if part.name == name)
    return part, (recipe_of(part.base)[1] if part.base else {}) | part.keys


def measured(weights: Path, words: Words) -> dict[str, TextCounts]:
    """How a weight file reads words: all, those in and outside korean_g2's alphabet, those that CSV quoting spoils; and
    all of a worse scan."""
    groups = {name: TextCounts() for name in ("all", "inside korean_g2", "outside it", 'with , or "', WORSE_SCAN)}
    korean, recognizer = charset_of("korean_g2"), Recognizer.load(weights)
    for text, (read, _) in zip(
        words.texts, recognizer.read([scanned_worse(each) for each in words.patches]), strict=True
    ):
        groups[WORSE_SCAN].add(text, read)
    for text, (read, _) in zip(words.texts, recognizer.read(words.patches), strict=True):
        groups["all"].add(text, read)
        groups["outside it" if korean.missing(text) else "inside korean_g2"].add(text, read)
        if csv_field(text) != text:
            groups['with , or "'].add(text, read)
    return groups


def scanned_worse(patch: np.ndarray) -> np.ndarray:
    """At half the resolution, slightly out of focus and saved as a small JPEG; the sides stay."""
    height, width = patch.shape
    half = (max(1, width // 2), max(1, height // 2))
    small = cv2.GaussianBlur(cv2.resize(patch, half, interpolation=cv2.INTER_AREA), (0, 0), 0.7)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 50])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))
    return np.asarray(cv2.resize(decoded, (width, height), interpolation=cv2.INTER_LINEAR))


def table(runs: Sequence[Run]) -> list[str]:
    """A line a recipe: means over the seeds and, of several seeds, the least and the greatest accuracy."""
    groups = runs[0].groups
    several = len({run.seed for run in runs}) > 1
    others = [name for name in groups if name != "all"]
    heads = ["recipe", "accuracy", "1-NED", "CER", *others, *(["least", "greatest"] if several else [])]
    rows = [heads]
    for part in PARTS:
        if not (mine := [run.groups for run in runs if run.recipe == part.name]):
            continue
        accuracies = [groups["all"].accuracy or 0.0 for groups in mine]
        norm_ed, cer = (fmean(getattr(each["all"], name) or 0.0 for each in mine) for name in ("one_minus_ned", "cer"))
        shares = [fmean(each[name].accuracy or 0.0 for each in mine) for name in others]
        spread = [min(accuracies), max(accuracies)] if several else []
        cells = [f"{fmean(accuracies):.2%}", f"{norm_ed:.4f}", f"{cer:.4f}"]
        rows.append([part.title, *cells, *(f"{value:.2%}" for value in [*shares, *spread])])
    rows.append(["words", f"{groups['all'].num_pairs:,}", "", "", *(f"{groups[name].num_pairs:,}" for name in others)])
    widths = [max(len(row[place]) for row in rows if place < len(row)) for place in range(len(heads))]
    aligned = [[cell.rjust(width) for cell, width in zip(row, widths, strict=False)] for row in rows]
    return ["  ".join([row[0].ljust(widths[0]), *cells[1:]]) for row, cells in zip(rows, aligned, strict=True)]


if __name__ == "__main__":
    run_command(main)
