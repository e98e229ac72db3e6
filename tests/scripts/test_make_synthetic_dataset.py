"""The synthetic data set has the shape, the oddities and roughly the texts of AI-Hub's, and is the same every time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from easyocr.config import recognition_models
from synthetic import fonts, vocabulary
from synthetic.geometry import draw_geometry
from synthetic.letter import lay_out
from synthetic.plan import CATEGORIES, plan_split
from synthetic.writer import with_particle

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_synthetic_dataset.py"
KOREAN_G2 = set(recognition_models["gen2"]["korean_g2"]["characters"])
NAME = re.compile(
    r"02\.(원천데이터\(jpg\)|라벨링데이터\(json\))/[^/]+/\d{7}/\d{4}/\d{7}-\d{4}-0001-\d{4}\.(jpg|json)",
    re.IGNORECASE,
)

Annotation = dict[str, Any]


def make(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "set"
    result = make(out, "--training", "6", "--validation", "4", "--scale", "0.25", "--workers", "2")
    assert result.returncode == 0, result.stderr
    return out


def members(path: Path) -> dict[str, bytes]:
    """Return the members of a zip, folders and junk left out, under their names read as CP949."""
    with zipfile.ZipFile(path) as archive:
        names = {info.filename.encode("cp437").decode("cp949"): info for info in archive.infolist()}
        return {name: archive.read(info) for name, info in names.items() if NAME.fullmatch(name)}


def stems(folder: Path, pattern: str) -> dict[str, bytes]:
    """Return the pages' files of all zips that match, by the path that an image and its label share."""
    every = [item for path in sorted(folder.glob(pattern)) for item in members(path).items()]
    return {"/".join(re.split(r"[/.]", name.split("/", 1)[1])[:-1]): content for name, content in every}


def labels(folder: Path) -> list[Any]:
    return [json.loads(content.decode("utf-8-sig")) for content in stems(folder, "[[]라벨]*.zip").values()]


def boxes(label: Any) -> list[list[int]]:
    return [annotation["annotation.bbox"] for annotation in label["annotations"]]


def texts(label: Any) -> list[str]:
    return [annotation["annotation.text"] for annotation in label["annotations"]]


def test_zips_bear_the_names_of_the_real_ones(dataset: Path) -> None:
    names = {str(path.relative_to(dataset)) for path in dataset.rglob("*") if path.is_file()}
    assert names == {
        "Training/[라벨]train.zip",
        "Training/[원천]train1.zip",
        "Training/[원천]train2.zip",
        "Validation/[라벨]validation.zip",
        "Validation/[원천]validation.zip",
    }


def test_names_are_cp949_without_the_utf8_flag(dataset: Path) -> None:
    for path in dataset.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None  # also holds each local name against the directory's
            for info in archive.infolist():
                assert not info.flag_bits & 0x800
                assert info.filename.encode("cp437").decode("cp949").startswith(("02.", "__MACOSX/", ".DS_Store"))


def test_zips_hold_folders_junk_both_methods_and_one_date(dataset: Path) -> None:
    infos = [info for path in dataset.rglob("*.zip") for info in zipfile.ZipFile(path).infolist()]
    assert any(info.is_dir() for info in infos)
    assert {"__MACOSX/._02", ".DS_Store"} <= {info.filename for info in infos}
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    assert len({info.date_time for info in infos}) == 1


@pytest.mark.parametrize(("split", "num_pages"), [("Training", 6), ("Validation", 4)])
def test_pages_pair_up_but_for_one_image_and_one_label(dataset: Path, split: str, num_pages: int) -> None:
    images = stems(dataset / split, "[[]원천]*.zip").keys()
    label_stems = stems(dataset / split, "[[]라벨]*.zip").keys()
    assert (len(images & label_stems), len(images - label_stems), len(label_stems - images)) == (num_pages, 1, 1)


def test_training_images_are_spread_over_the_zips(dataset: Path) -> None:
    assert all(members(path) for path in (dataset / "Training").glob("[[]원천]*.zip"))


def test_a_label_says_where_it_belongs(dataset: Path) -> None:
    for stem, content in stems(dataset, "*/[[]라벨]*.zip").items():
        (image,) = json.loads(content.decode("utf-8-sig"))["images"]
        folder = f"{image['image.category']}/{image['image.make.code']}/{image['image.make.year']}"
        assert stem == f"{folder}/{image['image.file.name']}".replace(".jpg", "").replace(".", "/")
        assert image["image.category"] in CATEGORIES


def test_a_label_gives_the_size_of_its_image(dataset: Path) -> None:
    images, label_files = stems(dataset, "*/[[]원천]*.zip"), stems(dataset, "*/[[]라벨]*.zip")
    for stem in images.keys() & label_files.keys():
        (image,) = json.loads(label_files[stem].decode("utf-8-sig"))["images"]
        pixels = cv2.imdecode(np.frombuffer(images[stem], np.uint8), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert pixels.shape[:2] == (image["image.height"], image["image.width"])


def is_unsorted(label: Any) -> bool:
    tops = [y for _, y, _, _ in boxes(label)]
    return tops != sorted(tops)


def is_nfd(label: Any) -> bool:
    return any(text != unicodedata.normalize("NFC", text) for text in texts(label))


def has_duplicate(label: Any) -> bool:
    return max(Counter(zip(map(tuple, boxes(label)), texts(label), strict=True)).values()) > 1


def runs_out(label: Any) -> bool:
    return any(x + w > label["images"][0]["image.width"] for x, _, w, _ in boxes(label))


def is_vertical(annotation: Annotation) -> bool:
    _, _, width, height = annotation["annotation.bbox"]
    return len(annotation["annotation.text"]) > 1 and height > 1.5 * width > 0


@pytest.mark.parametrize("split", ["Training", "Validation"])
@pytest.mark.parametrize(
    ("oddity", "occurs"),
    [
        ("an id twice", lambda label: len({a["id"] for a in label["annotations"]}) < len(label["annotations"])),
        ("an id left out", lambda label: max(a["id"] for a in label["annotations"]) > len(label["annotations"])),
        ("order not the reading order", is_unsorted),
        ("a negative coordinate", lambda label: any(min(box) < 0 for box in boxes(label))),
        ("a box out of the page", runs_out),
        ("a box without area", lambda label: any(w * h == 0 for _, _, w, h in boxes(label))),
        ("an empty text", lambda label: "" in texts(label)),
        ("a duplicate", has_duplicate),
        ("a text in NFD", is_nfd),
        ("a vertical word", lambda label: any(map(is_vertical, label["annotations"]))),
        ("a text with a space", lambda label: any(" " in text for text in texts(label))),
        ("a single character", lambda label: any(len(text) == 1 for text in texts(label))),
        ("a comma", lambda label: any("," in text for text in texts(label))),
        ("a character beyond korean_g2", lambda label: any(set(text) - KOREAN_G2 for text in texts(label))),
    ],
)
def test_every_oddity_occurs_in_a_small_set(
    dataset: Path, split: str, oddity: str, occurs: Callable[[Any], bool]
) -> None:
    assert any(map(occurs, labels(dataset / split))), oddity


def test_some_labels_have_a_byte_order_mark_and_some_names_are_upper_case(dataset: Path) -> None:
    label_files = [item for path in dataset.glob("*/[[]라벨]*.zip") for item in members(path).items()]
    image_names = [name for path in dataset.glob("*/[[]원천]*.zip") for name in members(path)]
    assert {content.startswith(b"\xef\xbb\xbf") for _, content in label_files} == {True, False}
    assert {name.rsplit(".", 1)[1] for name, _ in label_files} == {"json", "JSON"}
    assert {name.rsplit(".", 1)[1] for name in image_names} == {"jpg", "JPG"}


def test_boxes_hold_ink(dataset: Path) -> None:
    images, label_files = stems(dataset, "*/[[]원천]*.zip"), stems(dataset, "*/[[]라벨]*.zip")
    contrasts = []
    for stem in images.keys() & label_files.keys():
        page = cv2.imdecode(np.frombuffer(images[stem], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert page is not None
        for x, y, w, h in boxes(json.loads(label_files[stem].decode("utf-8-sig"))):
            patch = page[max(0, y) : y + h, max(0, x) : x + w]
            if patch.size:
                contrasts.append(float(np.median(page)) - float(patch.min()))
    assert np.mean(np.array(contrasts) > 40) > 0.99


def test_the_same_arguments_give_the_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    options = ("--training", "2", "--validation", "1", "--scale", "0.15")
    for out, more in (("a", ("--workers", "1")), ("b", ("--workers", "2")), ("c", ("--workers", "1", "--seed", "1"))):
        assert make(tmp_path / out, *options, *more).returncode == 0
    files = {out: {path.name: path.read_bytes() for path in (tmp_path / out).rglob("*.zip")} for out in "abc"}
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("mine")
    result = make(tmp_path, "--training", "1", "--validation", "1")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


@pytest.mark.parametrize(
    "options",
    [(), ("--training", "0", "--validation", "1"), ("--training", "1", "--validation", "1", "--scale", "9")],
)
def test_wrong_arguments_exit_with_2(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert make(tmp_path / "out", *options).returncode == 2


@pytest.fixture(scope="module")
def many_texts() -> list[str]:
    found = []
    for plan in plan_split(0, "Training", 80):
        geometry = draw_geometry(plan.generator(purpose=2), scale=0.5)
        found += [word.text for word in lay_out(plan, geometry, fonts.bundled_faces()).words]
    return found


@pytest.mark.parametrize(
    ("what", "low", "high", "holds"),
    [
        ("has a character beyond korean_g2", 0.035, 0.07, lambda text: bool(set(text) - KOREAN_G2)),
        ("has a comma", 0.02, 0.06, lambda text: "," in text),
        ("has a double quote", 0.003, 0.015, lambda text: '"' in text),
        ("has a space", 0.01, 0.035, lambda text: " " in text),
        ("is a single character", 0.12, 0.22, lambda text: len(text) == 1),
    ],
)
def test_shares_of_texts_are_near_those_of_the_real_set(
    many_texts: list[str], what: str, low: float, high: float, holds: Callable[[str], bool]
) -> None:
    assert low < np.mean([holds(text) for text in many_texts]) < high, what


def test_no_text_is_drawn_as_tofu(many_texts: list[str]) -> None:
    assert all(any(fonts.covers(face, text) for face in fonts.bundled_faces()) for text in set(many_texts))
    assert not any(fonts.covers(face, "\u0e01") for face in fonts.bundled_faces())


def test_rare_characters_hold_korean_g2_and_ks_x_1001() -> None:
    rare = vocabulary.rare_characters()
    assert set(rare) >= KOREAN_G2 - {" "}
    assert len([character for character in rare if "가" <= character <= "힣"]) == 2350


@pytest.mark.parametrize(
    ("word", "particle", "together"),
    [
        ("도로", "을", "도로를"),
        ("사업", "을", "사업을"),
        ("도로", "으로", "도로로"),
        ("시설", "으로", "시설로"),
        ("사업", "으로", "사업으로"),
        ("회의", "과", "회의와"),
        ("계획", "의", "계획의"),
    ],
)
def test_particles_follow_the_last_sound(word: str, particle: str, together: str) -> None:
    assert with_particle(word, particle) == together
