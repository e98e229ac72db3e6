"""Decoding of a batch against plain Python loops, row by row, on english_g2's logits of drawn words.

    greedy     decode_greedy                against a loop over frames
    beams      search_ctc                   against prefix beam search as the textbook writes it, with a dict of texts:
                                            over all classes, and over the likely ones alone, which search_ctc looks at
    EasyOCR    its own decode_beamsearch, another plain loop

Texts must be equal (EasyOCR's may not be: it multiplies float32 probabilities). Medians; all take turns.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from bench_recognizer import drawn_word
from easyocr.utils import CTCLabelConverter

from ocr.backends import TorchBackend
from ocr.charset import BLANK, Charset
from ocr.decoding.beam_search import MIN_PROB, BeamSearch, search_ctc
from ocr.decoding.decode import decode_greedy, read_logits
from ocr.decoding.ngrams import make_language_model
from ocr.networks.easyocr_files import find_weights
from ocr.networks.weight_files import read_weights
from ocr.patch import fit, pad_batch, reader_width

WIDTH = 10
WIDEST = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=256, help="rows of the batch")
    parser.add_argument("--plain-rows", type=int, default=16, help="rows that the plain loops read")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        engine = TorchBackend(read_weights(find_weights("english_g2", Path(folder))))
    logits = drawn_logits(engine, arguments.rows)
    print(f"{len(logits)} rows of {logits.shape[1]} frames, {logits.shape[2]} classes, beams of {WIDTH}")
    print("ms a row, median")
    for title, batch, loops in comparisons(logits, engine.charset, arguments.plain_rows):
        compare(title, batch, loops, arguments)


def drawn_logits(engine: TorchBackend, rows: int) -> torch.Tensor:
    """Padded to one width, as rows of one batch are."""
    words = (drawn_word(random.Random(index)) for index in range(100 * rows))
    fitting = (word for word in words if reader_width(word) <= WIDEST)
    fitted = [fit(next(fitting)) for _ in range(rows)]
    return torch.cat([engine.logits(pad_batch(fitted[start : start + 32], WIDEST)) for start in range(0, rows, 32)])


Decode = Callable[[], Sequence[str]]


def comparisons(logits: torch.Tensor, charset: Charset, plain_rows: int) -> list[tuple[str, Decode, dict[str, Decode]]]:
    """(title, the batch's decoder, the loops it is held against, which read the first rows)."""
    log_probs = logits[:plain_rows].log_softmax(2)
    rows, probs = log_probs.double().tolist(), log_probs.exp().numpy()
    converter = CTCLabelConverter(charset.characters)
    language = BeamSearch(WIDTH, make_language_model(["Seoul", "committee", "report"] * 9, charset), 0.0)

    def beams(beam: BeamSearch) -> Decode:
        return lambda: [charset.decode(found[0][0]) for found in search_ctc(logits, beam)]

    def plain(min_prob: float) -> Decode:
        return lambda: [charset.decode(plain_beams(row, WIDTH, min_prob)) for row in rows]

    loops = {
        "plain loop, all classes": plain(0.0),
        "plain loop, likely classes": plain(MIN_PROB),
        "EasyOCR's loop": lambda: converter.decode_beamsearch(probs, beamWidth=WIDTH),
    }
    return [
        (
            "greedy",
            lambda: [text for text, _ in decode_greedy(logits, charset)],
            {"plain loop": lambda: [plain_greedy(row, charset) for row in rows]},
        ),
        ("beams", lambda: [text for text, _ in read_logits(logits, charset, BeamSearch(WIDTH))], loops),
        ("beams, all rows searched", beams(BeamSearch(WIDTH, lexicon=frozenset({"-"}))), loops),
        ("beams and language model", beams(language), {}),
    ]


def plain_greedy(log_probs: list[list[float]], charset: Charset) -> str:
    text, previous, sure, number = "", BLANK, 1.0, 0
    for frame in log_probs:
        best = max(range(len(frame)), key=frame.__getitem__)
        if best != BLANK:
            sure, number = sure * math.exp(frame[best]), number + 1
            text += charset.characters[best - 1] if best != previous else ""
        previous = best
    _ = sure ** (2 / math.sqrt(number)) if number else 0.0
    return text


def plain_beams(log_probs: list[list[float]], width: int, min_prob: float) -> tuple[int, ...]:
    """Prefix beam search of one row, a dict of texts; it grows texts by classes of more than `min_prob`."""
    floor = math.log(min_prob) if min_prob else -math.inf
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for frame in log_probs:
        likely = [class_ for class_ in range(1, len(frame)) if frame[class_] > floor]
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(
            text: tuple[int, ...],
            blank: float,
            no_blank: float,
            grown: dict[tuple[int, ...], tuple[float, float]] = grown,
        ) -> None:
            old = grown.get(text)
            grown[text] = (blank, no_blank) if old is None else (log_sum(old[0], blank), log_sum(old[1], no_blank))

        for text, (blank, no_blank) in beams.items():
            total = log_sum(blank, no_blank)
            add(text, total + frame[BLANK], no_blank + frame[text[-1]] if text else -math.inf)
            for class_ in likely:
                before = blank if text and text[-1] == class_ else total
                add((*text, class_), -math.inf, before + frame[class_])
        best = sorted(grown.items(), key=lambda item: log_sum(*item[1]), reverse=True)
        beams = dict(best[:width])
    return max(beams, key=lambda text: log_sum(*beams[text]))


def log_sum(first: float, second: float) -> float:
    high, low = max(first, second), min(first, second)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def compare(title: str, batch: Decode, loops: dict[str, Decode], arguments: argparse.Namespace) -> None:
    texts = batch()
    times: dict[str, list[float]] = {name: [] for name in (title, *loops)}
    for _ in range(arguments.turns):
        for name, decode in {title: batch, **loops}.items():
            started = perf_counter()
            read = decode()
            times[name].append((perf_counter() - started) / len(read))
    print(f"{title:34}{1000 * median(times[title]):>9.3f}")
    for name, decode in loops.items():
        num_equal = sum(map(str.__eq__, decode(), texts))
        ratio = median(np.array(times[name]) / np.array(times[title]))
        equal = f"{num_equal} of {arguments.plain_rows} texts equal"
        print(f"  {name:32}{1000 * median(times[name]):>9.3f}  {ratio:>7.1f} x  {equal}", flush=True)


if __name__ == "__main__":
    main()
