"""The clients that talk to servers of files: opened by each process for itself, retried, bounded in time, counted."""

from __future__ import annotations

import asyncio
import operator
import os
import re
import threading
from collections.abc import Callable
from functools import lru_cache
from random import uniform
from time import sleep
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from ocr.errors import DataError, UsageError

TRIES = 7
FIRST_WAIT_SECONDS = 0.2  # doubled before each further try: 13 s in all
CONNECT_SECONDS, REPLY_SECONDS = 10.0, 30.0  # the latter also between two parts of a reply …
WHOLE_SECONDS = 300.0  # … of which all have to be there in this time
CONNECTIONS = 32  # of a process to S3

EXTRA_OF = {"s3": "s3", "gs": "gcs", "http": "http", "https": "http"}
"""The protocols that are read, each with the extra of setup.cfg that brings its package."""
BUCKET_PROTOCOLS = ("s3", "gs")  # an object store lists what it holds; a web server at best has a page of links
BUSY = (408, 425, 429)  # of the 4xx, those that pass

Value = TypeVar("Value")


class RemoteError(DataError):
    """What lies behind a URL cannot be had now, whatever it holds: the run ends, and nothing is counted as broken."""


class Traffic(msgspec.Struct, frozen=True):
    """What a process has fetched: answered requests for bytes, these bytes, and how often anything was tried again."""

    num_requests: int = 0
    num_bytes: int = 0
    num_retries: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(*map(operator.add, msgspec.structs.astuple(self), msgspec.structs.astuple(other)))

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(*map(operator.sub, msgspec.structs.astuple(self), msgspec.structs.astuple(other)))


class Meter:
    """The traffic of this process so far, over all its threads."""

    def __init__(self) -> None:
        self.traffic, self.lock = Traffic(), threading.Lock()

    def add(self, num_requests: int = 0, num_bytes: int = 0, num_retries: int = 0) -> None:
        with self.lock:
            self.traffic += Traffic(num_requests, num_bytes, num_retries)


TRAFFIC_METER = Meter()


def is_url(text: str) -> bool:
    return "://" in text


def protocol_of(url: str) -> str:
    """Raises UsageError for one that is not read here."""
    protocol = url.partition("://")[0].lower()
    if protocol not in EXTRA_OF:
        raise UsageError(f"{url_without_query(url)}: {protocol}:// is not read here; s3://, gs:// and https:// are")
    return protocol


def is_web(url: str) -> bool:
    return EXTRA_OF[protocol_of(url)] == "http"


def url_without_query(url: str) -> str:
    """A URL as messages say it: readable, and without the query that may hold a signature."""
    return unquote(url.partition("?")[0]) if url.lower().startswith("http") else url


def retry(url: str, call: Callable[[], Value]) -> Value:
    """What a call gives, tried again with growing waits while the other side is cut off, busy or slow.

    Raises FileNotFoundError and FileExistsError as they come; UsageError at once where trying again would not help,
    RemoteError when it did not.
    """
    faults = errors_of(protocol_of(url))
    for attempt in range(TRIES):
        try:
            return call()
        except faults as told:
            error = cause_of(told, faults)
            if isinstance(error, FileNotFoundError | FileExistsError):
                raise
            if reason := permanent_cause(error):
                raise UsageError(f"{url_without_query(url)}: {reason}") from error
            if attempt == TRIES - 1:
                what = f"{TRIES} tries failed, the last: {error_text(error)}"
                raise RemoteError(
                    f"{url_without_query(url)}: {what}; run the same command again, and it goes on"
                ) from error
        TRAFFIC_METER.add(num_retries=1)
        sleep(FIRST_WAIT_SECONDS * 2**attempt * uniform(0.5, 1))
    raise AssertionError("unreachable")


def cause_of(error: Exception, faults: tuple[type[Exception], ...]) -> Exception:
    """What went wrong: fsspec takes whatever a web server answers to a HEAD for a file that is not there."""
    cause = error.__cause__
    is_other = isinstance(error, FileNotFoundError) and isinstance(cause, faults)
    return cause if is_other and getattr(cause, "status", None) != 404 else error  # type: ignore[return-value]


def permanent_cause(error: Exception) -> str | None:
    """Why trying again would not help, if so."""
    status = error.status if hasattr(error, "status") else getattr(error, "code", None)  # aiohttp's, gcsfs'
    if isinstance(error, PermissionError) or status in (401, 403):
        return f"access denied ({error_text(error)}); look at the credentials and at what they may read or write"
    if "Credential" in type(error).__name__ or "Auth" in type(error).__name__:
        way_out = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=1 for a public bucket"
        return f"{error_text(error)}; {way_out if 'boto' in type(error).__module__ else 'log in to Google Cloud'}"
    if isinstance(error, ValueError) and "range requests" in str(error):
        return (
            "the server ignores Range and would send the whole file; use one that gives parts of files, as nginx does"
        )
    if isinstance(error, ValueError) or (isinstance(status, int) and 400 <= status < 500 and status not in BUSY):
        return error_text(error)
    return None


def error_text(error: Exception) -> str:
    """What an error says, without the queries of URLs, which may hold signatures."""
    return re.sub(r"(://[^\s'\"?]*)\?[^\s'\"]*", r"\1", " ".join(str(error).split()))[:300] or type(error).__name__


@lru_cache
def errors_of(protocol: str) -> tuple[type[Exception], ...]:
    """What calls of a protocol raise where the other side, or the way to it, is at fault."""
    check_installed(protocol)
    import aiohttp

    found: list[type[Exception]] = [OSError, asyncio.TimeoutError, ValueError, aiohttp.ClientError]
    if protocol == "s3":
        from botocore.exceptions import BotoCoreError

        found.append(BotoCoreError)
    if protocol == "gs":
        from gcsfs.retry import HttpError
        from google.auth.exceptions import GoogleAuthError

        found += [HttpError, GoogleAuthError]
    return tuple(found)


def check_installed(protocol: str) -> None:
    import fsspec  # here and below: what reads from disk alone does not wait for it

    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRA_OF[protocol]
        raise UsageError(f"{protocol}:// needs a package that is not installed; pip install '.[{extra}]'") from error


def filesystem(url: str) -> Any:
    return client_of(os.getpid(), protocol_of(url))


@lru_cache
def client_of(pid: int, protocol: str) -> Any:
    """A process's own client. It keeps no listings, and leaves it to `retry` to try again."""
    check_installed(protocol)
    import fsspec

    if EXTRA_OF[protocol] == "http":
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=WHOLE_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=REPLY_SECONDS)
        return fsspec.filesystem(
            protocol,
            encoded=True,
            simple_links=False,
            headers={"Accept-Encoding": "identity"},
            client_kwargs={"timeout": timeout, "trust_env": True},
        )
    if protocol == "s3":
        limits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": REPLY_SECONDS}
        once = {"retries": {"total_max_attempts": 1}, "max_pool_connections": CONNECTIONS}
        files = fsspec.filesystem(protocol, use_listings_cache=False, config_kwargs=limits | once)
        files.retries = 1
        return files
    return fsspec.filesystem(protocol, use_listings_cache=False)
