"""Real runs that meet trouble at a given iteration, in processes of their own: forked, because that takes no import."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import matplotlib.figure  # noqa: F401 (what a run imports late, its forks need not import each)
import pytest
import torch
import torch.utils.tensorboard

from ocr.config import Config
from ocr.errors import run_command
from trainer.step import step as undisturbed
from trainer.train import train

MACHINE = "127.0.0.1"


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def exit_codes(
    config: Config,
    saved: Path,
    *,
    num_ranks: int = 1,
    trouble: Callable[[], None] | None = None,
    iteration: int = 0,
    save_seconds: float = 300.0,
) -> list[int | None]:
    """How the processes of a run end when the last rank meets `trouble` in its `iteration`th step, before it is done.

    Sums over threads are rounded by their number, so runs that are compared to the bit all take one.
    """
    with socket.socket() as free:
        free.bind((MACHINE, 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    ranks = []
    for rank in range(num_ranks):
        mine = trouble if rank == num_ranks - 1 else None
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num_ranks, "MASTER_ADDR": MACHINE, "MASTER_PORT": port}
        ranks.append(context.Process(target=run, args=(config, saved, place, mine, iteration, save_seconds)))
        ranks[-1].start()
    for process in ranks:
        process.join()
    return [process.exitcode for process in ranks]


def run(
    config: Config,
    saved: Path,
    place: dict[str, Any],
    trouble: Callable[[], None] | None,
    iteration: int,
    save_seconds: float,
) -> None:
    os.environ.update({name: str(value) for name, value in place.items()})
    torch.set_num_threads(1)
    steps = count(1)

    def step(*arguments: Any) -> torch.Tensor:
        if trouble and next(steps) == iteration:
            trouble()
        return undisturbed(*arguments)

    patched = pytest.MonkeyPatch()
    patched.setattr("trainer.train.step", step)
    patched.setattr("trainer.train.SAVE_SECONDS", save_seconds)
    patched.setattr("trainer.train.LOG_PERIOD", 1)
    run_command(lambda: print(train(config, saved, saved / "EasyOCR").folder))
