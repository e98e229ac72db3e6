"""How a run is asked to stop, and how all ranks come to do it behind the same iteration."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import torch
import torch.distributed as dist

from trainer.ranks.process_group import Process

STOP_SIGNALS = [number for name in ("SIGTERM", "SIGUSR1") if (number := getattr(signal, name, None))]
AGREE_PERIOD = 8  # iterations


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """The signals that came so far; as long as the block lasts, they do not end the process by themselves."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in STOP_SIGNALS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_stopping_to_the_run(_: int) -> None:
    """In a loader worker: end at SIGTERM only where it is the run that sends it.

    torchrun and Slurm send theirs to every process, and the run needs its workers until it stops.
    """
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=end_when_the_run_says_so, daemon=True).start()


def end_when_the_run_says_so() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


class Agreement:
    """What any rank wishes, known to all behind the same iteration.

    Several ranks begin a sum every AGREE_PERIOD iterations and look at it AGREE_PERIOD iterations later, when it has
    long arrived. It goes from CPU to CPU: no rank waits, and no GPU.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.begun: tuple[torch.Tensor, dist.Work] | None = None

    def reached(self, wishes: list[bool], iteration: int) -> list[bool]:
        """Which of the wishes is to be fulfilled now. To be asked by every rank behind every iteration."""
        if self.process.num_ranks == 1:
            return wishes
        if iteration % AGREE_PERIOD:
            return [False] * len(wishes)
        agreed = [False] * len(wishes)
        if self.begun:
            sums, work = self.begun
            work.wait()
            agreed = [number > 0 for number in sums.tolist()]
        sums = torch.tensor([wish and not now for wish, now in zip(wishes, agreed, strict=True)], dtype=torch.int32)
        work = dist.all_reduce(sums, async_op=True)
        assert work is not None
        self.begun = sums, work
        return agreed
