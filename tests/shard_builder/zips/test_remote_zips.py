"""Zips behind URLs give the shards that they give on disk, byte for byte, whatever the network does meanwhile."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.file_server import Fault, FileServer, serving

import shard_builder.plan
from ocr.config import Config
from ocr.errors import UsageError
from ocr.remote.connections import TRAFFIC_METER, RemoteError
from ocr.remote.remote_files import upload
from shard_builder.build import build
from shard_builder.splits import SPLITS
from shard_builder.zips.archives import find_archives, read_at
from shard_builder.zips.dataset_files import dataset_of
from tests.shard_builder.made_zips import (
    MadePage,
    cut,
    jpeg,
    sha256_of_files,
    write_dataset,
    write_half,
    write_tar,
)

ROOT = Path(__file__).parents[3]
SIZES = {"train_images": 6, "val_images": 3, "eval_images": 2}
CONFIG = Config(**SIZES)  # type: ignore[arg-type]
NUM_PAGES = {"Training": 14, "Validation": 8}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More pages than are asked for, each larger than what is said of it."""
    folder = tmp_path_factory.mktemp("server") / "공공 행정"
    for half, num_pages in NUM_PAGES.items():
        code = {"Training": "5350109", "Validation": "5350036"}[half]
        pages = [MadePage(f"{code}-2001-0001-{page:04d}", jpeg(page, 900, 700)) for page in range(num_pages)]
        write_half(folder, half, pages)
    return folder


@pytest.fixture(scope="module")
def from_disk(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("from_disk")
    build(CONFIG, dataset, out, SPLITS, workers=1)
    return sha256_of_files(out)


@pytest.fixture
def server(dataset: Path) -> Iterator[FileServer]:
    with serving(dataset.parent) as running:
        yield running


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_builder.plan, "PAGES_A_GROUP", 2)


def folder_of(server: FileServer, bucket: Callable[[], str], tmp_path: Path) -> str:
    return f"{server.url}/공공 행정/"


def zips_of(server: FileServer, bucket: Callable[[], str], tmp_path: Path) -> str:
    server.has_index_pages = False
    names = "Training/[라벨]train,Training/[원천]train,Validation/[라벨]validation,Validation/[원천]validation"
    return f"{server.url}/공공%20행정/{{{names}}}.zip"


def list_of(server: FileServer, bucket: Callable[[], str], tmp_path: Path) -> str:
    server.has_index_pages = False
    names = sorted(path.relative_to(server.folder) for path in server.folder.rglob("*.zip"))
    urls = [f"{server.url}/{name}?signature=a%2Fb" for name in names]
    (tmp_path / "zips.txt").write_text("\n".join(["# four of them", *urls]), encoding="utf-8")
    return f"@{tmp_path / 'zips.txt'}"


def bucket_of(server: FileServer, bucket: Callable[[], str], tmp_path: Path) -> str:
    url = bucket()
    for path in server.folder.rglob("*.zip"):
        upload(f"{url}/{path.relative_to(server.folder)}", path)
    return f"{url}/공공 행정"


def pieces_in_a_bucket(server: FileServer, bucket: Callable[[], str], tmp_path: Path) -> str:
    """download.tar, with two zips in pieces, beside two zips as they are."""
    url = bucket()
    members = []
    for path in sorted(server.folder.rglob("*.zip")):
        name = str(path.relative_to(server.folder / "공공 행정"))
        if "train" in name:
            members += [(f"{name}.part{number}", piece) for number, piece in enumerate(cut(path.read_bytes(), 3))]
        else:
            upload(f"{url}/{name}", path)
    upload(f"{url}/download.tar", write_tar(tmp_path / "download.tar", members))
    return url


WAYS = (folder_of, zips_of, list_of, bucket_of, pieces_in_a_bucket)


def bytes_needed(dataset: Path) -> int:
    """Of the chosen pages' entries and of all directories."""
    num_bytes = 0.0
    for path in dataset.rglob("*.zip"):
        with zipfile.ZipFile(path) as opened:
            entries = sum(info.compress_size + 30 + len(info.orig_filename.encode()) for info in opened.infolist())
            chosen = 6 / 14 if "train" in path.name else 5 / 8
            num_bytes += chosen * entries + path.stat().st_size - opened.start_dir
    return int(num_bytes)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_shards_and_only_the_bytes_of_the_chosen_pages(
    way: Callable[[FileServer, Callable[[], str], Path], str],
    server: FileServer,
    dataset: Path,
    from_disk: dict[str, str],
    new_bucket: Callable[[], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = way(server, new_bucket, tmp_path)
    before = TRAFFIC_METER.traffic
    build(CONFIG, dataset_of(named), tmp_path / "out", SPLITS, workers=1)
    fetched = TRAFFIC_METER.traffic - before
    if way is not pieces_in_a_bucket:  # its manifest says that the zips came in pieces of a tar
        assert sha256_of_files(tmp_path / "out") == from_disk
        assert fetched.num_bytes <= 1.1 * bytes_needed(dataset)
    else:
        assert {name: sha for name, sha in sha256_of_files(tmp_path / "out").items() if ".json" not in name} == {
            name: sha for name, sha in from_disk.items() if ".json" not in name
        }
    assert f"fetched {fetched.num_bytes / 1e6:,.1f} MB in {fetched.num_requests:,} requests" in capsys.readouterr().out


def test_what_is_said_to_be_fetched_is_what_the_server_sent(server: FileServer, tmp_path: Path) -> None:
    before = TRAFFIC_METER.traffic
    named = zips_of(server, lambda: "", tmp_path)
    build(CONFIG, dataset_of(named), tmp_path / "out", SPLITS, workers=1)
    assert (TRAFFIC_METER.traffic - before).num_bytes == server.num_bytes


@pytest.mark.parametrize("fault", ["cut", "error", "busy", "slow"])
def test_what_breaks_off_is_asked_for_again(
    fault: Fault, server: FileServer, from_disk: dict[str, str], tmp_path: Path, impatient: None
) -> None:
    server.faults.extend(["", fault, fault, "", ""] * 5)
    before = TRAFFIC_METER.traffic
    named = folder_of(server, lambda: "", tmp_path)
    build(CONFIG, dataset_of(named), tmp_path / "out", SPLITS, workers=1)
    assert sha256_of_files(tmp_path / "out") == from_disk
    assert (TRAFFIC_METER.traffic - before).num_retries == 10


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("whole", "the server ignores Range and would send the whole file"),
        ("denied", "access denied (403"),
    ],
)
def test_what_does_not_get_better_is_said_at_once(
    fault: Fault, words: str, server: FileServer, tmp_path: Path, impatient: None
) -> None:
    server.fault = fault
    with pytest.raises(UsageError, match="공공 행정/Training/") as raised:
        build(CONFIG, dataset_of(folder_of(server, lambda: "", tmp_path)), tmp_path / "out", SPLITS, workers=1)
    assert words in str(raised.value)
    assert server.num_requests < 40


def test_a_build_that_lost_its_server_goes_on(
    server: FileServer, tmp_path: Path, impatient: None, small_groups: None
) -> None:
    named, before = dataset_of(folder_of(server, lambda: "", tmp_path)), TRAFFIC_METER.traffic
    build(CONFIG, named, tmp_path / "whole", ["training"], workers=1)
    server.faults.extend(
        [""] * ((TRAFFIC_METER.traffic - before).num_requests - 5)
    )  # the first of three groups has four
    server.fault = "error"
    with pytest.raises(RemoteError, match="7 tries failed, the last: 500") as raised:
        build(CONFIG, named, tmp_path / "out", ["training"], workers=1)
    assert "run the same command again" in str(raised.value)
    there = set(tmp_path.glob("out/training/select_data/*.tar"))
    assert 0 < len(there) < 3
    assert not list(tmp_path.rglob("failed_pages.jsonl"))
    times = {path: path.stat().st_mtime_ns for path in there}
    server.fault = ""
    build(CONFIG, named, tmp_path / "out", ["training"], workers=1)
    assert {path: path.stat().st_mtime_ns for path in there} == times
    assert sha256_of_files(tmp_path / "out") == sha256_of_files(tmp_path / "whole")


def test_a_killed_command_goes_on(server: FileServer, from_disk: dict[str, str], tmp_path: Path) -> None:
    sizes = [f"{name}={number}" for name, number in SIZES.items()]
    named = folder_of(server, lambda: "", tmp_path)
    command = [sys.executable, "-m", "shard_builder", "--dataset", named, "--out", str(tmp_path), "--workers", "1"]
    server.faults.extend([""] * 60)
    server.fault = "slow"  # what comes behind these waits for ever
    process = subprocess.Popen([*command, *sizes], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while server.faults and process.poll() is None:
        server.ended.wait(0.02)
    assert process.poll() is None
    process.kill()
    process.wait()
    server.fault = ""
    subprocess.run([*command, *sizes], cwd=ROOT, check=True, capture_output=True, timeout=120)
    assert sha256_of_files(tmp_path) == from_disk


def test_a_zip_that_is_replaced_meanwhile_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path / "server", 2, 4)
    with serving(tmp_path / "server") as server:
        archive = find_archives(dataset_of(f"{server.url}/Training"))[0]
        (tmp_path / "server/Training/[라벨]train.zip").write_bytes(b"another")
        with pytest.raises(RemoteError, match="train.zip: was replaced since it was listed"):
            read_at(archive, 0, 4)
        (tmp_path / "server/Training/[라벨]train.zip").unlink()
        with pytest.raises(RemoteError, match="train.zip: is not there any more"):
            read_at(archive, 0, 4)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("ftp://host/zips", "ftp:// is not read here; s3://, gs:// and https:// are"),
        ("@no/such/list", "cannot be read as a list of URLs"),
        ("{url}/nowhere/", "/nowhere: no such bucket or page"),
        ("{url}/nowhere.zip", "/nowhere.zip: is not there (404)"),
        ("{url}/{{a,b.zip", "mend the pattern"),
        ("s3://no-such-bucket/zips", "s3://no-such-bucket/zips: n"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    named: str, words: str, server: FileServer, new_bucket: Callable[[], str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        build(CONFIG, dataset_of(named.replace("{url}", server.url).replace("{{", "{")), tmp_path, SPLITS, workers=1)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_the_package_the_extra_is_named(tmp_path: Path) -> None:
    """In a process of its own: here, other tests may have loaded the package."""
    code = "import sys; sys.modules['gcsfs'] = None; from ocr.errors import run_command; "
    code += "from shard_builder.__main__ import main; run_command(main)"
    command = [sys.executable, "-c", code, "--dataset", "gs://bucket/zips", "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == "error: gs:// needs a package that is not installed; pip install '.[gcs]'\n"
