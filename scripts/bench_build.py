"""How fast the shard builder is, beside the way it replaces and beside the floor.

(a)  unzip, crop with PIL, save a PNG a word, write a CSV: one process
(a') the same, decoded in grey and with PNGs at zlib's fastest level: "lean"
(b)  `python -m shard_builder --workers 1`, (c) with two workers
(d)  the floor: grey decode, crop and JPEG encode of the same pages from memory, and nothing else

They take turns, once a round; a ratio is that of two in the same round, and the median of the rounds is shown. (a) to
(c) are commands timed from start to end. What a long build comes to is without the start, which is shown as well.
Memory and disk are watched in runs of their own.

11 minutes on two cores and 10 GB of disk; --quick takes 2 minutes and 4 GB, for one round.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.commands import Usage, timed
from bench.dataset import DrawnPage, draw_pages, write_dataset
from bench.floor import Floor, floor_of
from bench.machine import ROOT, Machine, print_machine, this_machine
from bench.stages import WHOLE, inflate_milliseconds, stages

from ocr.errors import UsageError, run_command
from ocr.shards.manifest import Manifest, read_manifest

UNZIP, LEAN = "(a)  unzip, PIL, PNG, CSV", "(a') lean: in grey, fast PNG"
ONE, TWO = "(b)  shard_builder, 1 worker", "(c)  shard_builder, 2 workers"
ONE_AT_WORK, TWO_AT_WORK = "     without its start, 1 worker", "     without its start, 2 workers"
FLOOR_ONE, FLOOR_TWO = "(d)  floor, 1 process", "(d)  floor, 2 processes"
FLOOR_OF = {ONE: FLOOR_ONE, ONE_AT_WORK: FLOOR_ONE, TWO: FLOOR_TWO, TWO_AT_WORK: FLOOR_TWO}
WANTED = "(b) 5 x (a), (c) 10 x (a), 0.80 of (d), 350 MB a worker for any number of pages, nothing outside OUT"
MEGABYTE = 1e6


class Sizes(msgspec.Struct, frozen=True):
    """How many pages each takes, (a) and (d) those that are drawn; a worker gets whole groups of 704 and more."""

    num_rounds: int
    drawn: int
    one_worker: int
    two_workers: int
    watched: tuple[int, ...]
    disk_gigabytes: int


FULL = Sizes(5, 60, 1_408, 2_816, (100, 1_500, 5_000), 10)
QUICK = Sizes(1, 40, 704, 1_408, (100, 1_408), 4)


class Pace(msgspec.Struct, frozen=True):
    """`cpu_milliseconds` are those of all processes, a page: a busy machine changes them less than pages/s."""

    pages_a_second: float
    cpu_milliseconds: float | None = None


Round = dict[str, Pace]
"""By contender."""


class Watched(msgspec.Struct, frozen=True):
    """A build with two workers whose memory and disk were looked at."""

    num_pages: int
    shard_bytes: int
    usage: Usage


class Result(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    sizes: Sizes
    pages: str
    rounds: list[Round]
    watched: list[Watched]
    milliseconds: dict[str, float]
    inflate_milliseconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the shard builder beside unzipping, and beside the floor.")
    parser.add_argument("--quick", action="store_true", help="one round of fewer pages")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder on the disk to measure on; default $TMPDIR")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(dir=arguments.work, prefix="bench-build-") as folder:
        check(Path(folder), sizes)
        result = measure(Path(folder), sizes)
    print_result(result)
    print(msgspec.json.encode(result).decode())


def check(work: Path, sizes: Sizes) -> None:
    if sys.platform != "linux":
        raise UsageError("bench_build.py looks at memory and disk through /proc, which only Linux has")
    if (free := shutil.disk_usage(work).free / 1e9) < sizes.disk_gigabytes:
        raise UsageError(f"{work}: {free:.1f} GB free, {sizes.disk_gigabytes} needed; name a folder with --work")


def measure(work: Path, sizes: Sizes) -> Result:
    machine = this_machine(("opencv-python-headless", "numpy", "pillow", "msgspec", "joblib"))
    say(f"draw {sizes.drawn} pages, write zips of {max(sizes.watched):,}")
    pages = draw_pages(sizes.drawn, machine.num_cores)
    few = write_dataset(work / "few", pages, sizes.drawn)
    many = write_dataset(work / "many", pages, max(sizes.watched))
    watched = [watch(many, work, num_pages) for num_pages in sizes.watched]
    with ExitStack() as opened:
        floors = {
            name: opened.enter_context(floor_of(num_processes, pages))
            for name, num_processes in ((FLOOR_ONE, 1), (FLOOR_TWO, 2))
        }
        rounds = [one_round(work, few, many, floors, sizes) for _ in range(sizes.num_rounds)]
    say("the steps of a job")
    return Result(
        machine=machine,
        sizes=sizes,
        pages=describe(pages),
        rounds=rounds,
        watched=watched,
        milliseconds=stages(many, work / "stages", num_pages=min(sizes.watched)),
        inflate_milliseconds=inflate_milliseconds(pages),
    )


def describe(pages: Sequence[DrawnPage]) -> str:
    width, height = median(page.width for page in pages), median(page.height for page in pages)
    num_words = mean(len(page.boxes) for page in pages)
    num_bytes = mean(len(page.image) for page in pages)
    return f"{width:g}x{height:g} px (median), {num_words:.1f} words and {num_bytes / MEGABYTE:.2f} MB (mean)"


def watch(dataset: Path, work: Path, num_pages: int) -> Watched:
    out = work / "out"
    manifest, usage = build(dataset, work, 2, num_pages, look_at=out)
    say(f"{num_pages:,} pages: {usage.seconds:.1f} s, {usage.seen.worker_bytes / MEGABYTE:.0f} MB a worker")
    return Watched(num_pages, sum(shard.num_bytes for shard in manifest.shards), usage)


def one_round(work: Path, few: Path, many: Path, floors: dict[str, Floor], sizes: Sizes) -> Round:
    paces: Round = {}
    for name, options in ((UNZIP, []), (LEAN, ["--lean"])):
        paces[name] = pace(sizes.drawn, unzip(few, work, options))
    for name, at_work, workers, num_pages in (
        (ONE, ONE_AT_WORK, 1, sizes.one_worker),
        (TWO, TWO_AT_WORK, 2, sizes.two_workers),
    ):
        manifest, usage = build(many, work, workers, num_pages)
        paces[name] = pace(num_pages, usage)
        paces[at_work] = Pace(workers * num_pages / manifest.worker_seconds)
        paces[FLOOR_OF[name]] = Pace(*floors[FLOOR_OF[name]]())
    say("pages/s: " + ", ".join(f"{name.strip()} {each.pages_a_second:.1f}" for name, each in paces.items()))
    return paces


def pace(num_pages: int, usage: Usage) -> Pace:
    return Pace(num_pages / usage.seconds, usage.cpu_seconds / num_pages * 1e3)


def unzip(dataset: Path, work: Path, options: Sequence[str]) -> Usage:
    out = work / "unzipped"
    usage = timed([sys.executable, ROOT / "scripts/bench/unzip_way.py", dataset, out, *options], work)
    shutil.rmtree(out)
    return usage


def build(
    dataset: Path, work: Path, workers: int, num_pages: int, look_at: Path | None = None
) -> tuple[Manifest, Usage]:
    out = work / "out"
    options = ["--training", "--workers", str(workers), f"train_images={num_pages}"]
    usage = timed([sys.executable, "-m", "shard_builder", "--dataset", dataset, "--out", out, *options], work, look_at)
    manifest = read_manifest(out / "training/select_data")
    assert manifest and manifest.pages["written"] == num_pages, manifest
    shutil.rmtree(out)
    return manifest, usage


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def print_result(result: Result) -> None:
    print_machine(result.machine)
    print(f"{result.sizes.drawn} pages: {result.pages}; medians of {result.sizes.num_rounds}\n")
    print_paces(result.rounds)
    print_watched(result.watched)
    print_steps(result.milliseconds, result.inflate_milliseconds)
    print(f"wanted: {WANTED}\n")


def print_paces(rounds: Sequence[Round]) -> None:
    def ratio(name: str, other: str) -> float:
        return median(paces[name].pages_a_second / paces[other].pages_a_second for paces in rounds)

    print(f"{'':34}{'pages/s':>10}{'x (a)':>8}{'x lean':>8}{'of (d)':>8}{'CPU ms a page':>16}")
    for name in rounds[0]:
        rate = median(paces[name].pages_a_second for paces in rounds)
        of_floor = f"{ratio(name, FLOOR_OF[name]):.2f}" if name in FLOOR_OF else ""
        cpu = [paces[name].cpu_milliseconds or 0.0 for paces in rounds]
        shown_cpu = f"{median(cpu):.1f}" if all(cpu) else ""
        ratios = f"{ratio(name, UNZIP):8.1f}{ratio(name, LEAN):8.1f}"
        print(f"{name:34}{rate:10.1f}{ratios}{of_floor:>8}{shown_cpu:>16}")


def print_watched(watched: Sequence[Watched]) -> None:
    print(f"\n{'':21}{'disk, MB':^24}{'memory, MB':^24}")
    print(f"{'2 workers: pages':21}{'shards':>10}{'OUT at most':>14}{'a worker':>10}{'the command':>14}")
    for each in watched:
        seen = each.usage.seen
        sizes = (each.shard_bytes, seen.out_bytes, seen.worker_bytes, seen.command_bytes)
        shards, out, worker, command = (f"{size / MEGABYTE:,.0f}" for size in sizes)
        print(f"{each.num_pages:<21,}{shards:>10}{out:>14}{worker:>10}{command:>14}")
    temp_bytes = max(each.usage.seen.temp_bytes for each in watched)
    elsewhere = {path for each in watched for path in each.usage.seen.elsewhere}
    print(f"outside OUT: {temp_bytes} bytes in the temporary folder, open for writing: {elsewhere or 'nothing'}")


def print_steps(milliseconds: dict[str, float], inflate: float) -> None:
    whole = milliseconds[WHOLE]
    steps = {step: each for step, each in milliseconds.items() if step != WHOLE}
    steps["the rest"] = whole - sum(steps.values())
    print(f"\n{'CPU ms a page, 1 worker':34}{whole:10.2f}")
    for step, each in steps.items():
        print(f"  {step:32}{each:10.2f}{each / whole:8.1%}")
    print(f"  {'an image that is deflated: more':32}{inflate:10.2f}{inflate / whole:8.1%}\n")


if __name__ == "__main__":
    run_command(main)
