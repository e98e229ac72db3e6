"""From zips to shards, whole."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from itertools import pairwise
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import webdataset

import shard_builder.plan
from ocr.config import Config
from ocr.errors import UsageError
from ocr.page import Page, Word, page_from_json
from ocr.shards.manifest import Manifest, find_shards, read_manifest
from shard_builder.build import build
from shard_builder.plan import NOT_DRAWN
from shard_builder.splits import SPLITS
from shard_builder.word_selection import EMPTY_TEXT, NO_AREA, SAME_BOX, TOO_SMALL, VERTICAL
from shard_builder.zips.page_sources import NO_IMAGE, NO_LABEL
from tests.shard_builder.made_zips import (
    WORDS,
    MadePage,
    Member,
    jpeg,
    label,
    made_pages,
    sha256_of_files,
    write_dataset,
    write_half,
    write_zip,
)

CONFIG = Config(train_images=9, val_images=3, eval_images=2)
TRAINING = Path("training/select_data")

ODD_WORDS: list[tuple[object, object, str]] = [
    ((10, 10, 60, 20), "김해시", "written"),
    ((80, 10, 40, 20), '"김해를,', "written"),
    ((130, 10, 40, 20), "경남 김해시", "written"),
    ((10, 40, 4, 4), ".", "written"),
    ((20, 40, 10, 60), "세", "written"),
    ((40, 40, 20, 30), "세로", "written"),
    ((-5, 90, 30, 10), "왼쪽", "written"),
    ((190, 90, 99, 99), "오", "written"),
    ((70, 40, 20, 31), "세로", VERTICAL),
    ((100, 40, 3, 20), "1", TOO_SMALL),
    ((100, 70, 20, 3), "-", TOO_SMALL),
    ((10, 10, 60, 20), "김해시", SAME_BOX),
    ((120, 40, 0, 20), "줄", NO_AREA),
    ((150, 40, 20, 20), "", EMPTY_TEXT),
]


def odd_label() -> bytes:
    """Its size is wrong, too: a page is as large as its image decodes."""
    return label(((xywh, text) for xywh, text, _ in ODD_WORDS), size=(1, 1))


def many_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_builder.plan, "PAGES_A_GROUP", 2)
    monkeypatch.setattr(shard_builder.plan, "WORDS_A_SHARD", 5)
    monkeypatch.setattr(shard_builder.plan, "PAGES_A_SHARD", 2)


def samples(folder: Path) -> dict[str, dict[str, bytes]]:
    """The samples of a folder of shards, through plain WebDataset."""
    urls = [str(path) for path in find_shards(str(folder))]
    return {sample["__key__"]: sample for sample in webdataset.WebDataset(urls, shardshuffle=False)}


def pixels(encoded: bytes, flag: int = cv2.IMREAD_UNCHANGED) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag)
    assert decoded is not None
    return decoded


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine training pages, one of them odd, and eight of validation; some lack an image or a label."""
    folder = tmp_path_factory.mktemp("dataset")
    lone = [MadePage("1", label=None), MadePage("2", image=None), MadePage("3", image=None)]
    odd = MadePage("odd", jpeg(77), b"\xef\xbb\xbf" + odd_label(), image_suffix=".JPG")
    write_half(folder, "Training", [*made_pages("Training", 8), odd, *lone])
    write_half(folder, "Validation", [*made_pages("Validation", 7), MadePage("odd-too", jpeg(78), odd_label())])
    return folder


def test_an_odd_page_gives_these_words(dataset: Path, tmp_path: Path) -> None:
    manifest = build(CONFIG, dataset, tmp_path, ["training"], workers=1)["training"]
    written = {key: sample for key, sample in samples(tmp_path / TRAINING).items() if key.startswith("odd_")}
    assert {key: sample["txt"].decode() for key, sample in written.items()} == {
        "odd_10-10-70-30": "김해시",
        "odd_80-10-120-30": '"김해를,',
        "odd_130-10-170-30": "경남 김해시",
        "odd_10-40-14-44": ".",
        "odd_20-40-30-100": "세",
        "odd_40-40-60-70": "세로",
        "odd_0-90-25-100": "왼쪽",
        "odd_190-90-200-120": "오",
    }
    for reason in (VERTICAL, SAME_BOX, NO_AREA, EMPTY_TEXT, TOO_SMALL):
        assert manifest.words[reason] == sum(fate == reason for *_, fate in ODD_WORDS), reason


def test_a_patch_is_its_box_of_the_page_in_grey(dataset: Path, tmp_path: Path) -> None:
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    page = pixels(jpeg(77), cv2.IMREAD_GRAYSCALE)
    patch = pixels(samples(tmp_path / TRAINING)["odd_80-10-120-30"]["jpg"])
    assert patch.shape == (20, 40)
    assert np.abs(patch.astype(int) - page[10:30, 80:120]).mean() < 2


def test_a_patch_has_colors_where_the_config_says_rgb(dataset: Path, tmp_path: Path) -> None:
    build(msgspec.structs.replace(CONFIG, rgb=True, input_channel=3), dataset, tmp_path, ["training"], workers=1)
    assert pixels(samples(tmp_path / TRAINING)["odd_80-10-120-30"]["jpg"]).shape == (20, 40, 3)


def test_an_evaluation_sample_is_the_page_untouched(tmp_path: Path) -> None:
    pages = [MadePage("odd", jpeg(5), odd_label()), MadePage("blank", jpeg(6), label([]))]
    write_half(tmp_path / "dataset", "Validation", pages)
    manifest = build(CONFIG, tmp_path / "dataset", tmp_path / "out", ["evaluation"], workers=1)["evaluation"]
    found = samples(tmp_path / "out/evaluation")
    assert {key: sample["jpg"] for key, sample in found.items()} == {"odd": jpeg(5), "blank": jpeg(6)}
    page = page_from_json(found["odd"]["json"])
    assert (page.stem, page.category, page.width, page.height) == ("odd", "인.허가", 200, 120)
    assert Word((70, 40, 90, 71), "세로") in page.words  # vertical, and counted when pages are evaluated
    assert Word((100, 40, 103, 60), "1") in page.words  # tiny
    assert page_from_json(found["blank"]["json"]) == Page("blank", "인.허가", 200, 120, ())
    assert manifest.pages == {"written": 2}
    assert manifest.words == {"written": 11, SAME_BOX: 1, NO_AREA: 1, EMPTY_TEXT: 1}


def test_validation_pages_are_whole_and_of_no_evaluation_page(dataset: Path, tmp_path: Path) -> None:
    manifests = build(CONFIG, dataset, tmp_path, ["evaluation", "validation_pages"], workers=1)
    assert manifests["validation_pages"].pages == {"written": 3, NOT_DRAWN: 5}
    pages = samples(tmp_path / "validation_pages")
    assert all(page_from_json(page["json"]).words and page["jpg"] for page in pages.values())
    assert not pages.keys() & samples(tmp_path / "evaluation").keys()


def test_counts_add_up_to_what_the_zips_list(dataset: Path, tmp_path: Path) -> None:
    manifests = build(CONFIG, dataset, tmp_path, SPLITS, workers=1)
    assert manifests["training"].pages == {"written": 9, NO_LABEL: 1, NO_IMAGE: 2}
    assert manifests["validation"].pages == {"written": 3, NOT_DRAWN: 5}
    assert manifests["evaluation"].pages == {"written": 2, NOT_DRAWN: 6}
    assert sum(manifests["training"].words.values()) == 8 * len(WORDS) + len(ODD_WORDS)
    for split, folder in (("training", TRAINING), ("validation", Path("validation/select_data"))):
        assert manifests[split].words["written"] == len(samples(tmp_path / folder))
        assert read_manifest(tmp_path / folder) == manifests[split]


def test_characters_outside_the_alphabet_are_written_and_counted(dataset: Path, tmp_path: Path) -> None:
    def built(character: str) -> Manifest:
        config = msgspec.structs.replace(CONFIG, character=character)
        return build(config, dataset, tmp_path, ["training"], workers=1)["training"]

    manifest = built("korean_g2")
    assert manifest.missing == {"를": 1}
    assert built("korean_g2+ksx1001").missing == {}
    assert built("korean_g2+data").missing == {"를": 1}  # what +data adds is found in what is built here
    assert built("0123456789").missing["김"] == 8 + 3
    assert built("0123456789").shards == manifest.shards


@pytest.mark.parametrize(
    ("values", "written", "refused"),
    [
        ({}, {"odd_10-40-14-44": "."}, {"odd_100-40-103-60", "odd_70-40-90-71"}),
        ({"min_side": 3}, {"odd_100-40-103-60": "1"}, {"odd_70-40-90-71"}),
        ({"min_side": 5}, {"odd_20-40-30-100": "세"}, {"odd_10-40-14-44"}),
        ({"vertical_words": "keep"}, {"odd_70-40-90-71": "세로"}, {"odd_100-40-103-60"}),
    ],
)
def test_the_config_decides_which_words_are_written(
    dataset: Path, tmp_path: Path, values: dict[str, object], written: dict[str, str], refused: set[str]
) -> None:
    build(msgspec.structs.replace(CONFIG, **values), dataset, tmp_path, ["training"], workers=1)
    found = samples(tmp_path / TRAINING)
    assert {key: found[key]["txt"].decode() for key in written} == written
    assert not refused & found.keys()


def test_the_config_decides_how_patches_are_kept(dataset: Path, tmp_path: Path) -> None:
    def kept(name: str, **values: object) -> dict[str, bytes]:
        build(msgspec.structs.replace(CONFIG, **values), dataset, tmp_path / name, ["training"], workers=1)
        return samples(tmp_path / name / TRAINING)["odd_80-10-120-30"]

    assert len(kept("poor", jpeg_quality=20)["jpg"]) < len(kept("good")["jpg"])
    page = pixels(jpeg(77), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(pixels(kept("lossless", patch_format="png")["png"]), page[10:30, 80:120])


def test_an_impossible_alphabet_is_named_before_anything_is_built(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="more than once"):
        build(msgspec.structs.replace(CONFIG, character="가가"), dataset, tmp_path, ["training"], workers=1)
    assert not list(tmp_path.iterdir())


def test_the_words_of_a_shard_are_shuffled(dataset: Path, tmp_path: Path) -> None:
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    pages = [key.partition("_")[0] for key in samples(tmp_path / TRAINING)]
    assert sum(left == right for left, right in pairwise(pages)) < len(pages) / 2


def test_one_and_two_workers_write_the_same_bytes(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_small_groups(monkeypatch)
    build(CONFIG, dataset, tmp_path / "one", SPLITS, workers=1)
    build(CONFIG, dataset, tmp_path / "two", SPLITS, workers=2)
    files = sha256_of_files(tmp_path / "one")
    assert sum(name.endswith(".tar") for name in files) == 11 + 1 + 1
    assert files == sha256_of_files(tmp_path / "two")


def test_tars_look_the_same_whenever_and_whoever_writes_them(dataset: Path, tmp_path: Path) -> None:
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    with tarfile.open(tmp_path / TRAINING / "000000.tar") as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}


def test_a_second_run_does_nothing(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = build(CONFIG, dataset, tmp_path, SPLITS, workers=1)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tar")}
    capsys.readouterr()
    assert build(CONFIG, dataset, tmp_path, SPLITS, workers=1) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tar")} == times
    assert capsys.readouterr().out.endswith("\nalready built\n")


@pytest.mark.parametrize("lost", ["000002.tar", "000002.index.npz", ".build/000002.json", "manifest.json"])
def test_what_is_lost_is_made_again(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    many_small_groups(monkeypatch)
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    files = sha256_of_files(tmp_path)
    (tmp_path / TRAINING / lost).unlink()
    (tmp_path / TRAINING / ".000002.tar.tmp-99").write_bytes(b"of a killed run")
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    assert sha256_of_files(tmp_path) == files
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_a_truncated_shard_is_made_again(dataset: Path, tmp_path: Path) -> None:
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    tars = sha256_of_files(tmp_path)
    shard = tmp_path / TRAINING / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    assert sha256_of_files(tmp_path) == tars


def test_two_builds_are_never_mixed(dataset: Path, tmp_path: Path) -> None:
    build(CONFIG, dataset, tmp_path, ["training"], workers=1)
    tars = {path: path.read_bytes() for path in tmp_path.rglob("*.tar")}
    other = msgspec.structs.replace(CONFIG, seed=2)
    for lost in ("nothing", ".build/fingerprint", "manifest.json"):  # tars alone are another build, too
        (tmp_path / TRAINING / lost).unlink(missing_ok=True)
        with pytest.raises(UsageError, match="select_data: holds shards of another build; choose another --out"):
            build(other, dataset, tmp_path, SPLITS, workers=1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.tar")} == tars
    assert not (tmp_path / "evaluation").exists()


def test_entry_names_never_become_paths(tmp_path: Path) -> None:
    folder = tmp_path / "dataset/Training"
    write_zip(folder / "[원천]train.zip", [Member("../../../../escaped.jpg", jpeg()), Member("/rooted.jpg", jpeg())])
    write_zip(
        folder / "[라벨]train.zip", [Member("../../../../escaped.json", label()), Member("/rooted.json", label())]
    )
    build(CONFIG, tmp_path / "dataset", tmp_path / "out", ["training"], workers=1)
    assert {key.partition("_")[0] for key in samples(tmp_path / "out" / TRAINING)} == {"escaped", "rooted"}
    assert not list(tmp_path.rglob("*.jpg"))


def test_the_synthetic_data_set_is_read(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts/make_synthetic_dataset.py"
    sizes = ("--training", "6", "--validation", "4", "--scale", "0.25", "--workers", "1")
    subprocess.run([sys.executable, script, tmp_path / "dataset", *sizes], check=True, timeout=120)
    manifests = build(CONFIG, tmp_path / "dataset", tmp_path / "out", SPLITS, workers=1)
    assert manifests["training"].pages == {"written": 6, NO_LABEL: 1, NO_IMAGE: 1}
    assert manifests["evaluation"].pages == {"written": 2, NOT_DRAWN: 2, NO_LABEL: 1, NO_IMAGE: 1}
    assert manifests["training"].words["written"] == len(samples(tmp_path / "out" / TRAINING)) > 100


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", 2, 4)
    build(CONFIG, tmp_path / "dataset", tmp_path / "out", ["training"], workers=1)
    manifest = json.loads((tmp_path / "out" / TRAINING / "manifest.json").read_bytes())
    assert manifest["split"] == "training"
    assert [shard["name"] for shard in manifest["shards"]] == ["000000.tar"]
    assert manifest["settings"]["jpeg_quality"] == 95
    assert manifest["categories"] == {"인.허가": {"pages": 2, "words": 6}}
    assert manifest["characters"]["김"] == 2
    assert [entry["name"] for entry in manifest["inputs"]] == ["[라벨]train.zip", "[원천]train.zip"]
    assert manifest["versions"]["opencv"] == cv2.__version__


def test_shards_inside_the_data_set_are_not_taken_for_downloads(tmp_path: Path) -> None:
    write_dataset(tmp_path, 4, 4)
    first = build(CONFIG, tmp_path, tmp_path / "shards", ["training"], workers=1)
    assert build(CONFIG, tmp_path, tmp_path / "shards", ["training"], workers=1) == first
