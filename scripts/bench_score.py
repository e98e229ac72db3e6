"""How long `python -m evaluator.score` takes over a made-up set: a process of its own, start to end, median of five.

Beside the wall time stands the processor time, which says more on a machine that others use.

The pages have the words of a form: rows of Korean words, 110 a page. The prediction has what systems get wrong:
shifted boxes, misread characters, split, merged, missed and false words; with --tilted every quad is turned a little.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np

ROOT = Path(__file__).parents[1]
COLUMNS, ROW_PIXELS, COLUMN_PIXELS = 10, 70, 230
HANGUL = [chr(code) for code in range(0xAC00, 0xAC00 + 400)]

Quad = list[float]


class MadeWord(msgspec.Struct):
    quad: Quad
    text: str


class MadePage(msgspec.Struct):
    page: str
    words: list[MadeWord]


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("reference.jsonl", "prediction.jsonl")]
        write_set(paths, arguments)
        command = [sys.executable, "-m", "evaluator.score", "--reference", str(paths[0]), "--prediction", str(paths[1])]
        command += ["--polygon"] * arguments.polygon
        seconds = [time_once(command) for _ in range(arguments.runs)]
    print(machine())
    shape = "tilted" if arguments.tilted else "upright"
    print(f"{arguments.pages} pages x {arguments.words} words, {shape}, seed {arguments.seed}")
    wall, processor = zip(*seconds, strict=True)
    print(f"wall: median {statistics.median(wall):.2f} s of {', '.join(f'{run:.2f}' for run in wall)}")
    print(f"processor: median {statistics.median(processor):.2f} s of {', '.join(f'{run:.2f}' for run in processor)}")


def time_once(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a process on one core, the interpreter's start included."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    started, before = perf_counter(), os.times()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return perf_counter() - started, busy


def machine() -> str:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "rapidfuzz", "shapely", "msgspec"))
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}, commit {commit}"
    )


def write_set(paths: list[Path], arguments: argparse.Namespace) -> None:
    generator = np.random.default_rng(arguments.seed)
    with paths[0].open("wb") as references, paths[1].open("wb") as predictions:
        for number in range(arguments.pages):
            name = f"page-{number:04d}"
            words = [make_word(generator, place, arguments.tilted) for place in range(arguments.words)]
            references.write(msgspec.json.encode(MadePage(name, words)) + b"\n")
            predictions.write(msgspec.json.encode(MadePage(name, read_words(generator, words))) + b"\n")


def make_word(generator: np.random.Generator, place: int, tilted: bool) -> MadeWord:
    row, column = divmod(place, COLUMNS)
    text = "".join(generator.choice(HANGUL, generator.integers(1, 9)))
    x, y, width = column * COLUMN_PIXELS + 20, row * ROW_PIXELS + 20, 25 * len(text)
    drop = float(generator.integers(-12, 13)) if tilted else 0.0
    return MadeWord([x, y, x + width, y + drop, x + width, y + 48 + drop, x, y + 48], text)


def read_words(generator: np.random.Generator, words: list[MadeWord]) -> list[MadeWord]:
    """80 % of the words as they are, but for shifts and misread characters; the rest missed, split or merged."""
    read: list[MadeWord] = []
    for word in words:
        fate = generator.random()
        text = "".join(letter if generator.random() > 0.05 else str(generator.choice(HANGUL)) for letter in word.text)
        quad = (np.array(word.quad) + np.tile(generator.integers(-3, 4, 2), 4)).tolist()
        if fate < 0.05:
            continue
        if fate < 0.10 and len(text) > 1:
            read += split(quad, text)
        elif fate < 0.20 and read and abs(read[-1].quad[1] - quad[1]) < ROW_PIXELS / 2:
            read[-1] = merge(read[-1], quad, text)
        else:
            read.append(MadeWord(quad, text))
    return read


def split(quad: Quad, text: str) -> list[MadeWord]:
    x1, y1, x2, y2, x3, y3, x4, y4 = quad
    top, bottom = [(x1 + x2) / 2, (y1 + y2) / 2], [(x3 + x4) / 2, (y3 + y4) / 2]
    half = len(text) // 2
    return [
        MadeWord([x1, y1, *top, *bottom, x4, y4], text[:half]),
        MadeWord([*top, x2, y2, x3, y3, *bottom], text[half:]),
    ]


def merge(word: MadeWord, quad: Quad, text: str) -> MadeWord:
    corners = np.array([word.quad, quad]).reshape(-1, 2)
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return MadeWord([x0, y0, x1, y0, x1, y1, x0, y1], f"{word.text} {text}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time `python -m evaluator.score` over made-up pages.")
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--words", type=int, default=110)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tilted", action="store_true", help="no quad is upright")
    parser.add_argument("--polygon", action="store_true", help="pass --polygon on")
    return parser.parse_args()


if __name__ == "__main__":
    main()
