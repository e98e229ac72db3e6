"""Files behind URLs (s3://, gs://, https://), through fsspec: in parts, retried, bounded in time, counted.

Every process opens its own clients when it first needs them, forked ones too. A name behind a URL means whole as well:
a PUT shows nothing or everything.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from ocr.errors import UsageError
from ocr.remote.connections import CONNECTIONS, TRAFFIC_METER, filesystem, is_web, protocol_of, retry, url_without_query

PART_BYTES = 8 << 20  # of one request at most; what breaks off is asked for again from its part on
MAX_DEPTH = 8  # of folders below an index page

Value = TypeVar("Value")
Item = TypeVar("Item")


class Status(msgspec.Struct, frozen=True):
    """What a server says of a file. `version` changes with its content, as far as the server tells."""

    st_size: int
    version: str


def percent_encoded(url: str) -> str:
    """A web URL fit to be sent; what is encoded already stays as it is."""
    scheme, host, path, query, _ = urlsplit(url)
    return urlunsplit((scheme, host, quote(path, safe="/%~:@!$&'()*+,;="), quote(query, safe="/%~:@!$&'()*+,;=?"), ""))


def status_of(url: str) -> Status:
    """Raises FileNotFoundError."""
    info = retry(url, lambda: filesystem(url).info(fsspec_name(url)))
    if info.get("type") == "directory":
        raise FileNotFoundError(url)
    return status_from(url, info)


def status_from(url: str, info: Mapping[str, Any]) -> Status:
    if (size := info.get("size")) is None:
        raise UsageError(
            f"{url_without_query(url)}: the server does not say how large it is, so it cannot be read in parts"
        )
    marks = (info.get(name) for name in ("ETag", "etag", "generation", "Last-Modified", "LastModified"))
    return Status(int(size), f"{size} {next((mark for mark in marks if mark), '')}")


def read_range(url: str, begin: int, num_bytes: int) -> bytes:
    """These bytes of a file, which must hold so many. Raises FileNotFoundError."""
    parts = []
    for start in range(begin, begin + num_bytes, PART_BYTES):
        stop = min(begin + num_bytes, start + PART_BYTES)
        parts.append(retry(url, partial(read_part, url, start, stop)))
        TRAFFIC_METER.add(num_requests=1, num_bytes=stop - start)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_part(url: str, start: int, stop: int) -> bytes:
    """Raises OSError where fewer bytes come."""
    files = filesystem(url)
    if is_web(url):
        # Unlike cat_file, a file looks whether the server has sent the range or all of 80 GB.
        with files.open(fsspec_name(url), size=stop, cache_type="none") as file:
            file.seek(start)
            content: bytes = file.read(stop - start)
    else:
        content = files.cat_file(fsspec_name(url), start=start, end=stop)
    if len(content) != stop - start:
        raise OSError(f"{len(content):,} bytes came of {stop - start:,} from byte {start:,} on")
    return content


def read_whole(url: str) -> bytes:
    """All of a small file. Raises FileNotFoundError."""
    content: bytes = retry(url, lambda: filesystem(url).cat_file(fsspec_name(url)))
    TRAFFIC_METER.add(num_requests=1, num_bytes=len(content))
    return content


def upload(url: str, local: Path) -> None:
    """Put a file under a URL, whole. Raises UsageError where nothing can be written."""
    check_writable(url)
    retry(url, lambda: filesystem(url).put_file(str(local), fsspec_name(url)))
    TRAFFIC_METER.add(num_requests=1)


def upload_new(url: str, content: bytes) -> bool:
    """Put content under a URL unless something is there: of two that try, one succeeds."""
    check_writable(url)
    try:
        retry(url, lambda: filesystem(url).pipe_file(fsspec_name(url), content, mode="create"))
    except FileExistsError:
        return False
    return True


def check_writable(url: str) -> None:
    if is_web(url):
        raise UsageError(f"{url_without_query(url)}: a web server takes no files; write to s3://, gs:// or a folder")


def remove(url: str) -> None:
    """Remove a file, if it is there."""
    try:
        retry(url, lambda: filesystem(url).rm_file(fsspec_name(url)))
    except FileNotFoundError:
        return


def files_below(url: str) -> dict[str, Status | None]:
    """The files anywhere below a folder, by URL, in order; the status where the listing tells it.

    An object store lists them; a web server must have a page of links for each folder (nginx: autoindex on).
    """
    if is_web(url):
        return dict.fromkeys(sorted(links_below(url.rstrip("/") + "/", MAX_DEPTH)))
    protocol = protocol_of(url)
    found = retry(url, lambda: filesystem(url).find(fsspec_name(url), detail=True))
    return {
        f"{protocol}://{name}": status_from(name, info)
        for name, info in sorted(found.items())
        if not name.endswith("/")  # the mark of a folder that some tools write
    }


def links_below(url: str, depth: int) -> Iterator[str]:
    """What the index page of a folder links to, below it."""
    links = retry(url, lambda: filesystem(url).ls(fsspec_name(url), detail=False))
    for link in sorted({html.unescape(link) for link in links}):
        below = link[len(fsspec_name(url)) :] if link.startswith(fsspec_name(url)) else ""
        if not below or "?" in below or ".." in below:
            continue  # another place, or the same one sorted otherwise
        if not link.endswith("/"):
            yield link
        elif depth:
            yield from links_below(link, depth - 1)


def fsspec_name(url: str) -> str:
    """What fsspec calls a file."""
    return percent_encoded(url) if is_web(url) else url


def map_requests(function: Callable[[Item], Value], items: Iterable[Item]) -> list[Value]:
    """A function of each item, many at a time: for calls that wait for servers."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(function, items))
