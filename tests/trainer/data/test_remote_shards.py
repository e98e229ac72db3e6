"""Shards behind URLs are trained on as those on disk: the same batches, whatever the network and the cache do."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from bench.file_server import Fault, FileServer, serving

import ocr.remote.shard_cache
import trainer.data.remote_shards
from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.remote.connections import TRAFFIC_METER, RemoteError
from ocr.remote.locations import Url
from ocr.remote.remote_files import upload
from ocr.remote.shard_cache import Cache, RemoteShard
from tests.trainer.conftest import SMALL, changed, number_shards, process, recipe
from trainer.data.batch import Batch
from trainer.data.data_sources import training_shards, validation_shards
from trainer.data.loader import training_batches, validation_batches
from trainer.data.sample_order import Cursor

NUM_BATCHES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """training/select_data: 3 shards of 40 samples; validation/select_data: 2 of 11."""
    found = tmp_path_factory.mktemp("server")
    number_shards(found / "training/select_data", num_shards=3, samples_per_shard=40)
    number_shards(found / "validation/select_data", num_shards=2, samples_per_shard=11, seed=1)
    return found


@pytest.fixture
def server(folder: Path) -> Iterator[FileServer]:
    with serving(folder) as running:
        yield running


@pytest.fixture
def from_disk(folder: Path) -> Config:
    return Config(**SMALL, **places(str(folder)), batch_size=10, workers=0)  # type: ignore[arg-type]


@pytest.fixture
def from_server(from_disk: Config, server: FileServer) -> Config:
    return changed(from_disk, **places(server.url))


def places(root: str) -> dict[str, str]:
    return {"train_data": f"{root}/training", "val_data": f"{root}/validation"}


def trained(
    config: Config, number: int = NUM_BATCHES, cursors: tuple[Cursor, ...] = (), rank: int = 0, num_ranks: int = 1
) -> list[Batch]:
    its = recipe(config)
    return list(islice(training_batches(training_shards(its), its, process(rank, num_ranks), cursors), number))


def validated(config: Config) -> list[Batch]:
    its = recipe(config)
    return list(validation_batches(validation_shards(its), its, process()))


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert [batch.keys for batch in found] == [batch.keys for batch in expected]
    assert [batch.texts for batch in found] == [batch.texts for batch in expected]
    assert [batch.cursors for batch in found] == [batch.cursors for batch in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.patches, other.patches)


@pytest.mark.parametrize("cache", [False, True], ids=["", "with a cache"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_web_server_gives_the_batches_of_the_disk(
    workers: int, cache: bool, from_disk: Config, from_server: Config, tmp_path: Path
) -> None:
    config = changed(from_server, workers=workers, cache_dir=str(tmp_path) if cache else None)
    assert_same(trained(config), trained(from_disk))
    assert_same(validated(config), validated(from_disk))
    for shards in (training_shards, validation_shards):
        assert shards(recipe(config)).fingerprint == shards(recipe(from_disk)).fingerprint


@pytest.mark.parametrize("made_by", ["new_bucket", "new_google_bucket"])
def test_a_bucket_gives_the_batches_of_the_disk(
    made_by: str, from_disk: Config, folder: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(made_by)()
    for path in folder.rglob("*.*"):
        upload(f"{url}/{path.relative_to(folder)}", path)
    config = changed(from_disk, **places(url))
    assert_same(trained(config, 2), trained(from_disk, 2))
    assert_same(validated(changed(config, workers=1)), validated(from_disk))


def test_tars_without_an_index_are_read_from_a_bucket_from_end_to_end(
    from_disk: Config, folder: Path, new_bucket: Callable[[], str]
) -> None:
    url = new_bucket()
    for path in folder.rglob("validation/*/*.tar"):
        upload(f"{url}/{path.relative_to(folder)}", path)
    config = changed(from_disk, val_data=f"{url}/validation")
    keys = sorted(key for batch in validated(config) for key in batch.keys)
    assert keys == sorted(f"word-{number}" for number in range(22))


def test_urls_of_tars_are_taken_as_well(from_disk: Config, server: FileServer) -> None:
    server.has_index_pages = False
    config = changed(from_disk, train_data=f"{server.url}/training/select_data/{{000000..000002}}.tar")
    assert_same(trained(config), trained(from_disk))


def test_a_run_goes_on_from_a_server_where_it_stopped_on_disk(from_disk: Config, from_server: Config) -> None:
    whole = trained(from_disk)
    for rank in (0, 1):
        rest = trained(from_server, NUM_BATCHES - 5, whole[4].cursors, rank, num_ranks=2)
        expected = trained(from_disk, NUM_BATCHES, rank=rank, num_ranks=2)[5:]
        assert_same(rest, expected)


@pytest.mark.parametrize("fault", ["cut", "error", "slow"])
def test_what_breaks_off_is_asked_for_again(
    fault: Fault, from_disk: Config, from_server: Config, server: FileServer, impatient: None
) -> None:
    expected = trained(from_disk)
    server.faults.extend([fault, fault, "", fault])
    assert_same(trained(from_server), expected)
    assert not server.faults


def test_a_server_that_is_gone_ends_the_run_in_one_line(
    from_server: Config, server: FileServer, impatient: None
) -> None:
    server.fault = "error"
    with pytest.raises(RemoteError, match=r"/training/select_data/00000\d.tar: 7 tries failed, the last: 500"):
        trained(from_server)


def test_neighbors_are_fetched_together(from_server: Config, server: FileServer) -> None:
    trained(changed(from_server, batch_size=120), 1)
    described = 1 + 3 * 3  # the manifest that is not there, and of each shard its index and twice its size
    assert server.num_requests <= described + 3


def test_the_second_reader_finds_what_the_first_has_fetched(
    from_disk: Config, from_server: Config, server: FileServer, folder: Path, tmp_path: Path
) -> None:
    config = changed(from_server, cache_dir=str(tmp_path), workers=2)
    shards = folder.glob("training/select_data/*.tar")
    before = server.num_bytes
    assert_same(trained(config), trained(from_disk))
    described = sum(path.stat().st_size for path in folder.glob("training/select_data/*.npz"))
    assert server.num_bytes - before <= described + sum(path.stat().st_size for path in shards) + 1_000
    server.fault = "error"  # of ranges; indexes are read whole
    assert_same(trained(config), trained(from_disk))


def test_a_cache_keeps_to_its_size(
    from_disk: Config, from_server: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr.remote.shard_cache, "BLOCK_BYTES", 2_000)
    config = changed(from_server, cache_dir=str(tmp_path), cache_gb=50_000 / 1e9)
    assert_same(trained(config), trained(from_disk))
    assert 20_000 < sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 60_000


def test_damaged_blocks_are_fetched_again(
    from_disk: Config, from_server: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(from_server, cache_dir=str(tmp_path))
    trained(config)
    blocks = [path for path in tmp_path.glob("*/*") if path.is_file() and path.parent.name != ".locks"]
    blocks[0].write_bytes(bytes(blocks[0].stat().st_size))
    blocks[1].write_bytes(blocks[1].read_bytes()[:1_000])
    assert_same(trained(config), trained(from_disk))
    assert "holds damaged bytes of" in capsys.readouterr().err


def test_a_full_disk_is_said_once_and_no_reason_to_stop(
    from_disk: Config, from_server: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # the system refuses what is longer
    try:
        found = trained(changed(from_server, cache_dir=str(tmp_path)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_same(found, trained(from_disk))
    assert capsys.readouterr().err.count("cache_dir: ") == 1
    assert not [path for path in tmp_path.glob("*/*") if path.parent.name != ".locks"]


def test_what_cannot_be_kept_is_fetched_as_it_is_asked_for(server: FileServer, folder: Path, tmp_path: Path) -> None:
    path = folder / "training/select_data/000000.tar"
    shard = RemoteShard(Url(f"{server.url}/training/select_data/000000.tar"), "0" * 64, path.stat().st_size)
    cache = Cache(tmp_path, 1 << 30)
    cache.can_write = False
    before = TRAFFIC_METER.traffic.num_bytes
    assert cache.read(shard, 1_000, 1_700) == path.read_bytes()[1_000:1_700]
    assert TRAFFIC_METER.traffic.num_bytes - before == 700


def test_a_shard_damaged_on_its_server_is_named(
    from_server: Config, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number_shards(tmp_path / "training/select_data", num_shards=1, samples_per_shard=40)
    shard = tmp_path / "training/select_data/000000.tar"
    content = bytearray(shard.read_bytes())
    content[700:710] = bytes(10)
    with serving(tmp_path) as server:
        config = changed(from_server, train_data=f"{server.url}/training", cache_dir=str(tmp_path / "cache"))
        its = recipe(config)
        shards = training_shards(its)
        shard.write_bytes(content)
        with pytest.raises(DataError, match=r"000000.tar: word-0: its patch is not the one in the index \(checksum\)"):
            list(islice(training_batches(shards, its, process()), 4))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{url}/nowhere", "/nowhere/select_data: no shard (*.tar) there"),
        ("s3://no-such-bucket/shards", "s3://no-such-bucket/shards/select_data: no shard (*.tar) there"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    data: str, words: str, from_disk: Config, server: FileServer, new_bucket: Callable[[], str]
) -> None:
    with pytest.raises(UsageError) as raised:
        trained(changed(from_disk, train_data=data.format(url=server.url)))
    assert words in str(raised.value)


def test_small_groups_follow_one_another(
    from_server: Config, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer.data.remote_shards, "LEAST_BYTES", 30_000)
    monkeypatch.setattr(trainer.data.remote_shards, "GROUP_BYTES", 30_000)
    its = recipe(from_server)
    batches = training_batches(training_shards(its), its, process())
    before, asked = server.num_requests, []
    for _ in range(NUM_BATCHES):
        next(batches)
        asked.append(server.num_requests - before)
    assert asked == sorted(asked)
    assert asked[0] < asked[-1]
