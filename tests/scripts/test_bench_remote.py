"""The ways to train that are compared give the same batches."""

from __future__ import annotations

from argparse import Namespace
from itertools import islice
from pathlib import Path

from bench.file_server import serving
from bench_remote import WAYS, batches_of

from tests.trainer.conftest import number_shards


def test_every_way_gives_the_same_batches(tmp_path: Path) -> None:
    shards = tmp_path / "training/select_data"
    number_shards(shards, num_shards=2, samples_per_shard=20)
    found = []
    with serving(shards.parent) as server:
        for way in WAYS:
            cache = tmp_path / "cache"
            arguments = Namespace(one=way, shards=shards, url=server.url, cache=cache, batch_size=8, workers=0)
            found.append([batch.keys for batch in islice(batches_of(arguments), 7)])
    assert all(keys == found[0] for keys in found)
