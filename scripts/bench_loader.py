"""How fast loaders feed a trainer with word patches: ours, stock WebDataset, EasyOCR's trainer, MDS, litdata, LMDB.

    pip install -e '.[bench]'
    python scripts/bench_loader.py --shards shards/training/select_data --work bench --json bench.json

Every figure is the median of `--repeats` runs, each in a process of its own, the loaders taking turns; so what else the
machine does meets all of them. What our trainer does for Python's memory (ocr/plumbing/memory.py) is done for all.
Loaders whose package is not installed are left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import monotonic

import msgspec
from bench.loaders import LOADERS, Loader, Setup, bytes_on_disk, forget, patches_of

from ocr.errors import UsageError, run_command
from ocr.plumbing.memory import keep_freed_memory, spare_what_was_imported
from ocr.plumbing.progress import progress

PACKAGES = (
    "torch",
    "numpy",
    "opencv-python-headless",
    "webdataset",
    "mosaicml-streaming",
    "litdata",
    "lmdb",
    "easyocr",
)


FIGURES = ("samples_per_second", "first_batch_seconds", "cpu_microseconds")


class Run(msgspec.Struct, frozen=True):
    """One run of one loader. `cpu_microseconds` is CPU time a sample, over all processes."""

    loader: str
    workers: int
    cold: bool
    samples_per_second: float
    first_batch_seconds: float
    cpu_microseconds: float


def main() -> None:
    arguments = parse_arguments()
    if arguments.one:
        print(json.dumps(msgspec.to_builtins(measured(arguments))))
        return
    loaders = [loader for loader in LOADERS if find_spec(loader.package)]
    for loader in LOADERS:
        if loader not in loaders:
            print(f"{loader.name}: left out, package {loader.package} is not installed", file=sys.stderr)
    patches = patches_of(arguments.shards)
    for loader in loaders:
        prepare(loader, patches, arguments.work)
    settings = [(workers, cold) for cold in (False, True) for workers in arguments.workers]
    turns = [(loader, *setting) for _ in range(arguments.repeats) for setting in settings for loader in loaders]
    runs = [run_apart(*turn, arguments) for turn in progress(turns, "bench", "runs")]
    jpeg_bytes = sum(len(jpeg) for jpeg, _ in patches) / len(patches)
    report = {
        "machine": machine(),
        "patches": len(patches),
        "batch_size": arguments.batch_size,
        "mean_patch_bytes": round(jpeg_bytes),
        "runs": [msgspec.to_builtins(run) for run in runs],
        "bytes_on_disk": {loader.name: disk(loader, arguments) for loader in loaders},
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    print(
        f"{report['machine']}\n{len(patches):,} patches of {jpeg_bytes:,.0f} bytes, batches of {arguments.batch_size}\n"
    )
    for workers, cold in settings:
        print(table([run for run in runs if (run.workers, run.cold) == (workers, cold)], jpeg_bytes, arguments))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare loaders of word patches.")
    parser.add_argument("--shards", type=Path, required=True, metavar="DIR", help="shards with their indexes")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="where the others' files are written")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], metavar="N", help="loader processes")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--seconds", type=float, default=4.0, metavar="S", help="how long a run reads at most")
    parser.add_argument("--one", metavar="LOADER", help=argparse.SUPPRESS)
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def folder_of(loader: Loader, arguments: argparse.Namespace) -> Path:
    work: Path = arguments.work
    shards: Path = arguments.shards
    return work / loader.name if loader.write else shards


def disk(loader: Loader, arguments: argparse.Namespace) -> int:
    return bytes_on_disk(folder_of(loader, arguments))


def prepare(loader: Loader, patches: list[tuple[bytes, str]], work: Path) -> None:
    """Write a loader's files once; a folder that is there is taken as it is."""
    if loader.write and not (work / loader.name).exists():
        beside = work / f".{loader.name}"
        beside.mkdir(parents=True)
        loader.write(patches, beside)
        beside.rename(work / loader.name)
        os.sync()  # what is not on disk yet cannot be dropped from the page cache


def run_apart(loader: Loader, workers: int, cold: bool, arguments: argparse.Namespace) -> Run:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--one", loader.name, "--workers", str(workers)]
    for name in ("shards", "work", "batch_size", "seconds"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    result = subprocess.run([*command, *(["--cold"] if cold else [])], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UsageError(f"{loader.name}, {workers} workers: {result.stderr.strip()[-2000:]}")
    return msgspec.json.decode(result.stdout.strip().splitlines()[-1], type=Run)


def measured(arguments: argparse.Namespace) -> Run:
    import torch

    torch.set_num_threads(1)
    keep_freed_memory()
    (workers,) = arguments.workers
    loader = next(loader for loader in LOADERS if loader.name == arguments.one)
    setup = Setup(arguments.shards, folder_of(loader, arguments), arguments.batch_size, workers)
    batches = loader.read(setup)
    next(batches)  # everything is imported
    spare_what_was_imported()
    if arguments.cold:
        forget(setup.folder)
    start, start_cpu = monotonic(), cpu_seconds()
    first = next(batches)
    first_seconds, begin, samples = monotonic() - start, monotonic(), 0
    for size in batches:
        samples += size
        if monotonic() - begin > arguments.seconds:
            break
    seconds = monotonic() - begin
    del batches  # the workers end, and their CPU time is known
    cpu = (cpu_seconds() - start_cpu) / (samples + first) * 1e6
    return Run(loader.name, workers, arguments.cold, samples / seconds, first_seconds, cpu)


def cpu_seconds() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def table(runs: list[Run], jpeg_bytes: float, arguments: argparse.Namespace) -> str:
    """Medians; the ratio is ours over the loader's, in the median of the turns that both took."""
    of = {name: [run for run in runs if run.loader == name] for name in dict.fromkeys(run.loader for run in runs)}
    lines = [
        f"{runs[0].workers} workers, {'cold' if runs[0].cold else 'warm'} page cache",
        f"{'loader':20s}  samples/s   MB/s  first batch  CPU µs  MB on disk  ours is",
    ]
    for name, own in of.items():
        rate, first, cpu = (median(getattr(run, field) for run in own) for field in FIGURES)
        ratio = median(a.samples_per_second / b.samples_per_second for a, b in zip(of["ours"], own, strict=True))
        size = disk(next(loader for loader in LOADERS if loader.name == name), arguments) / 1e6
        speed = f"{rate:10,.0f} {rate * jpeg_bytes / 1e6:6.1f} {first:10.2f} s {cpu:7.0f}"
        lines.append(f"{name:20s} {speed} {size:11.0f} {ratio:7.2f}x")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """The machine, the versions and the commit that figures belong to."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    cpu = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), platform.machine()
    )
    return (
        f"{os.cpu_count()} cores of {cpu.partition(': ')[2] or cpu}, {platform.system()}, Python "
        f"{platform.python_version()}, {', '.join(found)}, commit {commit.stdout.strip()}"
    )


if __name__ == "__main__":
    run_command(main)
