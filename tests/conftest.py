"""The order of the files; an S3 that is moto's, a Google Cloud Storage that is gcp-storage-emulator's, and clients that
lose no time over faults that are wanted."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count

import pytest

import ocr.remote.connections

LONG = ("test_whole_way.py", "test_nodes.py", "test_evaluate.py", "test_export.py", "test_train.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that two processes end at about the same time."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session")
def new_bucket() -> Iterator[Callable[[], str]]:
    """A function that makes an empty bucket and gives its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            patch.setenv(name, value)
        numbers = count()

        def make() -> str:
            url = f"s3://bucket-{next(numbers)}"
            ocr.remote.connections.filesystem(url).mkdir(url)
            return url

        yield make
    server.stop()


@pytest.fixture(scope="session")
def new_google_bucket() -> Iterator[Callable[[], str]]:
    """As `new_bucket`, on Google Cloud Storage."""
    from gcp_storage_emulator.server import create_server

    with pytest.MonkeyPatch.context() as patch:
        # It speaks JSON; gcsfs would ask by gRPC what kind of a bucket it is, and wait a minute for an answer.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        patch.setenv("FSSPEC_GS_TOKEN", "anon")
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        server = create_server("127.0.0.1", port, in_memory=True)
        server.start()
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        numbers = count()

        def make() -> str:
            name = f"bucket-{next(numbers)}"
            ocr.remote.connections.filesystem(f"gs://{name}").mkdir(name)
            return f"gs://{name}"

        yield make
        server.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients of this process that try again at once, and take a fifth of a second for slow."""
    monkeypatch.setattr(ocr.remote.connections, "FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(ocr.remote.connections, "REPLY_SECONDS", 0.2)
    ocr.remote.connections.client_of.cache_clear()
    yield
    ocr.remote.connections.client_of.cache_clear()
