"""Every architecture builds, learns, travels through files, and has the names of EasyOCR and of the benchmark."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from easyocr.model.model import Model as FirstGeneration
from easyocr.model.vgg_model import Model as SecondGeneration

from ocr.charset import Charset
from ocr.config import Config
from ocr.decoding.decode import decode_greedy, read_input
from ocr.networks.architectures import Attention, ThinPlateSpline
from ocr.networks.network import Network, build_model, network_of
from ocr.networks.weight_files import Weights, load_model, read_weights, save_weights
from ocr.patch import fit, pad_batch, to_input
from tests.trainer.conftest import drawn
from trainer.optimizer import loss_of, taught

STAGES = list(product(["None", "TPS"], ["VGG", "RCNN", "ResNet"], ["None", "BiLSTM"], ["CTC", "Attn"]))
SMALL = {"output_channel": 16, "hidden_size": 8}
DIGITS = "0123456789"


def network(transformation: str, features: str, sequence: str, prediction: str, **sizes: object) -> Network:
    config = Config(
        Transformation=transformation,  # type: ignore[arg-type]
        FeatureExtraction=features,  # type: ignore[arg-type]
        SequenceModeling=sequence,  # type: ignore[arg-type]
        Prediction=prediction,  # type: ignore[arg-type]
        **(SMALL | sizes),  # type: ignore[arg-type]
    )
    return network_of(config)


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("stages", STAGES, ids="-".join)
def test_every_combination_learns_and_travels_through_files(stages: tuple[str, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    made_of = network(*stages)
    model = build_model(made_of, 11)
    assert made_of.stages == "-".join(stages)
    text = torch.tensor([[Attention.BEGIN, 3, 4]] * 2) if made_of.Prediction == "Attn" else None
    torch.autograd.backward(model(torch.randn(2, 1, 32, 68), text).square().sum())
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []

    save_weights(Weights(made_of, DIGITS, model.state_dict()), tmp_path / "ours.pth")
    torch.save({f"module.{name}": tensor for name, tensor in model.state_dict().items()}, tmp_path / "flat.pth")
    ours, flat = read_weights(tmp_path / "ours.pth"), read_weights(tmp_path / "flat.pth")
    assert ours.network == made_of
    assert unsized(flat.network) == unsized(made_of)
    inputs = torch.randn(3, 1, 32, 100)
    with torch.inference_mode():
        logits = model.eval()(inputs)
        assert model.features(inputs).shape[1] == made_of.num_steps(100)
        assert torch.equal(load_model(ours)(inputs), logits)


def unsized(made_of: Network) -> Network:
    """A flat file does not say a size that no tensor has."""
    without_lstm = made_of.SequenceModeling == "None" and made_of.Prediction == "CTC"
    values = {name: getattr(made_of, name) for name in Network.__struct_fields__}
    return Network(**(values | ({"hidden_size": 0} if without_lstm else {})))


@pytest.mark.parametrize(("num_classes", "expected"), [(1_009, 4_015_729), (97, 3_781_345)])
def test_parameter_counts_are_easyocrs(num_classes: int, expected: int) -> None:
    assert num_parameters(build_model(Network(), num_classes)) == expected


@pytest.mark.parametrize(
    ("theirs", "made_of"),
    [
        (SecondGeneration(1, 64, 32, 50), Network(output_channel=64, hidden_size=32)),
        (FirstGeneration(1, 64, 32, 50), Network(output_channel=64, hidden_size=32, FeatureExtraction="ResNet")),
    ],
    ids=["generation 2", "generation 1"],
)
def test_names_and_logits_are_easyocrs(theirs: torch.nn.Module, made_of: Network) -> None:
    ours = build_model(made_of, 50)
    ours.load_state_dict(theirs.state_dict())
    inputs = torch.randn(2, 1, 64, 130)
    with torch.inference_mode():
        assert torch.equal(ours.eval()(inputs), theirs.eval()(inputs, None))


BENCHMARK_SHAPES = {
    "Transformation.LocalizationNetwork.conv.0.weight": (64, 1, 3, 3),
    "Transformation.LocalizationNetwork.conv.13.running_mean": (512,),
    "Transformation.LocalizationNetwork.localization_fc1.0.weight": (256, 512),
    "Transformation.LocalizationNetwork.localization_fc2.bias": (40,),
    "FeatureExtraction.ConvNet.0.bias": (64,),
    "FeatureExtraction.ConvNet.3.wgf_u.weight": (64, 64, 1, 1),
    "FeatureExtraction.ConvNet.5.wgr_x.weight": (128, 128, 1, 1),
    "FeatureExtraction.ConvNet.5.wf_u.weight": (128, 64, 3, 3),
    "FeatureExtraction.ConvNet.7.wr_x.weight": (256, 256, 3, 3),
    "FeatureExtraction.ConvNet.7.BN_x_init.weight": (256,),
    "FeatureExtraction.ConvNet.7.GRCL.4.BN_gfu.bias": (256,),
    "FeatureExtraction.ConvNet.7.GRCL.4.BN_grx.bias": (256,),
    "FeatureExtraction.ConvNet.7.GRCL.4.BN_fu.bias": (256,),
    "FeatureExtraction.ConvNet.7.GRCL.4.BN_rx.bias": (256,),
    "FeatureExtraction.ConvNet.7.GRCL.4.BN_Gx.num_batches_tracked": (),
    "FeatureExtraction.ConvNet.9.weight": (512, 256, 2, 2),
    "FeatureExtraction.ConvNet.10.running_var": (512,),
    "SequenceModeling.1.rnn.weight_hh_l0_reverse": (1024, 256),
    "Prediction.attention_cell.i2h.weight": (256, 256),
    "Prediction.attention_cell.h2h.bias": (256,),
    "Prediction.attention_cell.score.weight": (1, 256),
    "Prediction.attention_cell.rnn.weight_ih": (1024, 256 + 38),
    "Prediction.generator.weight": (38, 256),
}


def test_names_are_the_benchmarks_and_its_constants_are_left_out(tmp_path: Path) -> None:
    """deep-text-recognition-benchmark writes 36 characters, [GO] and [s], and constants for its 32 x 100 input."""
    made_of = network("TPS", "RCNN", "BiLSTM", "Attn", output_channel=512, hidden_size=256)
    tensors = build_model(made_of, 37).state_dict()
    assert {name: tuple(tensors[name].shape) for name in BENCHMARK_SHAPES} == BENCHMARK_SHAPES
    assert len(tensors) == 28 + 8 + 3 * (4 + 5 + 5 * 25) + 20 + 10
    flat = {f"module.{name}": tensor for name, tensor in tensors.items()}
    flat["module.Transformation.GridGenerator.inv_delta_C"] = torch.zeros(23, 23)
    flat["module.Transformation.GridGenerator.P_hat"] = torch.zeros(3200, 23)
    torch.save(flat, tmp_path / "benchmark.pth")
    weights = read_weights(tmp_path / "benchmark.pth")
    assert (weights.network, weights.tensors.keys()) == (made_of, tensors.keys())


@pytest.mark.parametrize("features", ["VGG", "RCNN", "ResNet"])
@pytest.mark.parametrize("width", [16, 64, 101, 190, 603])
def test_num_steps_is_the_networks(features: str, width: int) -> None:
    made_of = network("None", features, "None", "CTC")
    model = build_model(made_of, 5).eval()
    for height in (32, 64):
        assert model.features(torch.zeros(1, 1, height, width)).shape[:2] == (1, made_of.num_steps(width))


def test_a_new_spline_bends_nothing() -> None:
    """But for the half pixel at the edges by which the benchmark's grid and its sampling disagree."""
    rising = torch.linspace(-1, 1, 96).expand(1, 1, 32, 96)
    with torch.inference_mode():
        bent = ThinPlateSpline(20, 1).eval()(rising)
    assert float((bent - rising).abs().max()) < 1 / 96 + 1e-5


def test_a_spline_goes_through_its_points() -> None:
    """The thin-plate spline by its formula, solved anew, says where every pixel comes from."""
    order = np.random.default_rng(0)
    spline = ThinPlateSpline(6, 1).eval()
    points = spline.fiducials_F2.double().numpy()
    source = points + order.normal(0, 0.2, points.shape)

    def radial(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(first[:, None] - second[None], axis=2)
        return np.asarray(distance**2 * np.log(np.where(distance == 0, 1, distance)))

    affine = np.hstack([np.ones((6, 1)), points])
    system = np.block([[radial(points, points), affine], [affine.T, np.zeros((3, 3))]])
    solved = np.linalg.solve(system, np.vstack([source, np.zeros((3, 2))]))
    centers_x, centers_y = ((2 * np.arange(size) + 1) / size - 1 for size in (8, 4))
    pixels = np.stack(np.meshgrid(centers_x, centers_y), axis=2).reshape(-1, 2)
    expected = np.hstack([radial(pixels, points), np.ones((32, 1)), pixels]) @ solved
    grid = spline.basis(4, 8) @ (spline.solution_KF @ torch.from_numpy(source).float())
    np.testing.assert_allclose(grid.numpy(), expected, atol=1e-4)


def test_an_attention_writes_ctc_frames() -> None:
    """Greedy CTC decoding of what it gives is its own greedy decoding, text by text and step by step."""
    torch.manual_seed(0)
    charset = Charset("abc")
    attention = Attention(input_size=8, hidden_size=16, num_classes=5).eval()
    for parameter in attention.parameters():
        parameter.data.mul_(8)  # so that texts differ in length
    features = 2 * torch.randn(32, 9, 8)
    with torch.inference_mode():
        texts = [text for text, _ in decode_greedy(attention.read(features), charset)]
        assert texts == [one_by_one(attention, row[None], charset) for row in features]
    assert {0, 3, 10} <= {len(text) for text in texts}


def one_by_one(attention: Attention, features: torch.Tensor, charset: Charset) -> str:
    """Append the likeliest character to the text and teach it again, until the text ends or is longer than T."""
    text = [Attention.BEGIN]
    while len(text) <= features.shape[1] + 1:
        logits = attention(features, torch.tensor([text]))[0, -1]
        logits[Attention.BEGIN] = -torch.inf
        if (best := int(logits.argmax())) == Attention.END:
            break
        text.append(best)
    return charset.decode([class_ - Attention.END for class_ in text[1:]])


@pytest.mark.parametrize(
    ("stages", "lr"),
    [
        (("None", "VGG", "None", "CTC"), 0.003),
        (("None", "RCNN", "None", "CTC"), 0.003),
        (("None", "ResNet", "None", "CTC"), 0.003),
        (("None", "VGG", "BiLSTM", "Attn"), 0.003),
        (("TPS", "VGG", "None", "CTC"), 0.001),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_small_batch_is_learned_by_heart(stages: tuple[str, ...], lr: float) -> None:
    torch.manual_seed(0)
    made_of = network(*stages, img_height=32, output_channel=64, hidden_size=32)
    config = Config(**{name: getattr(made_of, name) for name in Network.__struct_fields__})
    charset, texts = Charset(DIGITS), ["17", "64", "9", "33"]
    inputs = to_input(torch.from_numpy(pad_batch([fit(drawn(text), 32) for text in texts], 64)))
    targets = torch.tensor([[*charset.encode(text), 0][:2] for text in texts])
    lengths = torch.tensor([len(text) for text in texts])
    model = build_model(made_of, charset.num_classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    read: list[str] = []
    for iteration in range(400):
        model.train()
        loss = loss_of(config, model(inputs, taught(config, targets)), targets, lengths)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if iteration % 20 == 19:
            with torch.inference_mode():
                read = [text for text, _ in read_input(model.eval(), inputs, charset)]
            if read == texts:
                break
    assert read == texts
