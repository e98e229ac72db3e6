"""Whole runs: one process, two ranks on gloo, one that is continued, and what a user sees when it cannot start."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ocr.config import Config, load_config, save_config
from ocr.index import index_path
from ocr.weight_files import read_weights
from ocr.weights import charset_of
from tests.trainer.conftest import SMALL, changed, number_shards, train
from trainer.checkpoint import starting_model

ROOT = Path(__file__).parents[2]


def run(config: Config, folder: Path, *, num_ranks: int = 1) -> subprocess.CompletedProcess[str]:
    """`python -m trainer`, or torchrun with `num_ranks` processes, as a user starts it."""
    save_config(config, folder / "mine.yaml")
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_ranks}"]
    return subprocess.run(
        [
            sys.executable,
            *(torchrun if num_ranks > 1 else []),
            *("-m", "trainer", "--config", str(folder / "mine.yaml")),
            *("--saved-models", str(folder / "saved"), "--easyocr-dir", str(folder / "EasyOCR")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


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
        "last.pth",
        "log_dataset.txt",
        "log_train.txt",
    ]
    assert load_config(folder / "config.yaml") == config
    assert read_weights(folder / "best_norm_ed.pth").character == read_weights(folder / "last.pth").character
    counts = (folder / "log_dataset.txt").read_text(encoding="utf-8")
    assert counts == "[0/4] training: 90 samples, 90 used; validation: 22 samples, 22 used\n"


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
        new_prediction=True,
        n_iter=60,
        val_period=60,
        batch_size=8,
        lr=0.001,
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


def test_a_run_goes_on_where_it_stopped(config: Config, tmp_path: Path) -> None:
    saved, easyocr_dir, config = tmp_path / "saved", tmp_path / "EasyOCR", changed(config, **SMALL)
    folder = train(changed(config, n_iter=2), saved, easyocr_dir)
    train(config, saved, easyocr_dir)
    assert blocks(folder) == ["[2/2]", "[4/4]"]
    before = (folder / "last.pth").read_bytes()
    train(config, saved, easyocr_dir)  # nothing left to do
    assert (folder / "last.pth").read_bytes() == before


def test_a_killed_run_goes_on_with_another_number_of_workers_bit_for_bit(config: Config, tmp_path: Path) -> None:
    """Killed behind the checkpoint of iteration 2, in its third epoch; 7 iterations in all, as if it had not been."""
    small = changed(config, batch_size=64, val_period=2, n_iter=7, workers=2, **SMALL)
    whole = train(small, tmp_path / "whole", tmp_path / "EasyOCR")
    # Sums over threads are rounded by their number, and another test may have changed this process's.
    threads = str(torch.get_num_threads())
    killed = [sys.executable, "-c", KILLED, str(tmp_path / "mine.yaml"), str(tmp_path / "killed"), threads]
    save_config(changed(small, workers=0), tmp_path / "mine.yaml")
    result = subprocess.run(killed, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert blocks(tmp_path / "killed" / "numbers") == ["[2/7]"]
    resumed = train(changed(small, workers=1), tmp_path / "killed", tmp_path / "EasyOCR")
    assert losses(resumed) == losses(whole)
    first, second = (read_weights(folder / "last.pth").tensors for folder in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


KILLED = """
import os, signal, sys
from itertools import count
from pathlib import Path
from ocr.config import load_config
from trainer import train
import torch

torch.set_num_threads(int(sys.argv[3]))

def step(*arguments, step=train.step, iterations=count(1)):
    if next(iterations) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

train.step = step
train.train(load_config(Path(sys.argv[1])), Path(sys.argv[2]), Path())
"""


def losses(folder: Path) -> list[str]:
    log = (folder / "log_train.txt").read_text(encoding="utf-8")
    return re.findall(r"Training loss: [0-9.]+ \| Validation loss: [0-9.]+", log)


def test_plain_tars_train_too_and_say_what_is_lost(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.SHUFFLE_SAMPLES", 50)
    for name in ("training", "validation"):
        for shard in number_shards(tmp_path / name / "select_data", num_shards=2, samples_per_shard=9):
            index_path(Path(shard)).unlink()
    plain = changed(config, train_data=str(tmp_path / "training"), val_data=str(tmp_path / "validation"), **SMALL)
    folder = train(plain, tmp_path / "saved", tmp_path / "EasyOCR")
    assert capsys.readouterr().out.count("reading plain tars, because there is no index beside the shards") == 2
    lines = (folder / "log_dataset.txt").read_text(encoding="utf-8").splitlines()
    assert [line.partition(" training: ")[0] for line in lines] == ["[2/4]", "[4/4]"]
    assert all("; validation: 18 samples, 18 used" in line for line in lines)
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
        ({"character": "korean_g2"}, 2, "is not the config's `character` (1008)"),
        ({"character": "가나다", "new_prediction": True}, 1, "error: no sample can be trained on"),
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
