"""The learning rate of every iteration: a function of the config alone, so a resumed run has nothing to restore."""

from __future__ import annotations

import math

import torch

from ocr.config import Config


def rate(config: Config, iteration: int) -> float:
    """The learning rate of the step that follows `iteration` finished ones.

    It rises in a line over `warmup` iterations to `lr`, and then stays there, or falls to 0 over the rest of the run in
    half a cosine (Loshchilov and Hutter, SGDR, ICLR 2017, without restarts).
    """
    if iteration < config.warmup:
        return config.lr * (iteration + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    passed = (iteration - config.warmup) / max(1, config.n_iter - config.warmup)
    return config.lr * (1 + math.cos(math.pi * passed)) / 2


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
