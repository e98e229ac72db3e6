"""From training shards to a language model that validation decodes with."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.file_server import serving

from ocr.config import Config
from ocr.decoding.ngrams import read_language_model
from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import charset_of
from tests.trainer.conftest import SMALL, changed, number_shards, train
from trainer.data.data_sources import read_texts
from trainer.language_model import write_language_model


def test_it_knows_the_training_texts(config: Config, tmp_path: Path) -> None:
    line = write_language_model(config, tmp_path / "numbers.npz")
    assert "n-grams of 90 texts" in line
    charset = charset_of(config.character)
    number, word = read_language_model(tmp_path / "numbers.npz", charset).log_probs_of(
        [charset.encode(text) for text in ("123", "abc")]
    )
    assert number > word + 5


def test_it_reads_the_texts_of_all_folders_that_are_selected(config: Config, tmp_path: Path) -> None:
    for name in ("drawn", "real"):
        number_shards(tmp_path / "training" / name, num_shards=1, samples_per_shard=7)
    mixed = changed(config, train_data=str(tmp_path / "training"), select_data="drawn-real", batch_ratio="0.5-0.5")
    assert "n-grams of 14 texts" in write_language_model(mixed, tmp_path / "numbers.npz")


@pytest.mark.parametrize("prediction", ["CTC", "Attn"])
def test_validation_decodes_by_beams(config: Config, tmp_path: Path, prediction: str) -> None:
    config = changed(config, Prediction=prediction, **SMALL)
    write_language_model(config, tmp_path / "numbers.npz")
    beams = changed(config, decode="beamsearch", beam_width=3, language_model=str(tmp_path / "numbers.npz"))
    folder = train(changed(beams, n_iter=2), tmp_path / "saved", tmp_path / "EasyOCR")
    train(beams, tmp_path / "saved", tmp_path / "EasyOCR")  # and goes on
    assert "[4/4]" in (folder / "log_train.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["/training/", "/training/select_data/{000000..000001}.tar"])
def test_it_finds_the_shards_that_the_trainer_finds(config: Config, tmp_path: Path, place: str) -> None:
    number_shards(tmp_path / "training" / "select_data", num_shards=2, samples_per_shard=7)
    with serving(tmp_path) as server:
        line = write_language_model(changed(config, train_data=f"{server.url}{place}"), tmp_path / "numbers.npz")
    assert "n-grams of 14 texts" in line
    with pytest.raises(UsageError, match="pipe:cat a.tar: texts are read from shards that can be looked into"):
        write_language_model(changed(config, train_data="pipe:cat a.tar"), tmp_path / "numbers.npz")


def test_mistakes_are_named(config: Config, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--out: .*numbers.txt must end in .npz"):
        write_language_model(config, tmp_path / "numbers.txt")
    with pytest.raises(UsageError, match="no shard"):
        write_language_model(changed(config, train_data=str(tmp_path)), tmp_path / "numbers.npz")
    (tmp_path / "000000.tar").write_bytes(b"x" * 700)
    with pytest.raises(DataError, match=r"000000\.tar: .*; build or fetch the tar again"):
        list(read_texts([tmp_path / "000000.tar"]))
