"""An LMDB in the form of deep-text-recognition-benchmark's create_lmdb_dataset.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ocr.errors import DataError, UsageError
from shard_builder.word_images.image_set import Row
from shard_builder.word_images.labels_lmdb import DATA_NAME, NO_LABEL, NOT_UTF8, LabelsLmdb

lmdb = pytest.importorskip("lmdb")


def write_lmdb(folder: Path, values: Mapping[str, bytes | str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key.encode(), value.encode() if isinstance(value, str) else value)
    return folder


def test_texts_and_images_are_read_by_number(tmp_path: Path) -> None:
    values: dict[str, bytes | str] = {"num-samples": "3", "label-000000004": "past the end"}
    for index, text in enumerate(['"하며,"', "김", "3,000"], start=1):
        values[f"image-{index:09d}"] = bytes([index]) * 9_000
        values[f"label-{index:09d}"] = text
    images = LabelsLmdb(write_lmdb(tmp_path, values))
    assert images.listing().rows == [
        Row("image-000000001", '"하며,"', 9_000),
        Row("image-000000002", "김", 9_000),
        Row("image-000000003", "3,000", 9_000),
    ]
    read = list(images.images(["image-000000003", "image-000000009", "image-000000001"]))
    assert read == [b"\3" * 9_000, None, b"\1" * 9_000]


def test_what_is_missing_is_a_row_with_its_reason(tmp_path: Path) -> None:
    in_cp949 = {"label-000000003": b"\xb1\xe8"}
    write_lmdb(tmp_path, {"num-samples": "3", "image-000000001": "1", "label-000000002": "가", **in_cp949})
    assert LabelsLmdb(tmp_path).listing().rows == [
        Row("image-000000001", "", 1, NO_LABEL),
        Row("image-000000002", "가", None),
        Row("image-000000003", "", None, NOT_UTF8),
    ]


def other_lmdb(folder: Path) -> None:
    write_lmdb(folder, {"a": "b"})


def wrong_number(folder: Path) -> None:
    write_lmdb(folder, {"num-samples": "many"})


def no_lmdb(folder: Path) -> None:
    (folder / DATA_NAME).write_bytes(b"<html>502 Bad Gateway</html>" * 1_000)


def cut_off(folder: Path) -> None:
    write_lmdb(folder, {"num-samples": "1", "image-000000001": bytes(1 << 20), "label-000000001": "가"})
    content = (folder / DATA_NAME).read_bytes()
    (folder / DATA_NAME).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(other_lmdb, "no num-samples in it: not an LMDB of deep-text", id="another LMDB"),
        pytest.param(wrong_number, "no num-samples in it: not an LMDB of deep-text", id="no number"),
        pytest.param(no_lmdb, "not an LMDB, or damaged (", id="an error page"),
        pytest.param(cut_off, " bytes where it says ", id="cut off"),
    ],
)
def test_a_damaged_lmdb_is_one_line(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path)
    with pytest.raises(DataError) as raised:
        LabelsLmdb(tmp_path).listing()
    assert str(raised.value).startswith(f"{tmp_path / DATA_NAME}: ") and message in str(raised.value)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(UsageError, match=r"lmdb is not installed; pip install '\.\[lmdb\]'$"):
        LabelsLmdb(tmp_path).listing()
