"""`python -m evaluator.score`: scores of any OCR system, from its words and the true ones. No torch is needed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

import msgspec

from evaluator.formats.read import FORMATS, Format, PageSet, read_pages
from evaluator.metrics.cleval import FalsePositives
from evaluator.metrics.end_to_end import compare_page
from evaluator.metrics.figures import Scores, page_sums, scores_of, total
from evaluator.metrics.page_words import NO_WORDS
from evaluator.report.report_files import check_folder
from ocr.errors import DataError, UsageError, run_command
from ocr.plumbing.files import write_whole


def main() -> None:
    arguments = parse_arguments()
    if arguments.out is not None:
        check_folder(arguments.out.parent)
        if arguments.out.is_dir():
            raise UsageError(f"{arguments.out}: is a folder; name a file")
    reference = read_side("reference", arguments.reference, arguments.reference_format)
    prediction = read_side("prediction", arguments.prediction, arguments.prediction_format)
    scores = score(reference, prediction, arguments.polygon, arguments.cleval_fp)
    content = msgspec.json.format(msgspec.json.encode(scores), indent=2) + b"\n"
    if arguments.out is None:
        sys.stdout.write(content.decode())
        return
    with write_whole(arguments.out) as file:
        file.write(content)
    print(f"Scores of {scores.pages:,} pages: {arguments.out}")


def read_side(side: str, path: Path, named: Format | None) -> PageSet:
    """One side's pages; what was refused or mended is said on stderr."""
    pages = read_pages(path, named)
    for reason, count in sorted(pages.refused.items()):
        note(f"{side}: left out: {reason}: {count:,}")
    if pages.num_turned:
        note(f"{side}: {pages.num_turned:,} of its quads had corners out of turn; they were put in turn, clockwise")
    return pages


def score(
    reference: PageSet,
    prediction: PageSet,
    polygon: bool = False,
    false_positives: FalsePositives = "official",
) -> Scores:
    """Compare two sides page by page. A page that the prediction does not hold was read as blank.

    Raises DataError for a predicted page that the reference does not hold: its words could be neither right nor wrong.
    """
    if unknown := [name for name in prediction.pages if name not in reference.pages]:
        place, known = prediction.places[unknown[0]], next(iter(reference.pages))
        raise DataError(
            f"{place}: page {unknown[0]!r} is not in the reference ({len(unknown):,} such pages); "
            f"score the same pages under the same names, such as {known!r}"
        )
    if missing := len(reference.pages) - len(prediction.pages):
        note(f"prediction: {missing:,} of {len(reference.pages):,} pages missing; their words count as missed")
    readings = (
        compare_page(words, prediction.pages.get(name, NO_WORDS), polygon, false_positives)
        for name, words in reference.pages.items()
    )
    return scores_of(total([page_sums(reading) for reading in readings]))


def note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evaluator.score",
        description="Score the words that any OCR system read: a file with a page a line, or a folder of page files.",
    )
    for side in ("reference", "prediction"):
        parser.add_argument(f"--{side}", type=Path, required=True, metavar="PATH", help="file or folder")
        parser.add_argument(
            f"--{side}-format", choices=FORMATS, metavar="NAME", help=f"default: by content; {', '.join(FORMATS)}"
        )
    parser.add_argument("--out", type=Path, metavar="JSON", help="default: print the scores")
    parser.add_argument("--polygon", action="store_true", help="match quads by their own IoU, not their upright boxes'")
    parser.add_argument(
        "--cleval-fp",
        choices=get_args(FalsePositives),
        default="official",
        help="characters a false box counts for: as CLEval 0.1.1 has it, or as it was meant (default %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
