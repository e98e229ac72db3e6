"""A URL answers as a path would, and messages show neither its encoding nor its signature."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.file_server import serving

from ocr.remote.connections import error_text, url_without_query
from ocr.remote.locations import Url, path_or_url
from ocr.remote.remote_files import percent_encoded


@pytest.mark.parametrize(
    ("text", "name", "parent", "below"),
    [
        ("s3://bucket/a/b.tar", "b.tar", "s3://bucket/a", "s3://bucket/a/b.tar/x"),
        ("s3://bucket/a?b/c.tar", "c.tar", "s3://bucket/a?b", "s3://bucket/a?b/c.tar/x"),
        ("https://host/a/b.tar?key=1/2", "b.tar", "https://host/a?key=1/2", "https://host/a/b.tar/x?key=1/2"),
    ],
)
def test_a_url_has_the_parts_of_a_path(text: str, name: str, parent: str, below: str) -> None:
    url = Url(text)
    assert (url.name, url.parent.text, (url / "x").text) == (name, parent, below)
    assert (url.parent / name).text == text
    assert url.with_suffix(".index.npz").name == f"{name[0]}.index.npz"


def test_what_has_no_scheme_is_a_path() -> None:
    assert path_or_url("shards/training") == Path("shards/training")


@pytest.mark.parametrize(
    ("url", "sent", "seen"),
    [
        ("https://host/공공 행정/[a].zip", "https://host/%EA%B3%B5%EA%B3%B5%20%ED%96%89%EC%A0%95/%5Ba%5D.zip", None),
        ("https://host/a%20b.zip?X-Sig=a%2Fb%3D", "https://host/a%20b.zip?X-Sig=a%2Fb%3D", "https://host/a b.zip"),
        ("s3://bucket/a%20b?c", None, "s3://bucket/a%20b?c"),
    ],
)
def test_web_addresses_are_encoded_once_and_shown_plain(url: str, sent: str | None, seen: str | None) -> None:
    assert sent is None or percent_encoded(url) == sent
    assert url_without_query(url) == (seen or url)


def test_no_signature_is_told() -> None:
    assert error_text(ValueError("403,\nurl='https://host/a.zip?X-Sig=secret'")) == "403, url='https://host/a.zip'"


def test_a_file_is_read_on_and_anywhere(tmp_path: Path) -> None:
    content = bytes(number * number % 251 for number in range(3_000_000))
    (tmp_path / "a.bin").write_bytes(content)
    with serving(tmp_path) as server, Url(f"{server.url}/a.bin").open() as file:
        assert file.read() == content
        assert server.num_requests < 10  # its parts grow
        file.seek(2_000_000)
        assert file.read(1_000) == content[2_000_000:2_001_000]
        assert (file.seek(-5, 2), file.read()) == (len(content) - 5, content[-5:])
