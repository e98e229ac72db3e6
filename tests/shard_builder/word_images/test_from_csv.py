"""`python -m shard_builder.from_csv` gives shards as the builder's, and leaves out nothing without a count."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import webdataset as wds

from ocr.config import Config
from ocr.errors import DataError, UsageError, run_command
from ocr.page import decode_image
from ocr.shards.manifest import Manifest, find_shards, read_manifest
from ocr.shards.shard_index import read_index
from shard_builder.from_csv import main
from shard_builder.verify import verify
from shard_builder.word_images import import_set as story
from shard_builder.word_images.import_set import import_set
from tests.shard_builder.made_zips import sha256_of_files

ROOT = Path(__file__).parents[3]
CONFIG = Config(max_failed=0.5)


def picture(width: int = 60, height: int = 30, suffix: str = ".png", seed: int = 0) -> bytes:
    pixels = np.random.Generator(np.random.Philox(key=seed)).integers(0, 256, (height, width), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def write_set(folder: Path, images: dict[str, bytes], rows: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in images.items():
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / name).write_bytes(content)
    (folder / "labels.csv").write_text("\n".join(["filename,words", *rows, ""]), encoding="utf-8")
    return folder


def pages_set(folder: Path, num_pages: int = 20, words_a_page: int = 10) -> Path:
    """Words named as the seed project named them: `<page>_<x0>-<y0>-<x1>-<y1>.png`."""
    names = [
        f"53501-2001-{page:04d}_{word}-0-{word + 9}-9.png" for page in range(num_pages) for word in range(words_a_page)
    ]
    return write_set(
        folder, {name: picture(seed=n) for n, name in enumerate(names)}, [f"{name},{name}" for name in names]
    )


def built(
    dataset: Path, out: Path, config: Config = CONFIG, share: float = 0.0, workers: int = 1
) -> dict[str, Manifest]:
    return import_set(config, dataset, None, share, out, workers)


def samples_of(out: Path, split: str = "training") -> dict[str, dict[str, bytes]]:
    """{key: members}, read by WebDataset itself."""
    shards = [str(path) for path in find_shards(str(out / split / "select_data"))]
    read = wds.WebDataset(shards, shardshuffle=False, empty_check=False)
    return {s["__key__"]: {name: s[name] for name in s if not name.startswith("__")} for s in read}


def test_the_command_writes_what_the_trainer_reads(tmp_path: Path) -> None:
    pages_set(tmp_path / "set")
    arguments = ["--dataset", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--workers", "2"]
    command = [sys.executable, "-m", "shard_builder.from_csv", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert f"training: {tmp_path / 'out/training/select_data'}\n" in ended.stdout
    assert "  words          190 written\n" in ended.stdout and "  words           10 written\n" in ended.stdout
    assert "pages" not in ended.stdout
    assert "labels.csv: no text is in quotes, all are read as they stand\n" in ended.stderr
    verify(tmp_path / "out", workers=1)  # raises where anything does not add up
    (shard,) = find_shards(str(tmp_path / "out/training/select_data"))
    index = read_index(shard)
    assert index and index.num_samples == 190
    assert set(index.width) == {60} and set(index.height) == {30}


def test_images_stay_the_bytes_they_are_but_for_forms_that_shards_do_not_hold(tmp_path: Path) -> None:
    suffixes = (".png", ".jpg", ".bmp", ".webp", ".tiff")
    images = {f"a{suffix[1:]}{suffix}": picture(suffix=suffix) for suffix in suffixes}
    built(write_set(tmp_path / "set", images, [f"{name},하며" for name in images]), tmp_path / "out")
    samples = samples_of(tmp_path / "out")
    assert samples["apng"] == {"png": images["apng.png"], "txt": "하며".encode()}
    assert samples["ajpg"] == {"jpg": images["ajpg.jpg"], "txt": "하며".encode()}
    assert [set(samples[f"a{suffix[1:]}"]) for suffix in suffixes[2:]] == [{"jpg", "txt"}] * 3
    built(tmp_path / "set", tmp_path / "lossless", Config(patch_format="png"))
    pixels = [
        decode_image(each, False) for each in (samples_of(tmp_path / "lossless")["abmp"]["png"], images["abmp.bmp"])
    ]
    assert pixels[0] is not None and pixels[1] is not None and np.array_equal(pixels[0], pixels[1])


def test_every_row_is_written_or_counted_under_its_reason(tmp_path: Path) -> None:
    images = {
        "good.png": picture(),
        "tall.png": picture(20, 60),
        "tiny.png": picture(3, 3),
        "page.png": b"<html>502 Bad Gateway</html>",
        "cut.jpg": picture(suffix=".jpg")[:-20],
        "half.png": picture()[:900],
        "empty.png": b"",
    }
    listed = {
        "good.png,하며": "written",
        "tall.png,세로": "vertical",
        "tiny.png,가": "too small",
        "page.png,가": "image not decodable",
        "cut.jpg,가": "image not decodable",
        "half.png,가": "image not decodable",
        "empty.png,가": "image not decodable",
        "gone.png,가": "no such image",
        "good.png,부산": "listed twice",
        "good2.png,": "empty text",
        "good3.png, ": "empty text",
        "no comma": "no comma in its line",
    }
    config = Config(max_failed=1.0)
    manifest = built(write_set(tmp_path / "set", images, list(listed)), tmp_path / "out", config)["training"]
    assert manifest.words == Counter(listed.values())
    assert sum(manifest.words.values()) == len(listed) == manifest.inputs[0].num_entries
    assert manifest.characters == {"하": 1, "며": 1}
    failed = (tmp_path / "out/training/select_data/failed_pages.jsonl").read_text().splitlines()
    assert {json.loads(line)["page"] for line in failed} == {*images, "gone.png"} - {"good.png", "tall.png", "tiny.png"}
    assert list(samples_of(tmp_path / "out")) == ["good"]


def test_names_that_meet_in_their_stem_keep_keys_of_their_own(tmp_path: Path) -> None:
    images = {name: picture(seed=n) for n, name in enumerate(["1/a.png", "2/a.png", "a.jpg", "김해.png", "b.c.png"])}
    built(write_set(tmp_path / "set", images, [f"{name},{name}" for name in images]), tmp_path / "out")
    samples = samples_of(tmp_path / "out")
    assert len(samples) == 5 and all(key.isascii() and "." not in key for key in samples)
    assert {members["txt"].decode(): members.get("png") or members["jpg"] for members in samples.values()} == images


def few_words_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "WORDS_A_SHARD", 40)


def test_the_bytes_are_the_same_for_any_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_words_a_shard(monkeypatch)
    pages_set(tmp_path / "set")
    for workers in (1, 3):
        built(tmp_path / "set", tmp_path / f"{workers}", share=0.2, workers=workers)
    assert sha256_of_files(tmp_path / "1") == sha256_of_files(tmp_path / "3")
    keys = list(samples_of(tmp_path / "1"))
    assert len(find_shards(str(tmp_path / "1/training/select_data"))) == 4
    assert keys != sorted(keys)
    assert len({key.partition("_")[0] for key in keys[:40]}) > 10  # a shard's words are of many pages


def test_a_run_that_was_stopped_keeps_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_words_a_shard(monkeypatch)
    pages_set(tmp_path / "set")
    built(tmp_path / "set", tmp_path / "out")
    whole = sha256_of_files(tmp_path / "out")
    folder = tmp_path / "out/training/select_data"
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tar")}  # an inode's number is used again
    for name in ("manifest.json", "000001.tar", ".build/000003.json"):
        (folder / name).unlink()
    built(tmp_path / "set", tmp_path / "out")
    assert sha256_of_files(tmp_path / "out") == whole
    now = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tar")}
    assert {name for name in kept if now[name] == kept[name]} == {"000000.tar", "000002.tar", "000004.tar"}


def test_a_page_is_never_divided(tmp_path: Path) -> None:
    manifests = built(pages_set(tmp_path / "set"), tmp_path / "out", share=0.12)
    training, validation = (
        {key.partition("_")[0] for key in samples_of(tmp_path / "out", split)} for split in ("training", "validation")
    )
    assert not training & validation
    assert len(validation) == 3 and manifests["validation"].words == {"written": 30}  # 12 % of 20 pages, rounded up


@pytest.mark.parametrize("name", ["공문 1", "v1.0 page", "x" * 70])
def test_a_page_is_never_divided_whatever_its_name(tmp_path: Path, name: str) -> None:
    """Such names are no sample keys: a hash follows what is left of them."""
    images = {f"{name}-{page}_{word}-0-{word + 9}-9.png": picture() for page in range(6) for word in range(20)}
    write_set(tmp_path / "set", images, [f"{image},{image.rpartition('_')[0][-1]}" for image in images])
    built(tmp_path / "set", tmp_path / "out", share=0.2)
    splits = [samples_of(tmp_path / "out", split).values() for split in ("training", "validation")]
    training, validation = ({sample["txt"] for sample in samples} for samples in splits)
    assert len(training) == 4 and len(validation) == 2 and not training & validation
    of_a_page = list(images)[:20]
    write_set(tmp_path / "held_out", {each: images[each] for each in of_a_page}, [f"{each},0" for each in of_a_page])
    manifests = import_set(CONFIG, tmp_path / "set", tmp_path / "held_out", 0.05, tmp_path / "other", 1)
    assert manifests["training"].words == {"written": 100, "also in Validation": 20}


def test_other_images_stand_for_themselves(tmp_path: Path) -> None:
    images = {f"{index}.png": picture() for index in range(40)}
    write_set(tmp_path / "set", images, [f"{name},가" for name in images])
    manifests = built(tmp_path / "set", tmp_path / "out", share=0.05)
    assert [manifest.words["written"] for manifest in manifests.values()] == [38, 2]


def test_validation_may_be_a_set_of_its_own_and_its_pages_are_not_trained_on(tmp_path: Path) -> None:
    pages_set(tmp_path / "training", num_pages=5)
    pages_set(tmp_path / "validation", num_pages=2)
    manifests = import_set(CONFIG, tmp_path / "training", tmp_path / "validation", 0.05, tmp_path / "out", 1)
    assert manifests["training"].words == {"written": 30, "also in Validation": 20}
    assert manifests["validation"].words == {"written": 20}


def test_without_a_share_there_is_no_validation(tmp_path: Path) -> None:
    assert list(built(pages_set(tmp_path / "set", 2), tmp_path / "out", share=0.0)) == ["training"]
    assert not (tmp_path / "out/validation").exists()


def test_another_set_does_not_mix_with_what_is_there(tmp_path: Path) -> None:
    pages_set(tmp_path / "set", 2)
    built(tmp_path / "set", tmp_path / "out")
    name = "53501-2001-0001_3-0-12-9.png"
    (tmp_path / "set/images" / name).write_bytes(picture(90))
    with pytest.raises(UsageError, match="holds shards of another build; choose another --out"):
        built(tmp_path / "set", tmp_path / "out")


def test_an_lmdb_becomes_the_same_samples(tmp_path: Path) -> None:
    pytest.importorskip("lmdb")
    from tests.shard_builder.word_images.test_labels_lmdb import write_lmdb

    images = {f"image-{index:09d}": picture(seed=index, suffix=".jpg") for index in range(1, 30)}
    labels = {name.replace("image", "label"): f'"{name},"' for name in images}
    write_lmdb(tmp_path / "set", {**images, **labels, "num-samples": "29"})
    built(tmp_path / "set", tmp_path / "out", workers=2)
    samples = samples_of(tmp_path / "out")
    assert {key: members["jpg"] for key, members in samples.items()} == images
    assert all(members["txt"].decode() == f'"{key},"' for key, members in samples.items())


def nothing(folder: Path) -> None:
    pass


def an_empty_folder(folder: Path) -> None:
    folder.mkdir()


def no_rows(folder: Path) -> None:
    write_set(folder, {"a.png": picture()}, [])


def no_images(folder: Path) -> None:
    write_set(folder, {}, ["a.png,가", "b.png,나"])


def no_pictures(folder: Path) -> None:
    write_set(folder, {"a.png": b"<html>"}, ["a.png,가"])


def one_page(folder: Path) -> None:
    pages_set(folder, 1)


def good(folder: Path) -> None:
    pages_set(folder, 3)


@pytest.mark.parametrize(
    ("make", "options", "exit_code", "line"),
    [
        pytest.param(nothing, (), 2, "set: no such folder; give one that holds labels.csv or data.mdb", id="no folder"),
        pytest.param(an_empty_folder, (), 2, "set: holds neither labels.csv (EasyOCR's trainer) nor data", id="empty"),
        pytest.param(no_rows, (), 1, "set/labels.csv: lists no image", id="no rows"),
        pytest.param(
            no_images,
            ("--validation-share", "0"),
            1,
            "labels.csv: a.png: no such image (training: 2 of 2",
            id="no images",
        ),
        pytest.param(
            no_pictures, ("--validation-share", "0"), 1, "labels.csv: a.png: image not decodable (tr", id="no pictures"
        ),
        pytest.param(one_page, (), 2, "too few pages to divide; give --validation DIR, or", id="one page"),
        pytest.param(good, ("--validation", "{set}"), 2, "is given to train and to validate on; leave", id="twice"),
        pytest.param(good, ("--validation", "{set}/2"), 2, "set/2: no such folder; give one", id="no validation set"),
        pytest.param(good, ("--validation-share", "1"), 2, "--validation-share 1: a share is at", id="all of it"),
        pytest.param(good, ("--validation-share", "nan"), 2, "--validation-share nan: a share is at", id="no number"),
        pytest.param(good, ("--workers", "0"), 2, "--workers 0: at least one", id="no workers"),
        pytest.param(good, ("sed=1",), 2, "command line: unknown key 'sed'; did you mean 'seed'?", id="a config typo"),
    ],
)
def test_bad_input_ends_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    options: tuple[str, ...],
    exit_code: int,
    line: str,
) -> None:
    make(tmp_path / "set")
    arguments = ["--dataset", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--workers", "1"]
    options = tuple(option.format(set=tmp_path / "set") for option in options)
    monkeypatch.setattr(sys, "argv", ["from_csv", *arguments, *options])
    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert ended.value.code == exit_code
    errors = [row for row in capsys.readouterr().err.splitlines() if row.startswith("error: ")]
    assert len(errors) == 1 and line in errors[0]
    assert not list((tmp_path / "out").rglob("manifest.json"))
    assert not list((tmp_path / "out").rglob("*.tmp-*"))


def test_what_is_missing_is_said_before_anything_is_written(tmp_path: Path) -> None:
    no_images(tmp_path / "set")
    with pytest.raises(DataError):
        built(tmp_path / "set", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_manifest_is_one_that_all_tools_know(tmp_path: Path) -> None:
    built(pages_set(tmp_path / "set", 2), tmp_path / "out")
    manifest = read_manifest(tmp_path / "out/training/select_data")
    assert manifest and manifest.split == "training" and manifest.pages == {} and manifest.categories == {}
    assert [shard.num_samples for shard in manifest.shards] == [20]
    assert manifest.inputs[0].name == "labels.csv" and manifest.settings["seed"] == CONFIG.seed
