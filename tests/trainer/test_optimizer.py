from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ocr.config import Config
from ocr.networks.network import Network, build_model
from tests.trainer.conftest import changed
from trainer.optimizer import attention_loss, ctc_loss, freeze, make_optimizer, num_trainable, taught

NETWORK = Network(output_channel=16, hidden_size=8)


def test_loss_is_the_mean_of_each_texts_own_loss_over_its_length() -> None:
    torch.manual_seed(0)
    logits_BTC = torch.randn(3, 15, 6)
    texts = [[1, 2], [3, 3, 4], [5]]
    targets = torch.tensor([[1, 2, 0], [3, 3, 4], [5, 0, 0]])
    one_by_one = [
        functional.ctc_loss(
            row.log_softmax(1).unsqueeze(1), torch.tensor([text]), torch.tensor([15]), torch.tensor([len(text)])
        )
        for row, text in zip(logits_BTC, texts, strict=True)
    ]
    loss = ctc_loss(logits_BTC, targets, torch.tensor([2, 3, 1]))
    assert float(loss) == pytest.approx(float(torch.stack(one_by_one).mean()), abs=1e-6)


def test_an_attention_is_taught_the_text_before_and_learns_what_follows(config: Config) -> None:
    targets = torch.tensor([[3, 1, 2], [4, 0, 0]])
    told = taught(changed(config, Prediction="Attn"), targets)
    assert told is not None
    assert told[0].tolist() == [0, 4, 2, 3]  # begin, then each character by its attention class
    assert told[1, :2].tolist() == [0, 5]
    assert taught(config, targets) is None


def test_attention_loss_is_the_mean_of_each_texts_own_loss_over_its_characters_and_end() -> None:
    torch.manual_seed(0)
    logits_BLC = torch.randn(2, 4, 7)
    one_by_one = [
        functional.cross_entropy(logits_BLC[0], torch.tensor([4, 2, 3, 1])),
        functional.cross_entropy(logits_BLC[1, :2], torch.tensor([5, 1])),
    ]
    loss = attention_loss(logits_BLC, torch.tensor([[3, 1, 2], [4, 0, 0]]), torch.tensor([3, 1]))
    assert float(loss) == pytest.approx(float(torch.stack(one_by_one).mean()), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "moving"),
    [
        ({}, {"FeatureExtraction", "SequenceModeling", "Prediction"}),
        ({"freeze_FeatureFxtraction": True}, {"SequenceModeling", "Prediction"}),
        ({"freeze_SequenceModeling": True}, {"FeatureExtraction", "Prediction"}),
        ({"freeze_FeatureFxtraction": True, "freeze_SequenceModeling": True}, {"Prediction"}),
    ],
)
def test_frozen_parts_stay_equal_to_the_bit(config: Config, values: dict[str, object], moving: set[str]) -> None:
    torch.manual_seed(0)
    config = changed(config, **values)
    model = build_model(NETWORK, 6)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    frozen = freeze(model, config)
    optimizer = make_optimizer(model, config)
    model.train()
    for part in frozen:
        part.eval()
    loss = ctc_loss(model(torch.randn(4, 1, 64, 64), None), torch.ones(4, 2, dtype=torch.int64), torch.tensor([2] * 4))
    torch.autograd.backward(loss)
    optimizer.step()
    changed_parts = {
        name.split(".")[0] for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed_parts == moving
    trained = [part for name, part in model.named_children() if name in moving]
    assert num_trainable(model) == sum(p.numel() for part in trained for p in part.parameters())


@pytest.mark.parametrize(
    ("values", "kind", "settings"),
    [
        ({"adam": True, "lr": 0.001, "beta1": 0.8}, torch.optim.Adam, {"lr": 0.001, "betas": (0.8, 0.999)}),
        ({"adam": False, "lr": 1.0, "rho": 0.9, "eps": 1e-6}, torch.optim.Adadelta, {"rho": 0.9, "eps": 1e-6}),
    ],
)
def test_the_config_decides_the_optimizer(
    config: Config, values: dict[str, object], kind: type, settings: dict[str, object]
) -> None:
    optimizer = make_optimizer(build_model(NETWORK, 6), changed(config, **values))
    assert type(optimizer) is kind
    assert {key: optimizer.param_groups[0][key] for key in settings} == settings
