"""Whether all ranks begin the same run: nodes may have other files, or not see the folder of the run."""

from __future__ import annotations

import socket

import msgspec

from ocr.config import Config
from ocr.errors import UsageError
from trainer.ranks.process_group import Process, gathered

MAY_DIFFER = {"workers", "train_data", "val_data"}
"""Config keys that each node may set for itself: its cores, and where its copy of the shards lies."""


def check_same_run(process: Process, config: Config, iteration: int, fingerprints: tuple[str, str]) -> None:
    """Raise UsageError, on every rank, where one has another config, other samples or another checkpoint.

    Without it they would train on, each its own way, or wait for each other for ever.
    """
    keys = {key: value for key, value in msgspec.to_builtins(config).items() if key not in MAY_DIFFER}
    data = {"training samples": fingerprints[0], "validation samples": fingerprints[1]}
    found = gathered((socket.gethostname(), keys | data | {"iterations so far": iteration}), process)
    _, first = found[0]
    for rank, (host, told) in enumerate(found):
        for name, value in told.items():
            if value != first[name]:
                raise UsageError(
                    f"rank {rank} on {host} has {name}: {short(value)} where rank 0 has {short(first[name])}; give "
                    "every node the same config and shards, and --saved-models on a disk that all of them see"
                )


def short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 20 else f"{text[:20]}…"
