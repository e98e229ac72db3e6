"""`python -m evaluator.tune`: fit the word detector to validation pages, and choose how tall words are read.

validation pages -> CRAFT's maps, once -> each threshold in turn, the value with the highest detection F1 on every
second page -> both halves before and after -> `user_network/<name>.detector.yaml`, if the other half agrees
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import torch

from evaluator.detection.box_kinds import CANVAS_SIZE, MAG_RATIO
from evaluator.detection.craft import Maps, load_craft, maps_of
from evaluator.detection.tall_words import WAYS, TallWords, is_tall, joined, patches_to_read
from evaluator.detection.text_ink import Pieces
from evaluator.detection.thresholds import DEFAULTS, Thresholds, save_thresholds, thresholds_path
from evaluator.detection.word_boxes import boxes_of, page_pieces
from evaluator.evaluation_pages import (
    UnreadablePage,
    decode_page,
    find_page_shards,
    label_words,
    read_images,
    read_labels,
)
from evaluator.metrics.matching import iou, match
from evaluator.metrics.page_words import PageWords
from evaluator.recognizers import load_finetuned
from ocr.cer import TextCounts
from ocr.errors import DataError, UsageError, run_command
from ocr.networks.easyocr_files import default_easyocr_dir
from ocr.page import Page, crop
from ocr.plumbing.progress import progress
from ocr.recognizer import Recognizer

CANDIDATES: dict[str, tuple[float, ...]] = {
    "gap": (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8),
    "margin": (0.0, 0.06, 0.12, 0.18, 0.25),
    "peak": (0.5, 0.6, 0.7, 0.8),
    "lone": (0.2, 0.3, 0.4, 0.5, 0.6),
    "tall_gap": (0.0, 0.3, 0.4, 0.5, 0.6, 0.8),
    "faint": (0.03, 0.05, 0.1, 0.2),
    "text": (0.45, 0.5, 0.55),
}
OF_WORDS = ("gap", "margin", "lone", "tall_gap")
"""Those by which pieces of ink become words: the pieces are the same for all their values."""


class TunedPage(msgspec.Struct, frozen=True, eq=False):
    """A validation page as it lies in its file (100 pages of 300 dpi, decoded, fill 3 GB), its label and its maps."""

    jpg: bytes
    label: Page
    maps: Maps

    @property
    def words(self) -> PageWords:
        return label_words(self.label)


class Counts(msgspec.Struct, frozen=True):
    """Of words, over pages."""

    matched: int
    reference: int
    prediction: int

    @property
    def f1(self) -> float:
        return 2 * self.matched / max(self.reference + self.prediction, 1)


def main() -> None:
    arguments = parse_arguments()
    if arguments.cuda and not torch.cuda.is_available():
        raise UsageError("--cuda: torch sees no CUDA GPU here; leave --cuda out to tune on the CPU")
    device = "cuda" if arguments.cuda else "cpu"
    recognizer = load_finetuned(arguments.name, arguments.easyocr_dir, device).recognizer
    pages = read_pages(arguments.val_set, arguments.easyocr_dir, device)
    thresholds = tune(pages)
    thresholds = msgspec.structs.replace(thresholds, tall_words=choose_way(pages, recognizer))
    path = thresholds_path(arguments.easyocr_dir, arguments.name)
    save_thresholds(thresholds, path)
    print(f"Saved: {path}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluator.tune", description="Fit the word detector.")
    parser.add_argument("--val_set", required=True, metavar="SHARDS", help="such as shards/validation_pages")
    parser.add_argument(
        "--easyocr-dir", type=Path, default=default_easyocr_dir(), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--name", default="finetuned", help="of the exported recognizer (default %(default)s)")
    parser.add_argument("--cuda", action="store_true", help="use the GPU")
    return parser.parse_args()


def read_pages(val_set: str, easyocr_dir: Path, device: str) -> list[TunedPage]:
    """The validation pages with their maps; those that cannot be read are named and left out."""
    shards = find_page_shards([val_set])
    labels, craft, pages = read_labels(shards), load_craft(easyocr_dir, device), []
    for key, jpg in progress(read_images(shards), "detect", "pages", total=len(labels)):
        try:
            image = decode_page(jpg, labels[key])
        except UnreadablePage as reason:
            print(f"{key}: left out: {reason}")
            continue
        (maps,) = maps_of(craft, [image.rgb], CANVAS_SIZE, MAG_RATIO)
        assert jpg is not None  # it was decoded
        pages.append(TunedPage(jpg, labels[key], msgspec.structs.replace(maps, link_HW=maps.link_HW[:0])))
    if len(pages) < 2:
        raise DataError(f"{val_set}: {len(pages)} page(s) to tune on; name a folder with more, 20 at least")
    return pages


def tune(pages: Sequence[TunedPage]) -> Thresholds:
    """The fitted thresholds, or the defaults where the half that was not fitted to is detected no better by them."""
    fitted_half, other_half = pages[::2], pages[1::2]
    fitted = search(fitted_half)
    before, after = count(other_half, DEFAULTS).f1, count(other_half, fitted).f1
    print(f"{'detection F1':34}before  after")
    print(f"{len(fitted_half):4} pages that were fitted to     {count(fitted_half, DEFAULTS).f1:.4f}  ", end="")
    print(f"{count(fitted_half, fitted).f1:.4f}")
    print(f"{len(other_half):4} pages that were not           {before:.4f}  {after:.4f}")
    if after < before:
        print("The other pages are detected worse: the defaults stay.")
        return DEFAULTS
    return fitted


def search(pages: Sequence[TunedPage]) -> Thresholds:
    """Each threshold in turn at its best value; of equal values the one that was there before."""
    thresholds, best = DEFAULTS, count(pages, DEFAULTS).f1
    for name, values in progress(CANDIDATES.items(), "fit", "thresholds", total=len(CANDIDATES)):
        pieces = [pieces_of(page, thresholds) for page in pages] if name in OF_WORDS else None
        for value in values:
            other = msgspec.structs.replace(thresholds, **{name: value})
            if (f1 := count(pages, other, pieces).f1) > best:
                thresholds, best = other, f1
    return thresholds


def pieces_of(page: TunedPage, thresholds: Thresholds) -> Pieces:
    return page_pieces(page.maps, decode_page(page.jpg, page.label).rgb, thresholds)


def count(pages: Sequence[TunedPage], thresholds: Thresholds, pieces: Sequence[Pieces] | None = None) -> Counts:
    """The words that the thresholds find, and those they should; `pieces` of the pages, where they are known."""
    matched = reference = prediction = 0
    for number, page in enumerate(pages):
        references_N4 = page.words.boxes_N4
        known = pieces[number] if pieces else pieces_of(page, thresholds)
        boxes_M4 = boxes_of(known, page.maps.width, page.maps.height, thresholds)
        matched += len(match(iou(references_N4, boxes_M4)))
        reference, prediction = reference + len(references_N4), prediction + len(boxes_M4)
    return Counts(matched, reference, prediction)


def choose_way(pages: Iterable[TunedPage], recognizer: Recognizer) -> TallWords:
    """The way of reading tall words with the fewest edits on the validation pages' own."""
    patches, texts = [], []
    for page in pages:
        grey = decode_page(page.jpg, page.label).grey
        for word in page.label.words:
            x0, y0, x1, y1 = word.box
            if len(word.text) > 1 and is_tall(x1 - x0, y1 - y0):
                patches.append(crop(grey, word.box))
                texts.append(word.text)
    if not texts:
        print(f"No tall word on these pages: read {DEFAULTS.tall_words!r}.")
        return DEFAULTS.tall_words
    edits: dict[TallWords, int] = {}
    for way in WAYS:
        counts = TextCounts()
        for patch, text in zip(patches, texts, strict=True):
            counts.add(text, joined(recognizer.read(patches_to_read(patch, way)))[0])
        edits[way] = counts.num_edits
    print(f"{len(texts)} tall words, edits: {', '.join(f'{way} {number}' for way, number in edits.items())}")
    return min(WAYS, key=lambda way: (edits[way], way != DEFAULTS.tall_words))


if __name__ == "__main__":
    run_command(main)
