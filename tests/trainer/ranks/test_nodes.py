"""Several nodes: torchrun's agents of two nodes meet, and a worker that is killed comes again."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from ocr.config import Config, save_config
from ocr.networks.weight_files import read_weights
from tests.trainer.conftest import SMALL, changed
from trainer.ranks.fresh_store import fresh_store

ROOT = Path(__file__).parents[3]

TRAIN = """
import os, signal, sys
from itertools import count
from pathlib import Path
import torch
from ocr.config import load_config
from trainer import train

folder = Path(sys.argv[1])
killed = folder / "was killed"
torch.set_num_threads(1)

def step(*arguments, step=train.step, iterations=count(1)):
    if next(iterations) == 4 and os.environ["RANK"] == "1" and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

train.step = step
for name in ("killed", "whole"):
    train.train(load_config(folder / "mine.yaml"), folder / name)
"""
"""Trains twice; one process of rank 1 dies in the fourth iteration of the first run and comes again."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run_all(commands: Sequence[tuple[list[str], dict[str, str]]]) -> list[tuple[int, str]]:
    """Run commands, each with its environment, at the same time; gives the exit code and the output of each."""
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command, environment in commands
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.terminate()  # torchrun ends its workers then
    return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]


def ranks(script: str, num_ranks: int) -> list[tuple[int, str]]:
    """A script in a process a rank, without torchrun."""
    world = {"WORLD_SIZE": str(num_ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return run_all([([sys.executable, "-c", script], world | {"RANK": str(rank)}) for rank in range(num_ranks)])


def nodes(script: Path, folder: Path, num_nodes: int) -> list[tuple[int, str]]:
    """`torchrun` as it is started on each of several nodes, all on this machine, a rank each."""
    meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "test")
    sizes = ("--nnodes", str(num_nodes), "--nproc-per-node", "1", "--max-restarts", "1")
    torchrun = [sys.executable, "-m", "torch.distributed.run", *sizes, *meeting, str(script), str(folder)]
    return run_all([(torchrun, {"PYTHONPATH": str(ROOT)})] * num_nodes)


def blocks(folder: Path) -> list[str]:
    log = (folder / "log_train.txt").read_text(encoding="utf-8")
    return re.findall(r"^\[\d+/\d+\]$|Training loss: [0-9.]+ \| Validation loss: [0-9.]+", log, flags=re.MULTILINE)


def test_a_worker_that_is_killed_on_one_of_two_nodes_comes_again_bit_for_bit(config: Config, tmp_path: Path) -> None:
    """Killed behind the checkpoint of iteration 2; 6 iterations in all, as if it had not been."""
    save_config(changed(config, val_period=2, n_iter=6, batch_size=16, **SMALL), tmp_path / "mine.yaml")
    (tmp_path / "train.py").write_text(TRAIN)
    ended = nodes(tmp_path / "train.py", tmp_path, num_nodes=2)
    assert [code for code, _ in ended] == [0, 0], ended
    assert (tmp_path / "was killed").exists()
    assert blocks(tmp_path / "killed/numbers") == blocks(tmp_path / "whole/numbers")
    first, second = (read_weights(tmp_path / name / "numbers/last.pth").tensors for name in ("whole", "killed"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_try_finds_nothing_that_an_earlier_one_left_in_the_store() -> None:
    """… not even the question of a rank that died before it was answered."""
    kept = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for _ in range(3):
        kept.set("rank 1 asks", "the word of a dead process")
        with ThreadPoolExecutor(3) as pool:
            ranks = [pool.submit(fresh_store, TCPStore("127.0.0.1", kept.port), rank, 3) for rank in range(3)]
        assert [rank.result().add("ranks so far", 1) for rank in ranks] == [1, 2, 3]


AGREE = """
from ocr.config import Config
from ocr.errors import UsageError
from trainer.ranks.same_run import check_same_run
from trainer.ranks.process_group import joined

with joined() as process:
    for config, iteration, samples in (
        (Config(workers=8, train_data="/local/shards"), 5, "abc"),
        (Config(lr=0.5), 5, "abc"),
        (Config(), 0, "abc"),
        (Config(), 5, "abd"),
    ):
        told = (Config(), 5, "abc") if process.is_main else (config, iteration, samples)
        try:
            check_same_run(process, *told[:2], (told[2], ""))
            print("the same")
        except UsageError as error:
            print(error)
"""


def test_nodes_that_do_not_begin_the_same_run_are_told_so() -> None:
    (code, first), (other_code, second) = ranks(AGREE, num_ranks=2)
    assert (code, other_code) == (0, 0), (first, second)
    assert first == second  # every rank ends
    lines = [re.sub(r" on \S+ has ", " has ", line) for line in first.splitlines()]
    remedy = "give every node the same config and shards, and --saved-models on a disk that all of them see"
    assert lines == [
        "the same",
        f"rank 1 has lr: 0.5 where rank 0 has 1.0; {remedy}",
        f"rank 1 has iterations so far: 0 where rank 0 has 5; {remedy}",
        f"rank 1 has training samples: abd where rank 0 has abc; {remedy}",
    ]
