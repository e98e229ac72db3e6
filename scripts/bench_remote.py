"""How fast training reads shards behind a URL, and how long a device waits for them, beside the same shards on disk.

    python scripts/bench_remote.py --shards shards/training/select_data

A web server in this process waits 20 ms before every reply. A run reads `--samples` in a process of its own, the ways
taking turns; figures are medians of `--repeats` runs. Samples/s are of a loader that nobody holds up. Then a device
takes `--device` samples/s: what it waits for is the share of its time in which no batch was there. All the work, the
server's included, is done by the cores of this machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import TYPE_CHECKING

import msgspec
from bench.file_server import serving
from bench.machine import print_machine, this_machine

from ocr.errors import run_command
from ocr.plumbing.progress import progress

if TYPE_CHECKING:
    from trainer.data.batch import Batch

DISK, REMOTE, COLD, WARM = "disk", "server", "server, empty cache", "server, full cache"
WAYS = (DISK, REMOTE, COLD, WARM)
PACKAGES = ("torch", "fsspec", "aiohttp", "opencv-python-headless")


class Run(msgspec.Struct, frozen=True):
    """As fast as it comes, or `paced` by a device; what the latter waited for is a share of all its time."""

    way: str
    paced: bool
    samples_per_second: float
    first_batch_seconds: float
    waiting_share: float


def main() -> None:
    arguments = parse_arguments()
    if arguments.one:
        print(json.dumps(msgspec.to_builtins(measured(arguments))))
        return
    turns = [(way, paced) for _ in range(arguments.repeats) for paced in (False, True) for way in WAYS]
    with tempfile.TemporaryDirectory() as folder, serving(arguments.shards.parent, arguments.delay) as server:
        cache = Path(folder) / "cache"
        runs, fetched = [], dict.fromkeys(WAYS, 0.0)
        for way, paced in progress(turns, "bench", "runs"):
            if way == COLD:
                shutil.rmtree(cache, ignore_errors=True)
            before = server.num_bytes
            runs.append(run_apart(way, paced, server.url, cache, arguments))
            fetched[way] = (server.num_bytes - before) / 1e6
    print_machine(this_machine(PACKAGES))
    print_table(runs, fetched, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare training from a distant server with training from disk.")
    parser.add_argument("--shards", type=Path, required=True, metavar="DIR", help="shards with their indexes")
    parser.add_argument("--delay", type=float, default=0.02, metavar="S", help="before every reply; default 0.02")
    parser.add_argument("--device", type=int, default=1_000, metavar="N", help="samples/s of the device; default 1000")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="loader processes")
    parser.add_argument("--samples", type=int, default=20_000, metavar="N", help="that a run reads")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--paced", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_apart(way: str, paced: bool, url: str, cache: Path, arguments: argparse.Namespace) -> Run:
    command = [sys.executable, __file__, "--one", way, "--url", url, "--cache", str(cache)]
    for name in ("shards", "device", "workers", "samples", "batch_size"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    done = subprocess.run([*command, *(["--paced"] if paced else [])], check=True, stdout=subprocess.PIPE, text=True)
    return msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=Run)


def measured(arguments: argparse.Namespace) -> Run:
    import torch

    torch.set_num_threads(1)
    start = monotonic()
    batches = batches_of(arguments)
    next(batches)
    first_seconds, begin = monotonic() - start, monotonic()
    num_read, waiting_seconds = 0, 0.0
    while num_read < arguments.samples:
        asked = monotonic()
        num_read += len(next(batches).keys)
        waiting_seconds += monotonic() - asked
        if arguments.paced:
            sleep(arguments.batch_size / arguments.device)
    seconds = monotonic() - begin
    return Run(arguments.one, arguments.paced, num_read / seconds, first_seconds, waiting_seconds / seconds)


def batches_of(arguments: argparse.Namespace) -> Iterator[Batch]:
    """Training batches, one way."""
    import torch

    from ocr.charset import Charset
    from ocr.config import Config
    from ocr.shards.manifest import find_shards
    from ocr.shards.shard_index import read_index
    from trainer.data.data_sources import training_shards
    from trainer.data.loader import training_batches
    from trainer.data.sample_filter import Recipe
    from trainer.ranks.process_group import Process

    config = Config(
        train_data=str(arguments.shards.parent) if arguments.one == DISK else arguments.url,
        select_data=arguments.shards.name,
        cache_dir=str(arguments.cache) if arguments.one in (COLD, WARM) else None,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        data_filtering_off=True,
        img_width=4096,
    )
    indexes = [index for shard in find_shards(str(arguments.shards)) if (index := read_index(shard))]
    recipe = Recipe(config, Charset("".join(sorted({*"".join(text for index in indexes for text in index.texts())}))))
    return training_batches(training_shards(recipe), recipe, Process(0, 1, torch.device("cpu")))


def print_table(runs: list[Run], fetched: dict[str, float], arguments: argparse.Namespace) -> None:
    num_bytes = sum(path.stat().st_size for path in arguments.shards.glob("*.tar"))
    print(
        f"shards of {num_bytes / 1e6:,.0f} MB, {arguments.workers} workers, {arguments.delay * 1000:g} ms a reply, "
        f"a device of {arguments.device:,} samples/s\n{'':20s} samples/s  first batch  device waits  MB fetched"
    )
    for way in WAYS:
        fast, paced = ([run for run in runs if run.way == way and run.paced == which] for which in (False, True))
        rate, first = median(run.samples_per_second for run in fast), median(run.first_batch_seconds for run in fast)
        waits = median(run.waiting_share for run in paced)
        print(f"{way:20s} {rate:9,.0f} {first:10.2f} s {waits:13.1%} {fetched[way]:11,.0f}")


if __name__ == "__main__":
    run_command(main)
