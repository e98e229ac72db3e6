"""A data set that lies behind URLs: which zips it has, where a bucket, an index page or the user says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath

import msgspec
from braceexpand import braceexpand

from ocr.errors import UsageError
from ocr.remote.connections import BUCKET_PROTOCOLS, is_url, protocol_of, url_without_query
from ocr.remote.remote_files import Status, files_below, map_requests, status_of
from ocr.shards.shard_index import index_path
from shard_builder.zips.stored_names import is_leftover

LIST_MARK = "@"  # --dataset @zips.txt
ONE_FILE = re.compile(r".+\.(zip|zip\.part\d*|tar)", re.IGNORECASE)


class RemoteSet(msgspec.Struct, frozen=True):
    """What `--dataset` names if it is no folder on disk: a folder behind a URL, or the `urls` of files."""

    name: str
    urls: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    def root(self, path: PurePath) -> PurePath:
        """Below what the folders of a zip tell of it."""
        return PurePath(*path.parts[:2]) if self.urls else PurePath(url_without_query(self.name))


Dataset = Path | RemoteSet


def dataset_of(text: str) -> Dataset:
    """A folder or file on disk; a URL of a folder, or of files with braces; `@FILE` with a URL a line.

    Raises UsageError for a list that cannot be read and for a protocol that is not.
    """
    if text.startswith(LIST_MARK):
        return RemoteSet(text, tuple(listed_urls(Path(text[len(LIST_MARK) :]))))
    if not is_url(text):
        return Path(text)
    protocol_of(text)
    try:
        urls = tuple(braceexpand(text))
    except ValueError as error:
        raise UsageError(f"{text}: {error}; mend the pattern") from error
    is_folder = len(urls) == 1 and not ONE_FILE.fullmatch(url_without_query(text))
    return RemoteSet(text.rstrip("/") if is_folder else text, () if is_folder else urls)


def listed_urls(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a list of URLs ({error})") from error
    urls = [line for line in lines if line and not line.startswith("#")]
    for number, url in enumerate(urls, start=1):
        if not is_url(url):
            raise UsageError(f"{path}: URL {number}, {url}: is none; write one URL of a zip a line")
        protocol_of(url)
    if not urls:
        raise UsageError(f"{path}: holds no URL; write one URL of a zip a line")
    return urls


def remote_files(dataset: RemoteSet, wanted: re.Pattern[str]) -> Iterator[tuple[str, Status]]:
    """(URL, status) of the files whose names are wanted, in order of path, without shards and what macOS leaves.

    Raises UsageError where a server lists nothing, or a file that was named is not there.
    """
    found = dict.fromkeys(dataset.urls) if dataset.urls else listing(dataset.name)
    paths = {Path(url_without_query(url)): url for url in found}
    urls = [
        paths[path]
        for path in sorted(paths, key=lambda path: path.parts)
        if wanted.fullmatch(path.name) and not is_leftover(str(path)) and index_path(path) not in paths
    ]
    yield from zip(urls, map_requests(lambda url: found[url] or known(url), urls), strict=True)


def listing(folder: str) -> dict[str, Status | None]:
    try:
        found = files_below(folder)
    except FileNotFoundError as error:
        raise UsageError(f"{url_without_query(folder)}: no such bucket or page; name a folder that is there") from error
    if not found:
        remedy = (
            ""
            if protocol_of(folder) in BUCKET_PROTOCOLS
            else "; where a server shows no links, give --dataset @FILE, a URL a line"
        )
        raise UsageError(f"{url_without_query(folder)}: nothing is listed there{remedy}")
    return found


def known(url: str) -> Status:
    try:
        return status_of(url)
    except FileNotFoundError as error:
        raise UsageError(f"{url_without_query(url)}: is not there (404)") from error
