"""`python -m trainer.preview` draws what training will see, or says in one line why it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocr.config import Config
from ocr.errors import run_command
from ocr.patch import fit, reader_width
from ocr.shards.manifest import write_shard
from ocr.shards.shard_index import index_path
from tests.trainer.conftest import changed, drawn, sample
from trainer.data.augment import augment, augmentation_of, number_of
from trainer.preview import columns_of, contact_sheet, draw_samples, main, pictures_of

ROOT = Path(__file__).parents[2]


def shards_of(config: Config) -> list[Path]:
    return sorted(Path(config.train_data, config.select_data).glob("*.tar"))


def test_the_command_writes_a_sheet(config: Config, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trainer.preview", "--config", "configs/korean_g2.yaml", "--samples", "3"]
    options = ["--out", str(tmp_path / "sheet.png"), f"train_data={config.train_data}", "augment=True"]
    ended = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert ended.stdout == (
            f"{tmp_path / 'sheet.png'}: {sheet.width} x {sheet.height} pixels; augment: True, training sees the last "
            "columns\n"
        )
        assert sheet.width > 1_500 and sheet.height > 3 * 64


@pytest.mark.parametrize(
    ("options", "exit_code", "line"),
    [
        pytest.param(("--shards", "nowhere"), 2, "nowhere: no shard (*.tar) there; build them", id="no shards"),
        pytest.param(("--samples", "0"), 2, "--samples 0: at least one is needed", id="no rows"),
        pytest.param(("augment_noise=2",), 2, "command line: augment_noise: expected `float` <= 1.0", id="too strong"),
    ],
)
def test_bad_input_ends_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    exit_code: int,
    line: str,
) -> None:
    arguments = ("--config", str(ROOT / "configs/korean_g2.yaml"), "--out", str(tmp_path / "sheet.png"), *options)
    monkeypatch.setattr(sys, "argv", ["preview", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert ended.value.code == exit_code
    said = capsys.readouterr().err
    assert said.startswith(f"error: {line}") and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_samples_are_drawn_by_the_seed_and_come_from_all_shards(config: Config) -> None:
    shards = shards_of(config)
    samples = draw_samples(shards, 30, config)
    numbers = [int(each.key.removeprefix("word-")) for each in samples]
    assert numbers == sorted(set(numbers))
    assert {number // 30 for number in numbers} == {0, 1, 2}
    keys = [each.key for each in samples]
    assert [each.key for each in draw_samples(shards, 30, config)] == keys
    assert [each.key for each in draw_samples(shards, 30, changed(config, seed=2))] != keys
    assert len(draw_samples(shards, 1_000, config)) == 90
    index_path(shards[0]).rename(index_path(shards[0]).with_suffix(".away"))
    try:
        assert [each.text for each in draw_samples(shards, 30, config)] == [each.text for each in samples]
    finally:
        index_path(shards[0]).with_suffix(".away").rename(index_path(shards[0]))
    assert all(np.array_equal(each.patch, drawn(each.text)) for each in samples)


@pytest.mark.parametrize("rgb", [False, True])
def test_the_last_columns_are_what_augment_makes_padded_as_the_reader_pads(config: Config, rgb: bool) -> None:
    config = changed(config, augment=True, rgb=rgb, input_channel=3 if rgb else 1)
    strengths = augmentation_of(config)
    for each in draw_samples(shards_of(config), 5, config):
        pictures = list(pictures_of(each, config))
        assert len(pictures) == len(columns_of(config))
        assert np.array_equal(pictures[0], fit(each.patch))
        for epoch, picture in enumerate(pictures[-3:]):
            expected = fit(augment(each.patch, strengths, config.seed, number_of(each.key), epoch))
            assert np.array_equal(picture[:, : expected.shape[1]], expected)
            assert picture.shape[1] == reader_width(each.patch)


def test_a_kind_that_is_off_says_so_and_shows_the_original(config: Config) -> None:
    config = changed(config, augment_ink=0.0)
    assert columns_of(config)[1] == ("ink", "off")
    pictures = list(pictures_of(draw_samples(shards_of(config), 1, config)[0], config))
    assert np.array_equal(pictures[1], pictures[0])


def test_folders_that_are_mixed_are_all_drawn_from(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("drawn", "1"), ("real", "2")):
        write_shard(tmp_path / name / "000000.tar", [sample(name, text)])
    keys = (f"train_data={tmp_path}", "select_data=drawn-real", "batch_ratio=0.5-0.5")
    options = ("--config", str(ROOT / "configs/korean_g2.yaml"), "--out", str(tmp_path / "sheet.png"), *keys)
    monkeypatch.setattr(sys, "argv", ["preview", *options])
    main()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 2 * 64
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'sheet.png'}: ")


def test_very_wide_and_very_small_patches_fit_the_sheet(config: Config, tmp_path: Path) -> None:
    write_shard(
        tmp_path / "000000.tar",
        [sample("a", "1" * 200), sample("b", "1", np.full((1, 1), 9, np.uint8)), sample("c", "김해시")],
    )
    sheet = contact_sheet(draw_samples([tmp_path / "000000.tar"], 3, config), config)
    assert sheet.width < 5_000
