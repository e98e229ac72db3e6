"""What is trained and how a step changes it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ocr.charset import BLANK
from ocr.config import Config


def freeze(model: nn.Module, config: Config) -> list[nn.Module]:
    """Take the parts that the config freezes out of training; gives them, to be kept in evaluation mode."""
    frozen = []
    if config.freeze_FeatureFxtraction:
        frozen.append(model.get_submodule("FeatureExtraction"))
    if config.freeze_SequenceModeling:
        frozen.append(model.get_submodule("SequenceModeling"))
    for part in frozen:
        part.requires_grad_(False)
    return frozen


def num_trainable(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def make_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.adam:
        return torch.optim.Adam(parameters, lr=config.lr, betas=(config.beta1, 0.999), eps=config.eps)
    return torch.optim.Adadelta(parameters, lr=config.lr, rho=config.rho, eps=config.eps)


def ctc_loss(logits_BTC: torch.Tensor, targets_BL: torch.Tensor, target_lengths_B: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of each text's CTC loss divided by its length, in float32.

    The network reads all T steps, padding included, as it does inside the Reader. int64 padded targets choose
    torch's own CUDA kernel: the cuDNN one, taken for int32 targets, has ignored `zero_infinity` (pytorch #176910).
    """
    log_probabilities_TBC = logits_BTC.float().log_softmax(dim=2).permute(1, 0, 2)
    steps_B = torch.full_like(target_lengths_B, logits_BTC.shape[1])
    return functional.ctc_loss(
        log_probabilities_TBC, targets_BL, steps_B, target_lengths_B, blank=BLANK, zero_infinity=True
    )
