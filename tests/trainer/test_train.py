"""Whole runs: one process, two ranks on gloo, one that is continued, and what a user sees when it cannot start."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ocr.config import Config, load_config, save_config
from ocr.errors import DataError
from ocr.networks.easyocr_files import charset_of
from ocr.networks.weight_files import read_weights
from ocr.shards.shard_index import index_path
from tests.trainer.conftest import SMALL, changed, number_shards, train
from trainer.checkpoint import starting_model

ROOT = Path(__file__).parents[2]


def command_of(config: Config, folder: Path, num_ranks: int) -> list[str]:
    """`python -m trainer`, or torchrun with `num_ranks` processes, as a user starts it."""
    save_config(config, folder / "mine.yaml")
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_ranks}"]
    return [
        sys.executable,
        *(torchrun if num_ranks > 1 else []),
        *("-m", "trainer", "--config", str(folder / "mine.yaml")),
        *("--saved-models", str(folder / "saved"), "--easyocr-dir", str(folder / "EasyOCR")),
    ]


def run(config: Config, folder: Path, *, num_ranks: int = 1) -> subprocess.CompletedProcess[str]:
    command = command_of(config, folder, num_ranks)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def blocks(folder: Path) -> list[str]:
    log = (folder / "log_train.txt").read_text(encoding="utf-8")
    return re.findall(r"^\[\d+/\d+\]$", log, flags=re.MULTILINE)


def test_a_run_writes_the_seeds_log_and_what_reads(config: Config, tmp_path: Path) -> None:
    folder = train(config, tmp_path / "saved", tmp_path / "EasyOCR")
    log = (folder / "log_train.txt").read_text(encoding="utf-8")
    rule = "-" * 80
    assert re.match(
        r"\[2/4\]\n"
        r"Training loss: \d+\.\d{5} \| Validation loss: \d+\.\d{5} \| Total 0:\d\d:\d\d elapsed\n"
        r"Current accuracy : \d+\.\d{3} \| Current normalized edit distance: [01]\.\d{4}\n"
        r"Best accuracy : \d+\.\d{3} \| Best normalized edit distance: [01]\.\d{4}\n"
        rf"{rule}\nGround Truth \| Prediction \| Confidence Score & T/F\n{rule}\n"
        rf"(\d+ \| .* \| [01]\.\d{{4}} (True|False)\n){{3}}{rule}\n\[4/4\]\n",
        log,
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "best_accuracy.pth",
        "best_norm_ed.pth",
        "config.yaml",
        "curves.png",
        "last.pth",
        "log_dataset.txt",
        "log_train.txt",
        "metrics.jsonl",
        "tensorboard",
    ]
    assert load_config(folder / "config.yaml") == config
    assert read_weights(folder / "best_norm_ed.pth").character == read_weights(folder / "last.pth").character
    counts = (folder / "log_dataset.txt").read_text(encoding="utf-8")
    assert counts == (
        "[0/4] training: 90 samples, 90 used; validation: 22 samples, 22 used\n"
        "alphabet: english_g2 (96 characters) writes 100.00% of 90 training words, korean_g2 100.00%, "
        "korean_g2+ksx1001 100.00%, korean_g2+data 100.00%, korean_g2+ksx1001+data 100.00%\n"
    )


def test_an_empty_validation_set_is_named_before_anything_is_trained(config: Config, tmp_path: Path) -> None:
    number_shards(tmp_path / "empty" / "select_data", num_shards=1, samples_per_shard=0)
    empty = changed(config, val_data=str(tmp_path / "empty"), val_period=10**9, **SMALL)
    with pytest.raises(DataError, match="empty: holds no word to validate on; build more validation pages"):
        train(empty, tmp_path / "saved", tmp_path)
    assert not (tmp_path / "saved").exists()


def test_a_run_can_be_watched(config: Config, tmp_path: Path) -> None:
    folder = train(changed(config, **SMALL), tmp_path, tmp_path)
    first, last = (json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    assert (first["iteration"], last["iteration"], last["epoch"], last["lr"]) == (2, 4, 0, config.lr)
    assert 0 < last["validation_share"] < 1 and 0 <= last["data_wait"] <= 1 and last["patches_per_second"] > 0
    board = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0}).Reload()
    assert {"loss", "lr", "patches_per_second", "data_wait", "accuracy", "norm_ed", "cer"} <= set(
        board.Tags()["scalars"]
    )
    assert [event.step for event in board.Scalars("cer")] == [2, 4]
    assert board.Tags()["images"] == ["worst words"]
    curves = cv2.imread(str(folder / "curves.png"))
    assert curves is not None and curves.shape == (900, 1000, 3)


def test_the_same_seed_gives_the_same_weights(config: Config, tmp_path: Path) -> None:
    config = changed(config, **SMALL)
    folders = [train(config, tmp_path / name, tmp_path / "EasyOCR") for name in ("first", "second")]
    first, second = (read_weights(folder / "last.pth").tensors for folder in folders)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_few_words_are_learned_by_heart(config: Config, tmp_path: Path) -> None:
    by_heart = changed(
        config,
        train_data=config.val_data,
        character="0123456789",
        n_iter=60,
        val_period=60,
        batch_size=8,
        lr=0.001,
        schedule="cosine",
    )
    folder = train(by_heart, tmp_path / "saved", tmp_path / "EasyOCR")
    assert "Best accuracy : 100.000" in (folder / "log_train.txt").read_text(encoding="utf-8")


def test_two_ranks_train_one_model(config: Config, tmp_path: Path) -> None:
    result = run(changed(config, workers=1, batch_size=5, **SMALL), tmp_path, num_ranks=2)  # 3 and 2 samples
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("[2/4]") == 1  # rank 0 alone speaks and writes
    assert blocks(tmp_path / "saved" / "numbers") == ["[2/4]", "[4/4]"]
    log = (tmp_path / "saved" / "numbers" / "log_dataset.txt").read_text(encoding="utf-8")
    assert "validation: 22 samples" in log  # every word once over both ranks


def test_a_rank_that_meets_a_damaged_shard_ends_all_with_its_line(config: Config, tmp_path: Path) -> None:
    for name in ("training", "validation"):
        number_shards(tmp_path / name / "select_data", num_shards=1, samples_per_shard=16)
    shard = tmp_path / "training" / "select_data" / "000000.tar"
    content = bytearray(shard.read_bytes())
    content[512 + 60] ^= 1  # inside the first patch
    shard.write_bytes(content)
    data = {"train_data": str(tmp_path / "training"), "val_data": str(tmp_path / "validation")}
    result = run(changed(config, n_iter=100, **data, **SMALL), tmp_path, num_ranks=2)
    assert result.returncode == 1
    (error,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert re.match(r"error: .*000000.tar: word-0: its patch is not the one in the index \(checksum\)", error)
    assert not (tmp_path / "saved" / "numbers" / "last.pth").exists()


def test_torchrun_passes_a_signal_on_and_the_run_is_saved(config: Config, tmp_path: Path) -> None:
    command = command_of(changed(config, n_iter=100_000, val_period=100_000, **SMALL), tmp_path, num_ranks=2)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as torchrun:
        assert torchrun.stdout
        while "2 processes on cpu" not in torchrun.stdout.readline():
            assert torchrun.poll() is None
        torchrun.send_signal(signal.SIGTERM)
        _, errors = torchrun.communicate(timeout=120)
    assert "numbers: stopped by a signal behind iteration" in errors
    progress = torch.load(tmp_path / "saved" / "numbers" / "last.pth", weights_only=True)["progress"]
    assert 0 < progress["iteration"] < 100_000


def test_a_run_goes_on_where_it_stopped(config: Config, tmp_path: Path) -> None:
    saved, easyocr_dir, config = tmp_path / "saved", tmp_path / "EasyOCR", changed(config, **SMALL)
    folder = train(changed(config, n_iter=2), saved, easyocr_dir)
    train(config, saved, easyocr_dir)
    assert blocks(folder) == ["[2/2]", "[4/4]"]
    before = (folder / "last.pth").read_bytes()
    train(config, saved, easyocr_dir)  # nothing left to do
    assert (folder / "last.pth").read_bytes() == before


def test_plain_tars_train_too_and_say_what_is_lost(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.loader.SHUFFLE_SAMPLES", 50)
    for name in ("training", "validation"):
        for shard in number_shards(tmp_path / name / "select_data", num_shards=2, samples_per_shard=9):
            index_path(Path(shard)).unlink()
    plain = changed(config, train_data=str(tmp_path / "training"), val_data=str(tmp_path / "validation"), **SMALL)
    folder = train(plain, tmp_path / "saved", tmp_path / "EasyOCR")
    assert capsys.readouterr().out.count("reading plain tars, because there is no index beside the shards") == 2
    lines = (folder / "log_dataset.txt").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"\[2/4\] training: \d+ samples, \d+ used; validation: 18 samples, 18 used", lines[0])
    assert lines[1] == "[4/4] validation: 18 samples, 18 used"  # all that was trained on was met, and counted, before
    train(changed(plain, n_iter=6), tmp_path / "saved", tmp_path / "EasyOCR")
    assert blocks(folder) == ["[2/4]", "[4/4]", "[6/6]"]


def test_a_run_can_start_from_a_run(config: Config, tmp_path: Path) -> None:
    config = changed(config, **SMALL)
    first = train(changed(config, n_iter=2), tmp_path / "saved", tmp_path / "EasyOCR")
    second = changed(config, experiment_name="second", continue_from=str(first / "best_accuracy.pth"), n_iter=2)
    assert (train(second, tmp_path / "saved", tmp_path / "EasyOCR") / "last.pth").exists()


def test_a_frozen_part_stays_equal_to_the_bit_over_validations(config: Config, tmp_path: Path) -> None:
    frozen = changed(config, freeze_FeatureFxtraction=True, **SMALL)
    torch.manual_seed(frozen.seed)
    before = starting_model(frozen, charset_of(frozen.character), tmp_path).state_dict()
    after = read_weights(train(frozen, tmp_path / "saved", tmp_path / "EasyOCR") / "last.pth").tensors
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith("FeatureExtraction.")}


@pytest.mark.parametrize(
    "stages",
    [
        {"Prediction": "Attn"},
        {"Transformation": "TPS", "num_fiducial": 8, "SequenceModeling": "None"},
        {"FeatureExtraction": "RCNN"},
        {"FeatureExtraction": "ResNet", "Prediction": "Attn", "freeze_FeatureFxtraction": True},
    ],
)
def test_other_architectures_are_trained_and_go_on(config: Config, tmp_path: Path, stages: dict[str, object]) -> None:
    config = changed(config, **SMALL | stages)
    folder = train(changed(config, n_iter=2), tmp_path / "saved", tmp_path / "EasyOCR")
    train(config, tmp_path / "saved", tmp_path / "EasyOCR")
    assert blocks(folder) == ["[2/2]", "[4/4]"]
    network = read_weights(folder / "best_norm_ed.pth").network
    assert {key: getattr(network, key) for key in stages if not key.startswith("freeze")} == {
        key: value for key, value in stages.items() if not key.startswith("freeze")
    }


def test_color_is_trained_where_asked(config: Config, tmp_path: Path) -> None:
    color = changed(config, rgb=True, input_channel=3, n_iter=2, **SMALL)
    weights = read_weights(train(color, tmp_path / "saved", tmp_path / "EasyOCR") / "last.pth")
    assert weights.tensors["FeatureExtraction.ConvNet.0.weight"].shape == (4, 3, 3, 3)


@pytest.mark.parametrize(
    ("values", "code", "message"),
    [
        ({"train_data": "nowhere"}, 2, "error: nowhere/select_data: no shard (*.tar) there"),
        ({"val_data": "nowhere"}, 2, "error: nowhere/select_data: no shard (*.tar) there"),
        ({"continue_from": "nowhere.pth"}, 2, "error: nowhere.pth: no such weight file"),
        ({"character": "korean_g3"}, 2, "error: character: 'korean_g3' is no model of EasyOCR"),
        ({"character": "가나다"}, 1, "error: no sample can be trained on: 90 character outside the alphabet"),
        ({"lr": 1e12, "adam": False, "grad_clip": 1e12, **SMALL}, 1, "the training loss is nan; lower lr"),
    ],
)
def test_what_cannot_run_ends_in_one_line(
    config: Config, tmp_path: Path, values: dict[str, object], code: int, message: str
) -> None:
    result = run(changed(config, **values), tmp_path)
    assert result.returncode == code
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("saved/**/*.pth"))
