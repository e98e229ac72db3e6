"""A run that is stopped anywhere, by whatever, is the run that was not stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ocr.config import Config
from ocr.networks.weight_files import load_model, read_weights
from tests.trainer.conftest import SMALL, changed, numbers_config, process, recipe, train
from tests.trainer.troubled import ask_to_stop, exit_codes, kill
from trainer.data.data_sources import validation_shards
from trainer.data.loader import validation_batches
from trainer.validate import validate

TIMES = ("seconds", "patches_per_second", "data_wait", "validation_share")


def lines(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl, but for what depends on the clock."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in found]


def tensors(content: Any) -> list[torch.Tensor]:
    if isinstance(content, torch.Tensor):
        return [content]
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [tensor for value in inner for tensor in tensors(value)]


def checkpoint(folder: Path) -> list[torch.Tensor]:
    """All tensors of last.pth: weights, their mean, the optimizer's moments."""
    content = torch.load(folder / "last.pth", weights_only=True)
    return tensors([content["weights"], content["trained"], content["optimizer"]])


def schooled(config: Config) -> Config:
    """Everything that a checkpoint has to hold; 7 iterations over 3 epochs."""
    learned = {"schedule": "cosine", "warmup": 2, "ema": 0.9, "accumulate": 2}
    return changed(config, batch_size=32, val_period=3, n_iter=7, workers=2, **learned, **SMALL)


@pytest.fixture(scope="module")
def whole(numbers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing stopped."""
    saved = tmp_path_factory.mktemp("whole")
    assert exit_codes(schooled(numbers_config(numbers)), saved) == [0]
    return saved / "numbers"


@pytest.mark.parametrize(
    ("trouble", "save_seconds", "code", "kept"),
    [
        (kill, 300.0, -9, 3),  # back to the last validation …
        (kill, 0.0, -9, 4),  # … or to a checkpoint in between
        (ask_to_stop, 300.0, 75, 5),  # the iteration is done first
    ],
)
def test_a_stopped_run_goes_on_bit_for_bit(
    config: Config,
    whole: Path,
    tmp_path: Path,
    trouble: Callable[[], None],
    save_seconds: float,
    code: int,
    kept: int,
) -> None:
    saved, folder = tmp_path / "stopped", tmp_path / "stopped" / "numbers"
    troubled = changed(schooled(config), workers=0)
    assert exit_codes(troubled, saved, trouble=trouble, iteration=5, save_seconds=save_seconds) == [code]
    assert torch.load(folder / "last.pth", weights_only=True)["progress"]["iteration"] == kept
    assert exit_codes(changed(schooled(config), workers=1), saved) == [0]
    assert lines(folder) == lines(whole)
    assert [line["iteration"] for line in lines(folder)] == [1, 2, 3, 4, 5, 6, 7]
    assert (folder / "log_dataset.txt").read_bytes() == (whole / "log_dataset.txt").read_bytes()
    assert all(torch.equal(*pair) for pair in zip(checkpoint(folder), checkpoint(whole), strict=True))


def test_all_ranks_stop_behind_the_same_iteration(
    config: Config, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One rank alone is asked to; the others hear of it while they compute."""
    long = changed(config, batch_size=5, val_period=100, n_iter=40, workers=1, **SMALL)
    assert exit_codes(long, tmp_path, num_ranks=2, trouble=ask_to_stop, iteration=3) == [75, 75]
    stopped = "numbers: stopped by a signal behind iteration 16 of 40; the same command goes on"
    assert capfd.readouterr().err.count(stopped) == 1
    assert torch.load(tmp_path / "numbers" / "last.pth", weights_only=True)["progress"]["iteration"] == 16


def test_the_best_weights_are_not_replaced_by_worse_ones(config: Config, tmp_path: Path) -> None:
    """Killed between weights and checkpoint, a run does not know how good those weights are; they say it themselves."""
    small = changed(config, n_iter=2, **SMALL)
    folder = train(small, tmp_path, tmp_path)
    last, best = (torch.load(folder / name, weights_only=True) for name in ("last.pth", "best_norm_ed.pth"))
    last["progress"] |= {"best_accuracy": -1.0, "best_norm_ed": -1.0}
    torch.save(last, folder / "last.pth")
    torch.save(best | {"figure": 1.0}, folder / "best_norm_ed.pth")
    before = (folder / "best_norm_ed.pth").read_bytes()
    (folder / "best_accuracy.pth").unlink()
    train(changed(small, n_iter=4), tmp_path, tmp_path)
    assert (folder / "best_norm_ed.pth").read_bytes() == before
    assert torch.load(folder / "best_accuracy.pth", weights_only=True)["figure"] == lines(folder)[-1]["accuracy"]


def test_the_mean_weights_are_those_that_read(config: Config, tmp_path: Path) -> None:
    folder = train(changed(config, ema=0.9, **SMALL), tmp_path, tmp_path)
    trained = torch.load(folder / "last.pth", weights_only=True)["trained"]
    weights, rules = read_weights(folder / "last.pth"), recipe(changed(config, **SMALL))
    assert not torch.equal(weights.tensors["Prediction.weight"], trained["Prediction.weight"])
    batches = validation_batches(validation_shards(rules), rules, process())
    found = validate(load_model(weights), batches, rules, process(), iteration=4)
    last = lines(folder)[-1]
    assert found.norm_ed == last["norm_ed"]
    assert found.loss == pytest.approx(last["validation_loss"], rel=1e-6)  # tensors lie in memory in another order


def test_a_run_that_finds_nothing_better_stops(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = changed(config, lr=1e-30, val_period=1, n_iter=10, early_stop=2, **SMALL)
    folder = train(idle, tmp_path, tmp_path)
    assert "stopped early: 2 validations in a row found no better figure" in capsys.readouterr().out
    assert [line["iteration"] for line in lines(folder)] == [1, 2, 3]
    train(idle, tmp_path, tmp_path)
    assert "already trained for 3 iterations" in capsys.readouterr().out
