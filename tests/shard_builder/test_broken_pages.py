"""Pages that cannot be read: the odd one is counted, more than 1 % stop the build."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ocr.config import Config
from ocr.errors import DataError
from shard_builder.build import build
from shard_builder.job import BAD_IMAGE, BROKEN_ENTRY, OF_REFUSED_PAGE
from shard_builder.label_scan import UNREADABLE
from tests.shard_builder.made_zips import MadePage, Member, jpeg, label, made_pages, write_half, write_zip

CONFIG = Config(train_images=9, val_images=3, eval_images=2)

BROKEN_PAGES = [
    pytest.param(MadePage("bad", b"\x89PNG", label()), BAD_IMAGE, id="no image"),
    pytest.param(MadePage("bad", b"", label()), BAD_IMAGE, id="an empty image"),
    pytest.param(MadePage("bad", jpeg()[:-900], label()), BAD_IMAGE, id="a JPEG cut off"),
    pytest.param(MadePage("bad", jpeg()[:-900] + bytes(900), label()), BAD_IMAGE, id="a JPEG that ends in zeros"),
    pytest.param(MadePage("bad", jpeg(), b"{}"), UNREADABLE, id="no label"),
]


@pytest.mark.parametrize(("page", "reason"), BROKEN_PAGES)
def test_one_broken_page_of_many_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], page: MadePage, reason: str
) -> None:
    pages = [MadePage(str(number), jpeg(0, 32, 32)) for number in range(100)]
    write_half(tmp_path / "dataset", "Training", [page, *pages])
    settings = msgspec.structs.replace(CONFIG, train_images=101)
    manifest = build(settings, tmp_path / "dataset", tmp_path / "out", ["training"], workers=1)["training"]
    assert manifest.pages == {"written": 100, reason: 1}
    assert manifest.words.get(OF_REFUSED_PAGE, 0) == (3 if reason == BAD_IMAGE else 0)
    assert "1 pages cannot be read and are left out, listed in" in (error := capsys.readouterr().err)
    assert f"bad.{'jpg' if reason == BAD_IMAGE else 'json'}: {reason}" in error
    failed = (tmp_path / "out/training/select_data/failed_pages.jsonl").read_text()
    assert msgspec.json.decode(failed)["page"] == "bad"
    build(settings, tmp_path / "dataset", tmp_path / "out", ["training"], workers=1)
    assert "already built" in capsys.readouterr().out


@pytest.mark.parametrize(("page", "reason"), BROKEN_PAGES)
def test_more_than_one_in_a_hundred_stops_the_build(tmp_path: Path, page: MadePage, reason: str) -> None:
    write_half(tmp_path / "dataset", "Training", [page, *made_pages("Training", 8)])
    with pytest.raises(DataError, match=rf"zip: .*{reason}.*1 of 9 pages so far cannot be read"):
        build(CONFIG, tmp_path / "dataset", tmp_path / "out", ["training"], workers=1)
    assert not list((tmp_path / "out").rglob("manifest.json"))


def test_a_mended_zip_is_read_again(tmp_path: Path) -> None:
    """A damaged download and its repair have the same directory, so the build goes on, with the pages it missed."""
    write_half(tmp_path / "dataset", "Training", made_pages("Training", 9))
    zip_path = tmp_path / "dataset/Training/[원천]train.zip"
    whole = zip_path.read_bytes()
    zip_path.write_bytes(bytes(300) + whole[300:])
    with pytest.raises(DataError, match=r"\[원천\]train\.zip: 02.*jpg: no entry begins"):
        build(CONFIG, tmp_path / "dataset", tmp_path / "out", ["training"], workers=2)
    zip_path.write_bytes(whole)
    manifest = build(CONFIG, tmp_path / "dataset", tmp_path / "out", ["training"], workers=1)["training"]
    assert manifest.pages == {"written": 9}


def test_a_broken_entry_is_counted_under_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "dataset/Training"
    images = [Member(f"T/a/{n}.jpg", jpeg(0, 32, 32), listed_crc_change=int(n == 5)) for n in range(101)]
    write_zip(folder / "[원천]train.zip", images)
    write_zip(folder / "[라벨]train.zip", [Member(f"L/a/{n}.json", label()) for n in range(101)])
    settings = msgspec.structs.replace(CONFIG, train_images=101)
    manifest = build(settings, tmp_path / "dataset", tmp_path / "out", ["training"], workers=1)["training"]
    assert manifest.pages == {"written": 100, BROKEN_ENTRY: 1}
