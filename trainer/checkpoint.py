"""Where a run starts from, what it keeps, and how it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from ocr.charset import Charset
from ocr.config import Config
from ocr.errors import DataError, UsageError
from ocr.files import written_whole
from ocr.recognizer import Network, Weights, build_model, read_torch_file, read_weights, weights_to_dict
from ocr.weights import RECOGNIZERS, find_weights
from trainer.order import Position

LAST_NAME = "last.pth"
CHECKPOINT_FORMAT = "recognizer-checkpoint/2"
FREE_TO_CHANGE = {
    *("n_iter", "val_period", "show_number", "workers", "continue_from", "strict", "new_prediction"),
    *("val_data", "val_images", "eval_images", "baseline_model"),
    *("train_data", "on_bad_sample", "max_bad_ratio"),
}
"""Config keys that a resumed run may have changed: what it learns from here on does not depend on them.

`train_data` may have moved: the fingerprint says whether it holds the same samples.
"""


class Progress(msgspec.Struct):
    """How far a run has come."""

    iteration: int = 0
    best_accuracy: float = -1.0
    best_norm_ed: float = -1.0
    seconds: float = 0.0


def network_of(config: Config) -> Network:
    return Network(config.img_height, config.input_channel, config.output_channel, config.hidden_size)


def weights_of(model: nn.Module, config: Config, charset: Charset) -> Weights:
    """The weights as they are now, copied to the CPU."""
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return Weights(network_of(config), charset.characters, tensors)


def starting_model(config: Config, charset: Charset, easyocr_dir: Path) -> nn.Module:
    """The model that training starts from: fresh, or what `continue_from` (a path or an EasyOCR name) holds.

    With `new_prediction` the last layer is made for `character`: the rows of characters that the file's alphabet
    holds too, and of the blank, are copied, the others start fresh. Without, both alphabets must be the same.
    Raises UsageError where the file does not fit the config.
    """
    model = build_model(network_of(config), charset.num_classes)
    if config.continue_from is None:
        return model
    path = Path(config.continue_from)
    if not path.exists() and path.name in RECOGNIZERS:
        path = find_weights(path.name, easyocr_dir)
    weights = read_weights(path)
    if config.new_prediction:
        weights = with_new_prediction(weights, charset, model, path)
    elif not weights.character and config.strict:
        raise UsageError(
            f"{path}: does not say its alphabet, and in another order it would read garbage; keep the "
            f"user_network/{path.stem}.yaml of its export beside it, or set strict: False if it is `character`"
        )
    elif weights.character and weights.character != charset.characters:
        raise UsageError(
            f"{path}: its alphabet ({len(weights.character)} characters) is not the config's `character` "
            f"({len(charset.characters)}); set new_prediction: True, or give the same alphabet in the same order"
        )
    load_tensors(model, weights.tensors, config.strict, path)
    return model


def with_new_prediction(weights: Weights, charset: Charset, model: nn.Module, path: Path) -> Weights:
    """The same weights with a last layer for another alphabet, mapped by character."""
    if not weights.character:
        raise UsageError(f"{path}: its alphabet is unknown, so new_prediction cannot map it; keep its YAML beside it")
    old_row = Charset(weights.character).class_of
    kept = [(row, old_row[character]) for character, row in charset.class_of.items() if character in old_row]
    new_rows, old_rows = (list(rows) for rows in zip((0, 0), *kept, strict=True))
    tensors = dict(weights.tensors)
    for name in ("Prediction.weight", "Prediction.bias"):
        fresh = model.state_dict()[name].clone()
        if fresh.shape[1:] != tensors[name].shape[1:]:
            raise UsageError(shape_mismatch(path, name, tensors[name], fresh))
        fresh[new_rows] = tensors[name][old_rows].to(fresh.dtype)
        tensors[name] = fresh
    return msgspec.structs.replace(weights, character=charset.characters, tensors=tensors)


def load_tensors(model: nn.Module, tensors: dict[str, torch.Tensor], strict: bool, path: Path) -> None:
    """Copy tensors into a model. With `strict` every name and shape must fit; without, what does not fit is left."""
    wanted = model.state_dict()
    fitting = {name: value for name, value in tensors.items() if name in wanted and value.shape == wanted[name].shape}
    for name in sorted(wanted.keys() | tensors.keys()) if strict else ():
        if name not in tensors or name not in wanted:
            where = "the file" if name not in tensors else "the config's network"
            raise UsageError(f"{path}: {name} is not in {where}; make the config fit, or set strict: False")
        if name not in fitting:
            raise UsageError(shape_mismatch(path, name, tensors[name], wanted[name]))
    model.load_state_dict(fitting, strict=False)


def shape_mismatch(path: Path, name: str, found: torch.Tensor, wanted: torch.Tensor) -> str:
    return (
        f"{path}: {name} is {tuple(found.shape)} in the file and {tuple(wanted.shape)} in the config's network; "
        "make input_channel, output_channel, hidden_size and character fit, or set strict: False"
    )


def save_checkpoint(
    folder: Path,
    config: Config,
    weights: Weights,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    position: Position,
) -> None:
    """Write `last.pth`: plain values and tensors only, so that it loads with `weights_only=True`."""
    content = {
        "format": CHECKPOINT_FORMAT,
        "config": msgspec.to_builtins(config),
        "weights": weights_to_dict(weights),
        "optimizer": optimizer.state_dict(),
        "progress": msgspec.to_builtins(progress),
        "position": msgspec.to_builtins(position),
    }
    with written_whole(folder / LAST_NAME) as file:
        torch.save(content, file)


def resume(
    folder: Path, config: Config, model: nn.Module, optimizer: torch.optim.Optimizer, start: Position
) -> tuple[Progress, Position]:
    """Go on where `last.pth` in the run's folder ends; `start` is the first position in the data that there are now.

    Raises UsageError where that is a run of another config, or of other data.
    """
    path = folder / LAST_NAME
    content = read_torch_file(path)
    if content.get("format") != CHECKPOINT_FORMAT:
        raise DataError(f"{path}: not a checkpoint; remove it or choose another experiment_name")
    if changed := changed_keys(content["config"], msgspec.to_builtins(config)):
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
    model.load_state_dict(content["weights"]["tensors"])
    optimizer.load_state_dict(content["optimizer"])
    return msgspec.convert(content["progress"], Progress), position


def changed_keys(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted((before.keys() | now.keys()) - FREE_TO_CHANGE)
        if before.get(key) != now.get(key)
    ]
