from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from evaluator.evaluation_pages import (
    UnreadablePage,
    decode_page,
    find_page_shards,
    read_images,
    read_label,
    read_labels,
    verify,
)
from ocr.errors import DataError, UsageError
from ocr.page import Page, Word, page_to_json
from ocr.shards.manifest import write_shard

LABEL = Page("page_0", "일반행정", 60, 40, (Word((0, 0, 10, 10), "하며"),))
WORD = {"box": [0, 0, 10, 10], "text": "하며"}


def label_json(**changes: object) -> bytes:
    return json.dumps(json.loads(page_to_json(LABEL)) | changes).encode()


def page_jpg(width: int = 60, height: int = 40, exif: Image.Exif | None = None) -> bytes:
    """Red on the left, white on the right."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[:, : width // 2] = (230, 30, 30)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0, exif=exif or Image.Exif())
    return file.getvalue()


def test_labels_and_images_come_in_the_order_of_the_shards(tmp_path: Path) -> None:
    first = [(f"page_{index}", {"jpg": bytes([index]), "json": page_to_json(LABEL)}) for index in (2, 0)]
    second = [("page_1", {"json": page_to_json(LABEL)})]
    shards = [tmp_path / "a: #1?.tar", tmp_path / "b.tar"]
    write_shard(shards[0], first)
    write_shard(shards[1], second)

    assert read_labels([*map(str, shards)]) == {"page_2": LABEL, "page_0": LABEL, "page_1": LABEL}
    assert list(read_images([*map(str, shards)])) == [("page_2", b"\2"), ("page_0", b"\0"), ("page_1", None)]


@pytest.mark.parametrize(
    "specs",
    [
        pytest.param(["{folder}"], id="a folder"),
        pytest.param(["{folder}/*.tar"], id="a glob"),
        pytest.param(["{folder}/{{a,b}}.tar"], id="a brace pattern"),
        pytest.param(["{folder}/a.tar", "{folder}/b.tar"], id="a list"),
    ],
)
def test_shards_are_named_in_many_ways(tmp_path: Path, specs: list[str]) -> None:
    for name in ("a.tar", "b.tar"):
        write_shard(tmp_path / name, [])
    found = find_page_shards([spec.format(folder=tmp_path) for spec in specs])
    assert found == [str(tmp_path / "a.tar"), str(tmp_path / "b.tar")]


def test_what_a_program_gives_is_named_as_it_is_but_for_braces() -> None:
    found = find_page_shards(["pipe:aws s3 cp s3://pages/{00..01}.tar -"])
    assert found == ["pipe:aws s3 cp s3://pages/00.tar -", "pipe:aws s3 cp s3://pages/01.tar -"]
    verify(found)  # has nothing to hold them against


def test_a_list_of_which_one_names_nothing_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [])
    with pytest.raises(UsageError, match="nowhere: no shard"):
        find_page_shards([str(tmp_path / "a.tar"), "nowhere"])


def test_texts_of_labels_are_nfc() -> None:
    decomposed = label_json(words=[WORD | {"text": unicodedata.normalize("NFD", "하며")}])
    assert read_label({"json": decomposed}, "a.tar: page_0") == LABEL


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        pytest.param({"jpg": b""}, "has no label", id="no label"),
        pytest.param({"png": b"", "txt": "하며".encode()}, "no evaluation page", id="a training sample"),
        pytest.param({"json": label_json()[:-20]}, "damaged label: Input data was truncated", id="cut JSON"),
        pytest.param({"json": b""}, "damaged label", id="no JSON"),
        pytest.param({"json": b"[1, 2]"}, "damaged label: Expected `object`", id="not a page"),
        pytest.param({"json": "하며".encode("cp949")}, "damaged label", id="not UTF-8"),
        pytest.param({"json": label_json().replace(b"page_0", b"\xff")}, "damaged label", id="a broken string"),
        pytest.param({"json": label_json(width="60")}, "damaged label: Expected `int`", id="a text for a number"),
        pytest.param({"json": label_json(words=[WORD, WORD | {"text": ""}])}, "word 2 has no text", id="no text"),
        pytest.param({"json": label_json(words=[WORD | {"box": [9, 0, 3, 10]}])}, "word 1: box", id="an inverted box"),
        pytest.param(
            {"json": label_json(words=[WORD | {"box": [0, 0, 61, 9]}])}, "word 1: box", id="a box off the page"
        ),
    ],
)
def test_a_bad_label_is_one_clear_line(members: dict[str, bytes], reason: str) -> None:
    with pytest.raises(DataError) as caught:
        read_label(members, "a.tar: page_0")
    assert str(caught.value).startswith("a.tar: page_0: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def twice(path: Path) -> None:
    write_shard(path, [(key, {"json": label_json()}) for key in ("page_0", "page_1", "page_0")])


def member_twice(path: Path) -> None:
    write_shard(path, [("page_0", {"json": label_json()}), ("page_0", {"json": label_json()})])


def empty(path: Path) -> None:
    write_shard(path, [])


def no_bytes(path: Path) -> None:
    path.write_bytes(b"")


def no_tar(path: Path) -> None:
    path.write_bytes(b"not a tar" * 1000)


def cut(path: Path) -> None:
    write_shard(path, [("page_0", {"json": label_json(), "jpg": bytes(5000)})])
    path.write_bytes(path.read_bytes()[:4000])


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (twice, "page_0: this page came before"),
        (member_twice, "duplicate"),
        (empty, "no page"),
        (no_bytes, "damaged shard"),
        (no_tar, "damaged shard"),
        (cut, "damaged"),
        (a_folder, "damaged shard"),
    ],
)
def test_a_bad_shard_is_one_clear_line(tmp_path: Path, spoil: object, reason: str) -> None:
    assert callable(spoil)
    spoil(tmp_path / "a.tar")
    with pytest.raises(DataError, match=reason) as caught:
        read_labels([str(tmp_path / "a.tar")])
    assert str(tmp_path / "a.tar") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("jpg", "reason"),
    [
        pytest.param(None, "no page image", id="no image"),
        pytest.param(b"", "cannot be decoded", id="no bytes"),
        pytest.param(b"not a picture" * 99, "cannot be decoded", id="not an image"),
        pytest.param(page_jpg()[:400], "cannot be decoded", id="a cut image"),
        pytest.param(page_jpg(40, 60), "has 40x60 pixels, its label says 60x40", id="another page's image"),
    ],
)
def test_a_bad_page_image_has_a_reason(jpg: bytes | None, reason: str) -> None:
    with pytest.raises(UnreadablePage, match=reason):
        decode_page(jpg, LABEL)


def test_a_page_is_what_easyocr_makes_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_bytes(page_jpg())
    image = decode_page(page_jpg(), LABEL)
    assert image.rgb[20, 5] == pytest.approx([230, 30, 30], abs=3)
    theirs = cv2.imread(str(tmp_path / "page.jpg"), cv2.IMREAD_GRAYSCALE)
    assert theirs is not None and np.array_equal(image.grey, theirs)


def test_a_rotation_in_exif_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees
    plain, turned = decode_page(page_jpg(), LABEL), decode_page(page_jpg(exif=exif), LABEL)
    assert np.array_equal(plain.rgb, turned.rgb)
    assert np.array_equal(plain.grey, turned.grey)
