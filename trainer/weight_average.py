"""The running mean of the weights, which reads better than the weights of any one iteration."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ocr.networks.architectures import RecognitionNetwork


class Average:
    """An exponential mean over the iterations of a model's weights and BatchNorm statistics: a model of its own."""

    def __init__(self, model: RecognitionNetwork, decay: float) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.means, self.latest = floats(self.model), floats(model)

    def follow(self, iteration: int) -> None:
        """Take in the model as it is after `iteration` iterations.

        Early on the mean is over the latest tenth of the run, so that it does not hold on to where the run began.
        """
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        mean = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        mean(self.means, self.latest, iteration)


def floats(model: nn.Module) -> list[torch.Tensor]:
    """Parameters and statistics; the counters of BatchNorm have no mean and are not used."""
    return [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
