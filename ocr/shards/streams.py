"""Tars from end to end, wherever they lie: as WebDataset opens them, and in buckets, which it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from webdataset.tariterators import url_opener

from ocr.errors import DataError
from ocr.remote.connections import BUCKET_PROTOCOLS
from ocr.remote.locations import Url


def open_streams(shards: Iterable[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """{"url"} -> {"url", "stream"}. Raises DataError for an object that is not there."""
    for shard in shards:
        url = shard["url"]
        if url.partition("://")[0] not in BUCKET_PROTOCOLS:
            yield from url_opener([shard])
            continue
        try:
            stream = Url(url).open()
        except FileNotFoundError as error:
            raise DataError(f"{url}: is not there (404); look for a misspelling") from error
        with stream:
            yield shard | {"stream": stream}
