"""How many patches a second train a recognizer: this trainer against EasyOCR's, on the same patches; and what it costs.

    python scripts/bench_train.py --shards shards/training/select_data --work bench --json bench.json

Both train the same network from fresh weights, each reading the patches in its own form: ours from the shards,
EasyOCR's from PNG files. Every figure is the median of `--repeats` runs, each in a process of its own, the two taking
turns; so what else the machine does meets both. On a machine with a GPU both compute there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import monotonic, process_time
from typing import Any

import msgspec
import torch
from bench.loaders import Setup, patches_of
from bench.machine import print_machine, this_machine
from bench.training import WAYS, Way, device, milliseconds, stages

from ocr.config import Config
from ocr.errors import UsageError, run_command
from ocr.plumbing.progress import progress

PACKAGES = ("torch", "numpy", "opencv-python-headless", "webdataset", "easyocr", "pillow", "rapidfuzz")
WARM_ITERATIONS = 3
VALIDATION_WORDS = 112 * Config().val_images  # words of an AI-Hub page x pages
BATCHES, WIDTHS = (8, 64, 256), (64, 128, 256, 512, 1024)


class Run(msgspec.Struct, frozen=True):
    """`processor_milliseconds` are of the training process a patch; of its loader workers none."""

    way: str
    patches_per_second: float
    processor_milliseconds: float


def main() -> None:
    arguments = parse_arguments()
    if arguments.one:
        print(json.dumps(measured(arguments)))
        return
    machine = this_machine(PACKAGES)
    print_machine(machine)
    patches = patches_of(arguments.shards)
    where = torch.cuda.get_device_name() if device().type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{len(patches):,} patches, batches of {arguments.batch_size}, {arguments.workers} loader workers, {where}\n")
    for way in WAYS:
        prepare(way, patches, arguments.work)
    turns = [way.name for _ in range(arguments.repeats) for way in WAYS]
    runs = [Run(name, *apart(name, arguments)) for name in progress(turns, "bench", "runs")]
    breakdown = apart("stages", arguments)
    growth = {kind: growth_of(kind, arguments) for kind in ("eager", *(["compiled"] if arguments.compile else []))}
    tables = [f"{kind}, {growth_table(found)}" for kind, found in growth.items()]
    print("\n\n".join((table(runs), stage_table(breakdown), *tables)))
    if arguments.json:
        report = {"machine": machine, "patches": len(patches), "runs": runs, "stages": breakdown, "growth": growth}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare this trainer with EasyOCR's.")
    parser.add_argument("--shards", type=Path, required=True, metavar="DIR", help="shards with their indexes")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="where EasyOCR's PNG files are written")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="loader processes")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="how long a run trains")
    parser.add_argument("--iterations", type=int, default=10, metavar="N", help="of the breakdown")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, metavar="N", help="of the growth")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, metavar="N", help="of the growth")
    parser.add_argument("--compile", action="store_true", help="measure the growth of the compiled network, too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def growth_of(kind: str, arguments: argparse.Namespace) -> list[tuple[int, int, float]]:
    """(batch size, width, milliseconds of an iteration) of the eager or the compiled network."""
    return [
        (batch, width, apart(f"{batch}x{width} {kind}", arguments))
        for batch in progress(arguments.batches, f"growth, {kind}", "batch sizes")
        for width in arguments.widths
    ]


def prepare(way: Way, patches: list[tuple[bytes, str]], work: Path) -> None:
    """Write a way's files once; a folder that is there is taken as it is."""
    if way.write and not (work / way.name).exists():
        beside = work / f".{way.name}"
        beside.mkdir(parents=True)
        way.write(patches, beside)
        beside.rename(work / way.name)


def apart(what: str, arguments: argparse.Namespace) -> Any:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--one", what]
    for name in ("shards", "work", "batch_size", "workers", "seconds", "iterations"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UsageError(f"{what}: {result.stderr.strip()[-2000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def measured(arguments: argparse.Namespace) -> Any:
    setup = Setup(arguments.shards, arguments.work / arguments.one, arguments.batch_size, arguments.workers)
    if arguments.one == "stages":
        return stages(setup, arguments.iterations)
    if arguments.one[0].isdigit():
        size, kind = arguments.one.split()
        batch, width = map(int, size.split("x"))
        rounds = max(1, arguments.iterations // 5)
        return milliseconds(setup._replace(batch_size=batch), width, rounds, compiled=kind == "compiled")
    iterations = next(way for way in WAYS if way.name == arguments.one).run(setup)
    for _ in range(1 + WARM_ITERATIONS):
        next(iterations)
    begin, begin_processor, patches = now(), process_time(), 0
    for number in iterations:
        patches += number
        if monotonic() - begin > arguments.seconds:
            break
    return patches / (now() - begin), (process_time() - begin_processor) / patches * 1e3


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return monotonic()


def table(runs: list[Run]) -> str:
    """Medians; the ratios are those of the turns that both took. Processor time tells more on a busy machine."""
    of = {way.name: [run for run in runs if run.way == way.name] for way in WAYS}
    lines = [f"{'':20s} patches/s   ours is   processor ms   ours takes"]
    for name, own in of.items():
        pairs = list(zip(of["ours"], own, strict=True))
        faster = median(a.patches_per_second / b.patches_per_second for a, b in pairs)
        cheaper = median(b.processor_milliseconds / a.processor_milliseconds for a, b in pairs)
        rate, taken = median_rate(own), median(run.processor_milliseconds for run in own)
        lines.append(f"{name:20s} {rate:9,.1f} {faster:8.2f}x {taken:14.1f}     1/{cheaper:.2f}")
    config, (train, validate) = Config(), (median_rate(of[name]) for name in ("ours", "our validation"))
    training, validation = config.val_period * config.batch_size / train, VALIDATION_WORDS / validate
    lines.append(
        f"a validation of {config.val_images:,} pages ({VALIDATION_WORDS:,} words) every {config.val_period:,} "
        f"iterations of {config.batch_size} takes {100 * validation / (training + validation):.1f}% of the time"
    )
    return "\n".join(lines)


def median_rate(runs: list[Run]) -> float:
    return median(run.patches_per_second for run in runs)


def stage_table(breakdown: dict[str, float]) -> str:
    whole = sum(breakdown.values())
    rows = [f"{stage:12s} {taken:8.1f} ms {100 * taken / whole:5.1f}%" for stage, taken in breakdown.items()]
    return "\n".join(["an iteration", *rows, f"{'in all':12s} {whole:8.1f} ms"])


def growth_table(growth: list[tuple[int, int, float]]) -> str:
    """Patches a second, by the batch size and the width of the batch."""
    widths = list(dict.fromkeys(width for _, width, _ in growth))
    lines = ["patches/s by width", f"{'batch':>6s}" + "".join(f"{width:>10d}" for width in widths)]
    for batch in dict.fromkeys(batch for batch, _, _ in growth):
        taken = [milliseconds for size, _, milliseconds in growth if size == batch]
        lines.append(f"{batch:6d}" + "".join(f"{batch / one * 1e3:10,.1f}" for one in taken))
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main)
