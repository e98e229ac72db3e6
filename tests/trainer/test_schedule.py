from __future__ import annotations

import pytest
import torch

from ocr.config import Config
from ocr.networks.network import Network, build_model
from tests.trainer.conftest import changed
from trainer.schedule import rate
from trainer.weight_average import Average


@pytest.mark.parametrize(
    ("values", "iterations", "rates"),
    [
        ({}, [0, 50, 99], [0.8, 0.8, 0.8]),  # the seed's
        ({"warmup": 4}, [0, 1, 3, 4, 99], [0.2, 0.4, 0.8, 0.8, 0.8]),
        ({"schedule": "cosine"}, [0, 25, 50, 75, 100], [0.8, 0.68284, 0.4, 0.11716, 0.0]),
        ({"schedule": "cosine", "warmup": 20}, [0, 19, 20, 60, 100], [0.04, 0.8, 0.8, 0.4, 0.0]),
        ({"schedule": "cosine", "warmup": 400}, [0, 99], [0.002, 0.2]),  # longer than the run
    ],
)
def test_the_learning_rate_is_a_function_of_the_iteration(
    config: Config, values: dict[str, object], iterations: list[int], rates: list[float]
) -> None:
    config = changed(config, lr=0.8, n_iter=100, **values)
    assert [rate(config, iteration) for iteration in iterations] == pytest.approx(rates, abs=1e-5)


def test_the_mean_of_the_weights_is_exponential_over_all_but_the_beginning() -> None:
    torch.manual_seed(0)
    model = build_model(Network(output_channel=8, hidden_size=4), 5)
    average, bias = Average(model, decay=0.5), model.get_parameter("Prediction.bias")
    expected = bias.detach().clone()
    for iteration, decay in [(1, 2 / 11), (2, 3 / 12), (30, 0.5)]:
        with torch.no_grad():
            bias.add_(1.0)
        average.follow(iteration)
        expected = decay * expected + (1 - decay) * bias.detach()
    torch.testing.assert_close(average.model.get_parameter("Prediction.bias"), expected)
    still = [net.get_parameter("Prediction.weight") for net in (model, average.model)]
    assert torch.equal(*still)
