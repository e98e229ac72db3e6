"""Where a run starts from, what it keeps, and how it goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from ocr.charset import Charset
from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.networks.architectures import RecognitionNetwork
from ocr.networks.easyocr_files import find_recognizer
from ocr.networks.network import Network, build_model, network_of
from ocr.networks.weight_files import (
    Tensors,
    Weights,
    num_classes_of,
    read_torch_file,
    read_weights,
    tensor_differences,
    weights_to_dict,
)
from ocr.plumbing.files import write_whole
from trainer.data.sample_order import Position

LAST_NAME = "last.pth"
LOG_NAMES = ("log_train.txt", "log_dataset.txt", "metrics.jsonl")
CHECKPOINT_FORMAT = "recognizer-checkpoint/2"
FREE_TO_CHANGE = {
    *("train_images", "patch_format", "jpeg_quality", "min_side", "vertical_words", "max_failed", "engine"),
    *("n_iter", "val_period", "early_stop", "show_number", "workers", "continue_from", "strict", "new_prediction"),
    *("accumulate", "amp", "compile"),
    *("decode", "beam_width", "lexicon", "language_model", "language_model_weight"),
    *("val_data", "val_images", "eval_images", "baseline_model"),
    *("train_data", "cache_dir", "cache_gb", "on_bad_sample", "max_bad_ratio"),
}
"""Config keys that a resumed run may have changed: what it learns from here on does not depend on them.

`train_data` may have moved: the fingerprint says whether it holds the same samples. `accumulate`, `amp` and `compile`
change roundings and, as another number of ranks does, what BatchNorm normalizes over.
"""


class Progress(msgspec.Struct):
    """How far a run has come.

    `num_worse` counts the validations since one found a better figure. `losses` are of the iterations since the last
    line of metrics.jsonl, `sum_loss` over the `num_losses` before them and behind the last validation, as `fates` is.
    `log_bytes` says how long each log was: what stands behind that will be written again.
    """

    iteration: int = 0
    best_accuracy: float = -1.0
    best_norm_ed: float = -1.0
    seconds: float = 0.0
    validation_seconds: float = 0.0
    num_worse: int = 0
    losses: list[float] = []
    sum_loss: float = 0.0
    num_losses: int = 0
    fates: dict[str, int] = {}
    log_bytes: dict[str, int] = {}


def weights_of(model: nn.Module, config: Config, charset: Charset) -> Weights:
    """The weights as they are now, copied to the CPU."""
    return Weights(network_of(config), charset.characters, tensors_of(model))


def tensors_of(model: nn.Module) -> Tensors:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }


def starting_model(config: Config, charset: Charset, easyocr_dir: Path) -> RecognitionNetwork:
    """The model that training starts from: fresh, or what `continue_from` (a path or an EasyOCR name) holds.

    The last layer is mapped by character where the file's alphabet is another one. A file that does not say its
    alphabet gives all but the last layer with `new_prediction`; without `strict` it is taken to have the config's, and
    all that does not fit starts fresh. Raises UsageError where the file does not fit the config.
    """
    network = network_of(config)
    model = build_model(network, charset.num_classes)
    if config.continue_from is None:
        return model
    path = find_recognizer(config.continue_from, easyocr_dir)
    weights = read_weights(path)
    wanted, tensors = model.state_dict(), weights.tensors
    if config.strict and (unlike := unlike_stages(weights.network, network)):
        shapes = tensor_differences(tensors, wanted)
        raise UsageError(f"{path}: {unlike} ({shapes}); make the config fit, or set strict: False")
    if weights.character:
        tensors = with_prediction_for(charset, weights, wanted)
    elif config.new_prediction:
        tensors = tensors | {name: value for name, value in wanted.items() if name.startswith("Prediction.")}
    elif config.strict:
        raise UsageError(unknown_alphabet(weights, charset, path))
    if config.strict and (misshapen := tensor_differences(tensors, wanted)):
        raise UsageError(f"{path}: {misshapen}; give whole weights, or set strict: False")
    fitting = {name: value for name, value in tensors.items() if name in wanted and value.shape == wanted[name].shape}
    model.load_state_dict(fitting, strict=False)
    return model


def unlike_stages(found: Network, wanted: Network) -> str:
    """The config keys in which two networks differ, side by side; the height says nothing about tensors."""
    keys = [key for key in Network.__struct_fields__ if key != "img_height"]
    if wanted.Transformation == "None":
        keys.remove("num_fiducial")
    if wanted.SequenceModeling == "None" and wanted.Prediction == "CTC":
        keys.remove("hidden_size")
    unlike = [key for key in keys if getattr(found, key) != getattr(wanted, key)]
    if not unlike:
        return ""
    there, here = (", ".join(f"{key}: {getattr(of, key)}" for key in unlike) for of in (found, wanted))
    return f"is a {found.stages} with {there}; the config asks for a {wanted.stages} with {here}"


def unknown_alphabet(weights: Weights, charset: Charset, path: Path) -> str:
    num_classes = num_classes_of(weights.tensors)
    if num_classes != charset.num_classes:
        return (
            f"{path}: its last layer has {num_classes:,} classes, and `character` names {len(charset.characters):,} "
            f"characters, {charset.num_classes:,} with the blank; give the alphabet it was trained with, or set "
            "new_prediction: True to start the last layer afresh"
        )
    return (
        f"{path}: does not say its alphabet, and in another order it would read garbage; keep the "
        f"user_network/{path.stem}.yaml of its export beside it, set strict: False if it is `character`, or "
        "new_prediction: True to start the last layer afresh"
    )


def with_prediction_for(charset: Charset, weights: Weights, fresh: Tensors) -> Tensors:
    """The tensors with a last layer for another alphabet: characters that both know keep their weights to the bit.

    New ones start as those of a new network. As the mean of the file's they would never be read before they are
    learned, but they are learned later: in the quickstart a loss of 3.9 instead of 2.9 over the first 100 iterations.
    """
    if weights.character == charset.characters:
        return weights.tensors
    old = Charset(weights.character).class_of
    kept = [(row, old[character]) for character, row in charset.class_of.items() if character in old]
    new_rows, old_rows = (torch.tensor(rows) for rows in zip((0, 0), *kept, strict=True))
    if weights.network.Prediction == "CTC":
        parts = [(name, 0, new_rows, old_rows) for name in ("Prediction.weight", "Prediction.bias")]
    else:  # an attention's classes: 0 begins, 1 ends, a character's is one more than the charset's
        new_rows, old_rows = (torch.cat([torch.tensor([0]), rows + 1]) for rows in (new_rows, old_rows))
        size = weights.tensors["Prediction.attention_cell.i2h.weight"].shape[1]
        # The decoder takes what is looked at, `size` columns, and then one column a class.
        new_columns, old_columns = (torch.cat([torch.arange(size), size + rows]) for rows in (new_rows, old_rows))
        parts = [(name, 0, new_rows, old_rows) for name in ("Prediction.generator.weight", "Prediction.generator.bias")]
        parts.append(("Prediction.attention_cell.rnn.weight_ih", 1, new_columns, old_columns))
    tensors = dict(weights.tensors)
    for name, axis, new, old_places in parts:
        if name in tensors and name in fresh and same_but(axis, tensors[name], fresh[name]):
            known = tensors[name].index_select(axis, old_places).to(fresh[name].dtype)
            tensors[name] = fresh[name].clone().index_copy_(axis, new, known)
    return tensors


def same_but(axis: int, first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors have the same shape but for one axis."""
    shapes = [[size for index, size in enumerate(tensor.shape) if index != axis] for tensor in (first, second)]
    return shapes[0] == shapes[1]


def save_checkpoint(
    folder: Path,
    config: Config,
    weights: Weights,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    position: Position,
    trained: Tensors | None = None,
) -> None:
    """Write `last.pth`: plain values and tensors only, so that it loads with `weights_only=True`.

    `weights` are those that read; `trained` those that training goes on with, where they are others (`ema`). Nothing
    random is left to keep: the network has no dropout, and what a sample looks like is a function of its position.
    """
    content = {
        "format": CHECKPOINT_FORMAT,
        "config": msgspec.to_builtins(config),
        "weights": weights_to_dict(weights),
        "trained": trained,
        "optimizer": optimizer.state_dict(),
        "progress": msgspec.to_builtins(progress),
        "position": msgspec.to_builtins(position),
    }
    with write_whole(folder / LAST_NAME) as file:
        torch.save(content, file)


def log_bytes(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_size for name in LOG_NAMES if (folder / name).exists()}


def cut_logs(folder: Path, sizes: dict[str, int]) -> None:
    """Forget what the logs say about iterations behind the checkpoint: they will be gone through again."""
    for name, num_bytes in log_bytes(folder).items():
        if num_bytes > sizes.get(name, 0):
            os.truncate(folder / name, sizes.get(name, 0))


def figure_of(path: Path) -> float:
    """How well weights read when they were kept; -1 where that is not known, or they are not there."""
    return float(read_torch_file(path).get("figure", -1.0)) if path.exists() else -1.0


def resume(
    folder: Path,
    config: Config,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    start: Position,
    mean: nn.Module | None = None,
) -> tuple[Progress, Position]:
    """Go on where `last.pth` in the run's folder ends; `start` is the first position in the data that there are now.

    `mean` is the model of the mean weights, if there is one. Raises UsageError where last.pth is of another config, or
    of other data.
    """
    path = folder / LAST_NAME
    content = read_torch_file(path)
    if content.get("format") != CHECKPOINT_FORMAT:
        raise DataError(f"{path}: not a checkpoint; remove it or choose another experiment_name")
    if changed := changed_keys(content["config"], config):
        raise UsageError(
            f"{folder}: holds a run with other values ({', '.join(changed)}); choose another experiment_name or "
            "remove the folder"
        )
    position = msgspec.convert(content["position"], Position)
    if position.fingerprint != start.fingerprint:
        raise UsageError(
            f"{folder}: its run reads other training samples than {config.train_data} holds now; give it the same "
            "shards, choose another experiment_name or remove the folder"
        )
    tensors, trained = content["weights"]["tensors"], content.get("trained")
    model.load_state_dict(tensors if trained is None else trained)
    if mean is not None:
        mean.load_state_dict(tensors)
    optimizer.load_state_dict(content["optimizer"])
    return msgspec.convert(content["progress"], Progress), position


def changed_keys(before: dict[str, Any], config: Config) -> list[str]:
    """What a run was started with and what is asked for now; a key that did not exist then had its default."""
    before, now = msgspec.to_builtins(Config()) | before, msgspec.to_builtins(config)
    free = FREE_TO_CHANGE - ({"n_iter"} if config.schedule == "cosine" else set())
    return [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted((before.keys() | now.keys()) - free)
        if before.get(key) != now.get(key)
    ]
