"""Where a run starts from: which weights fit, which are mapped, and what is said when they do not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from easyocr_en_models import model_dir

from ocr.charset import Charset, ks_x_1001_syllables
from ocr.config import Config
from ocr.decoding.decode import decode_greedy
from ocr.errors import DataError, UsageError
from ocr.networks.easyocr_files import EASYOCR_RECOGNIZERS, charset_of
from ocr.networks.network import Network, build_model
from ocr.networks.weight_files import Weights, read_weights, save_weights
from ocr.patch import fit, pad_batch, to_input
from tests.trainer.conftest import changed, drawn
from trainer.checkpoint import (
    LAST_NAME,
    Progress,
    changed_keys,
    resume,
    save_checkpoint,
    starting_model,
    weights_of,
)
from trainer.data.sample_order import Cursor, Position
from trainer.optimizer import make_optimizer

START = Position(1111, "these shards")
ENGLISH = Path(model_dir()) / "english_g2.pth"


def start(config: Config, tmp_path: Path) -> torch.nn.Module:
    return starting_model(config, charset_of(config.character), tmp_path)


@pytest.mark.parametrize("source", ["english_g2", str(ENGLISH)])
def test_easyocrs_own_weights_load_unchanged(config: Config, tmp_path: Path, source: str) -> None:
    tensors = start(changed(config, continue_from=source), tmp_path).state_dict()
    expected = read_weights(ENGLISH).tensors
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("new_prediction", [False, True])
def test_another_alphabet_keeps_the_rows_of_known_characters(
    config: Config, tmp_path: Path, new_prediction: bool
) -> None:
    config = changed(config, character="가7a나", new_prediction=new_prediction)
    old, new = read_weights(ENGLISH).tensors, start(config, tmp_path).state_dict()
    english = Charset(EASYOCR_RECOGNIZERS["english_g2"]["characters"]).class_of
    for row, old_row in [(0, 0), (2, english["7"]), (3, english["a"])]:
        for name in ("Prediction.weight", "Prediction.bias"):
            assert torch.equal(new[name][row], old[name][old_row])
    assert new["Prediction.weight"].shape == (5, 256)
    assert torch.equal(new["SequenceModeling.1.linear.weight"], old["SequenceModeling.1.linear.weight"])


@pytest.mark.parametrize("added", ["를", "를㎡·「」①", ks_x_1001_syllables()])
def test_an_appended_alphabet_leaves_old_logits_equal_to_the_bit_and_reads_the_same(
    config: Config, tmp_path: Path, added: str
) -> None:
    character = EASYOCR_RECOGNIZERS["english_g2"]["characters"] + added
    old, new = (start(changed(config, character=each), tmp_path).eval() for each in ("english_g2", character))
    patches = [fit(drawn(text)) for text in ("3,000", "No. 42-7", "Kim, L.", "1", "")]
    inputs = to_input(torch.from_numpy(pad_batch(patches, 256)))
    with torch.inference_mode():
        old_logits_BTC, new_logits_BTC = old(inputs, None), new(inputs, None)
    assert torch.equal(new_logits_BTC[:, :, : old_logits_BTC.shape[2]], old_logits_BTC)
    texts = decode_greedy(new_logits_BTC, Charset(character))
    assert [text for text, _ in texts] == [text for text, _ in decode_greedy(old_logits_BTC, charset_of("english_g2"))]
    assert any(text for text, _ in texts)


def test_nothing_to_continue_from_starts_fresh(config: Config, tmp_path: Path) -> None:
    model = start(changed(config, continue_from=None, character="korean_g2"), tmp_path)
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_015_729


def test_without_strict_what_does_not_fit_starts_fresh(config: Config, tmp_path: Path) -> None:
    narrow = changed(config, hidden_size=32, strict=False)
    tensors, old = start(narrow, tmp_path).state_dict(), read_weights(ENGLISH).tensors
    assert torch.equal(tensors["FeatureExtraction.ConvNet.0.weight"], old["FeatureExtraction.ConvNet.0.weight"])
    assert tensors["SequenceModeling.0.linear.weight"].shape[0] == 32


def test_an_alphabet_that_nobody_wrote_down_is_not_guessed(config: Config, tmp_path: Path) -> None:
    torch.save({f"module.{name}": tensor for name, tensor in read_weights(ENGLISH).tensors.items()}, tmp_path / "a.pth")
    unknown = changed(config, continue_from=str(tmp_path / "a.pth"))
    with pytest.raises(UsageError, match=r"a.pth: does not say its alphabet, .* user_network/a.yaml .* strict: False"):
        start(unknown, tmp_path)
    old = read_weights(ENGLISH).tensors
    trusted = start(changed(unknown, strict=False), tmp_path).state_dict()
    assert torch.equal(trusted["Prediction.weight"], old["Prediction.weight"])
    afresh = start(changed(unknown, new_prediction=True, character="가나"), tmp_path).state_dict()
    assert afresh["Prediction.weight"].shape == (3, 256)
    assert all(torch.equal(afresh[name], old[name]) for name in old if not name.startswith("Prediction."))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"continue_from": "nowhere.pth"}, "nowhere.pth: no such weight file and no EasyOCR model of that name"),
        (
            {"hidden_size": 32},
            r"with hidden_size: 256; the config asks for a None-VGG-BiLSTM-CTC with hidden_size: 32 \(",
        ),
        ({"hidden_size": 32}, r"SequenceModeling.0.rnn.weight_ih_l0 is \(1024, 256\) in the file, \(128, 256\) wanted"),
        (
            {"FeatureExtraction": "ResNet", "Prediction": "Attn"},
            "is a None-VGG-BiLSTM-CTC with FeatureExtraction: VGG, Prediction: CTC; the config asks for a "
            "None-ResNet-BiLSTM-Attn with FeatureExtraction: ResNet, Prediction: Attn .*; make the config fit, or set",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    config: Config, tmp_path: Path, values: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        start(changed(config, **values), tmp_path)
    assert "\n" not in str(raised.value)


def test_a_missing_tensor_is_named(config: Config, tmp_path: Path) -> None:
    weights = read_weights(ENGLISH)
    tensors = {name: tensor for name, tensor in weights.tensors.items() if name != "SequenceModeling.0.linear.bias"}
    save_weights(Weights(weights.network, weights.character, tensors), tmp_path / "cut.pth")
    with pytest.raises(UsageError, match=r"SequenceModeling.0.linear.bias is missing in the file, \(256,\) wanted"):
        start(changed(config, continue_from=str(tmp_path / "cut.pth")), tmp_path)


def test_an_attention_keeps_what_it_knows_of_known_characters(config: Config, tmp_path: Path) -> None:
    """Its begin and end, the rows that write a character, and the columns that hear of the one before."""
    config = changed(config, Prediction="Attn", character="ab7", output_channel=16, hidden_size=8, continue_from=None)
    old_model, charset = start(config, tmp_path), charset_of("ab7")
    save_weights(weights_of(old_model, config, charset), tmp_path / "old.pth")
    changed_alphabet = changed(config, character="7xa", continue_from=str(tmp_path / "old.pth"))
    old, new = old_model.state_dict(), start(changed_alphabet, tmp_path).state_dict()
    for new_class, old_class in [(0, 0), (1, 1), (2, 4), (4, 2)]:
        for name in ("Prediction.generator.weight", "Prediction.generator.bias"):
            assert torch.equal(new[name][new_class], old[name][old_class])
        columns = [of["Prediction.attention_cell.rnn.weight_ih"][:, 8:] for of in (new, old)]
        assert torch.equal(columns[0][:, new_class], columns[1][:, old_class])
    assert not torch.equal(new["Prediction.generator.weight"][3], old["Prediction.generator.weight"][3])
    assert torch.equal(new["Prediction.attention_cell.i2h.weight"], old["Prediction.attention_cell.i2h.weight"])


def test_features_can_be_taken_from_another_architecture(config: Config, tmp_path: Path) -> None:
    attention = changed(config, Prediction="Attn", strict=False, character="가나")
    tensors, old = start(attention, tmp_path).state_dict(), read_weights(ENGLISH).tensors
    assert all(torch.equal(tensors[name], old[name]) for name in old if not name.startswith("Prediction."))
    assert tensors["Prediction.generator.bias"].shape == (4,)


def test_a_checkpoint_of_before_a_key_existed_goes_on(config: Config, tmp_path: Path) -> None:
    model = build_model(Network(), 97)
    optimizer = make_optimizer(model, config)
    weights, position = weights_of(model, config, charset_of("english_g2")), Position(1, "")
    save_checkpoint(tmp_path, config, weights, optimizer, Progress(1), position)
    content = torch.load(tmp_path / LAST_NAME, weights_only=True)
    del content["config"]["num_fiducial"], content["weights"]["network"]["num_fiducial"]
    torch.save(content, tmp_path / LAST_NAME)
    assert resume(tmp_path, config, model, optimizer, position)[0].iteration == 1
    assert read_weights(tmp_path / LAST_NAME).network == Network()


def test_a_checkpoint_gives_back_what_it_took(config: Config, tmp_path: Path) -> None:
    config = changed(config, character="0123456789", output_channel=16, hidden_size=8, continue_from=None)
    charset = charset_of(config.character)
    model = build_model(Network(64, 1, 16, 8), charset.num_classes)
    optimizer = make_optimizer(model, config)
    torch.autograd.backward(model(torch.randn(2, 1, 64, 64), None).sum())
    optimizer.step()
    position = Position(config.seed, "these shards", (Cursor(2, 3),))
    progress = Progress(7, 90.0, 0.9, 12.5)
    save_checkpoint(tmp_path, config, weights_of(model, config, charset), optimizer, progress, position)

    again = build_model(Network(64, 1, 16, 8), charset.num_classes)
    again_optimizer = make_optimizer(again, config)
    assert resume(tmp_path, config, again, again_optimizer, START) == (progress, position)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    moments, again_moments = (o.state_dict()["state"][0]["exp_avg"] for o in (optimizer, again_optimizer))
    assert torch.equal(moments, again_moments)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": 0.0001}, r"holds a run with other values \(lr: 0.0005 there, 0.0001 now\)"),
        ({"character": "korean_g2"}, r"holds a run with other values \(character: "),
    ],
)
def test_a_folder_of_another_run_is_refused(
    config: Config, tmp_path: Path, values: dict[str, object], message: str
) -> None:
    model = build_model(Network(), 97)
    optimizer = make_optimizer(model, config)
    weights = weights_of(model, config, charset_of("english_g2"))
    save_checkpoint(tmp_path, config, weights, optimizer, Progress(1), START)
    with pytest.raises(UsageError, match=message):
        resume(tmp_path, changed(config, **values), model, optimizer, START)
    moved = changed(config, n_iter=99, workers=3, train_data="elsewhere")
    assert resume(tmp_path, moved, model, optimizer, START)[0].iteration == 1


def test_other_data_are_refused(config: Config, tmp_path: Path) -> None:
    model = build_model(Network(), 97)
    optimizer = make_optimizer(model, config)
    weights = weights_of(model, config, charset_of("english_g2"))
    save_checkpoint(tmp_path, config, weights, optimizer, Progress(1), START)
    with pytest.raises(UsageError, match=f"its run reads other training samples than {config.train_data} holds now"):
        resume(tmp_path, config, model, optimizer, Position(config.seed, "other shards"))


def test_a_checkpoint_that_would_run_code_is_refused(config: Config, tmp_path: Path) -> None:
    torch.save({"format": "recognizer-checkpoint/2", "config": Path("anything")}, tmp_path / LAST_NAME)
    model = build_model(Network(), 97)
    with pytest.raises(DataError, match=r"last.pth: holds Python objects \(pathlib.*\), which would run code"):
        resume(tmp_path, config, model, make_optimizer(model, config), START)


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"accumulate": 4, "amp": False, "compile": True, "early_stop": 3, "n_iter": 9}, ""),
        ({"schedule": "cosine"}, "schedule: 'constant' there, 'cosine' now"),
        ({"ema": 0.9}, "ema: 0.0 there, 0.9 now"),
    ],
)
def test_a_resumed_run_may_change_what_it_does_not_learn_from(
    config: Config, values: dict[str, object], refused: str
) -> None:
    assert "".join(changed_keys(msgspec.to_builtins(config), changed(config, **values))) == refused


def test_the_length_of_a_falling_schedule_stays(config: Config) -> None:
    falling = changed(config, schedule="cosine")
    assert changed_keys(msgspec.to_builtins(falling), changed(falling, n_iter=9)) == ["n_iter: 4 there, 9 now"]


def test_a_file_that_is_no_checkpoint_is_refused(config: Config, tmp_path: Path) -> None:
    model = build_model(Network(), 97)
    (tmp_path / LAST_NAME).write_bytes(ENGLISH.read_bytes())
    with pytest.raises(DataError, match="last.pth: not a checkpoint"):
        resume(tmp_path, config, model, make_optimizer(model, config), START)
