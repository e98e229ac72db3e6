"""What is trained and how a step changes it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ocr.charset import BLANK
from ocr.config import Config
from ocr.networks.architectures import Attention


def freeze(model: nn.Module, config: Config) -> list[nn.Module]:
    """Take the parts that the config freezes out of training; gives them, as their BatchNorms do not learn either."""
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
        return torch.optim.Adam(parameters, lr=config.lr, betas=(config.beta1, 0.999), eps=config.eps, fused=True)
    return torch.optim.Adadelta(parameters, lr=config.lr, rho=config.rho, eps=config.eps)


def taught(config: Config, targets_BL: torch.Tensor) -> torch.Tensor | None:
    """What an attention is told while it learns: that a text begins, then its characters. None for CTC."""
    if config.Prediction == "CTC":
        return None
    return functional.pad(targets_BL + Attention.END, (1, 0), value=Attention.BEGIN)


def loss_of(
    config: Config, logits: torch.Tensor, targets_BL: torch.Tensor, target_lengths_B: torch.Tensor
) -> torch.Tensor:
    """The loss of what the model gave for `taught(config, targets_BL)`; targets are padded with zeros."""
    loss = ctc_loss if config.Prediction == "CTC" else attention_loss
    return loss(logits, targets_BL, target_lengths_B)


def attention_loss(logits_BLC: torch.Tensor, targets_BL: torch.Tensor, target_lengths_B: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of each text's mean cross entropy over its characters and its end, in float32."""
    wanted_BL = functional.pad(targets_BL, (0, 1)) + Attention.END  # a zero, which is no character, becomes the end
    losses_BL = functional.cross_entropy(logits_BLC.float().transpose(1, 2), wanted_BL, reduction="none")
    counted_BL = torch.arange(wanted_BL.shape[1], device=wanted_BL.device) <= target_lengths_B[:, None]
    return ((losses_BL * counted_BL).sum(dim=1) / (target_lengths_B + 1)).mean()


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
