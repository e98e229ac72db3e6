"""A config mistake is one clear line that names the place, the key and the remedy."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from ocr.config import Config, load_config, save_config, selected_folders
from ocr.errors import UsageError
from ocr.networks.easyocr_files import charset_of

CONFIGS = Path(__file__).parents[2] / "configs"

SEED_KEYS = set(
    """
    seed experiment_name train_data val_data select_data batch_ratio total_data_usage_ratio train_images val_images
    eval_images img_height img_width PAD contrast_adjust character sensitive batch_max_length data_filtering_off
    workers batch_size n_iter val_period show_number continue_from strict adam lr rho eps grad_clip
    Transformation FeatureExtraction SequenceModeling Prediction freeze_FeatureFxtraction rgb input_channel
    output_channel freeze_SequenceModeling hidden_size new_prediction decode
    """.split()
)


def test_korean_g2_yaml_holds_every_key_of_the_seed_and_of_the_struct() -> None:
    values = yaml.safe_load((CONFIGS / "korean_g2.yaml").read_text(encoding="utf-8"))
    assert set(values) >= SEED_KEYS
    assert set(values) == set(Config.__struct_fields__)


def test_korean_g2_yaml_says_the_defaults() -> None:
    assert load_config(CONFIGS / "korean_g2.yaml") == Config()


def test_quickstart_yaml_loads() -> None:
    assert load_config(CONFIGS / "quickstart.yaml").baseline_model == "english_g2"


def test_a_file_of_the_seeds_form_loads_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    path = CONFIGS.parent / "tests" / "seed_config.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(values) >= SEED_KEYS
    config = load_config(path)
    lost = {"number", "symbol", "lang_char"}
    read = {key: getattr(config, key) for key in values.keys() - lost}
    assert read == {key: values[key] for key in values.keys() - lost} | {"eps": 1e-8, "lr": 1.0}
    assert config.character == charset_of("korean_g2").characters
    said = capsys.readouterr().err
    assert said == f"{path}: number, symbol, lang_char: not looked at, the alphabet is `character`\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{freeze_FeatureExtraction: True}", {"freeze_FeatureFxtraction": True}),
        ("{freeze_FeatureFxtraction: True}", {"freeze_FeatureFxtraction": True}),
        ("{number: '012', symbol: '.,', lang_char: '가나'}", {"character": "012.,가나"}),
        ("{number: '012', symbol: '', lang_char: None, character: }", {"character": "012"}),
        ("{number: , symbol: , lang_char: }", {"character": Config().character}),
        ("{number: '012', lang_char: '가나', character: 'abc'}", {"character": "abc"}),
    ],
)
def test_what_others_call_a_key_is_understood(tmp_path: Path, text: str, expected: dict[str, object]) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    config = load_config(tmp_path / "mine.yaml")
    assert {key: getattr(config, key) for key in expected} == expected


def test_both_spellings_work_on_the_command_line_and_one_alone_in_a_file(tmp_path: Path) -> None:
    assert load_config(None, ["freeze_FeatureExtraction=True"]).freeze_FeatureFxtraction
    path = tmp_path / "mine.yaml"
    path.write_text("{freeze_FeatureExtraction: True, freeze_FeatureFxtraction: False}", encoding="utf-8")
    with pytest.raises(UsageError, match=f"{path}: freeze_FeatureExtraction: is another spelling of freeze_FeatureFx"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lerning_rate: 1", "unknown key 'lerning_rate'"),
        ("on: 5", "unknown key True"),  # YAML's
        ("batchsize: 1", "unknown key 'batchsize'; did you mean 'batch_size'?"),
        ("batch_size: many", "batch_size: expected `int`, got `str`"),
        ("batch_size: 0", "batch_size: expected `int` >= 1"),
        ("seed: 1.5", "seed: expected `int`, got `float`"),
        ("PAD: maybe", "PAD: expected `bool`, got `str`"),
        ("lr: -1", "lr: expected `float` > 0.0"),
        ("schedule: linear", "schedule: invalid enum value 'linear'"),
        ("ema: 1.0", "ema: expected `float` < 1.0"),
        ("Transformation: STN", "Transformation: invalid enum value 'STN'"),
        ("num_fiducial: 21", "num_fiducial: expected `int` that's a multiple of 2"),
        ("FeatureExtraction: ResNet\noutput_channel: 8", "output_channel: ResNet needs at least 16"),
        (
            "SequenceModeling: None\nfreeze_SequenceModeling: True",
            "freeze_SequenceModeling: there is nothing to freeze",
        ),
        ("lexicon: words.txt", "lexicon: greedy decoding does not look at it; set decode: beamsearch"),
        ("language_model: lm.npz", "language_model: greedy decoding does not look at it; set decode: beamsearch"),
        ("batch_ratio: 0.5-0.5", "batch_ratio: 2 shares for 1 folders in select_data; give one for each"),
        ("batch_ratio: half", "batch_ratio: 'half' is not shares with a dash between them"),
        ("batch_ratio: 1-0", "batch_ratio: '1-0' is not shares with a dash between them"),
        ("batch_ratio: -1", "batch_ratio: '-1' is not shares with a dash between them"),
        ("select_data: a/b", "select_data: 'a/b' is not the names of folders with a dash between them"),
        (
            "{select_data: a-b, batch_ratio: 1-1, batch_pixels: 900000}",
            "batch_pixels: does not go with several folders",
        ),
        ("batch_pixels: 1000", "batch_pixels: has no room for one patch of 1280 x 64"),
        ("on_bad_sample: ignore", "on_bad_sample: invalid enum value 'ignore'"),
        ("rgb: True", "input_channel: rgb: True needs input_channel: 3"),
        ("adam: True", "lr: 1.0 makes Adam diverge"),
        ("experiment_name: ../elsewhere", "experiment_name: '../elsewhere' is a folder's name, not a path"),
        ("- a list", "a config file is a list of `key: value` lines"),
        ("a: [", "not YAML"),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        load_config(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lrr=1", "command line: unknown key 'lrr'; did you mean 'lr'?"),
        ("lr", "command line: 'lr' is not key=value"),
        ("batch_size=x", "command line: batch_size: expected `int`, got `str`"),
    ],
)
def test_a_mistake_on_the_command_line_says_so(override: str, message: str) -> None:
    with pytest.raises(UsageError, match="^" + message.replace("?", r"\?")):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eps: 1e-8", {"eps": 1e-8}),
        ("lr: 1.", {"lr": 1.0}),
        ("n_iter: 600_000", {"n_iter": 600_000}),
        ("Transformation: None", {"Transformation": "None"}),
        ("batch_ratio: 1", {"batch_ratio": "1"}),
        ("batch_ratio: 1.0", {"batch_ratio": "1"}),
        ("continue_from:", {"continue_from": None}),
        ('character: " !가"', {"character": " !가"}),
    ],
)
def test_a_value_means_what_everybody_means(tmp_path: Path, text: str, expected: dict[str, object]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    assert {key: getattr(config, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("values", "folders"),
    [
        ([], ["select_data"]),
        (["select_data=2001-03"], ["2001-03"]),
        (["select_data=drawn-real", "batch_ratio=0.5-0.5"], ["drawn", "real"]),
    ],
)
def test_folders_are_mixed_where_there_are_shares_for_them(values: list[str], folders: list[str]) -> None:
    assert selected_folders(load_config(None, values)) == folders


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("lr: 2.0\nseed: 7", encoding="utf-8")
    config = load_config(path, ["lr=0.5", "character=가나"])
    assert (config.lr, config.seed, config.character) == (0.5, 7, "가나")


def test_text_on_the_command_line_stays_text() -> None:
    config = load_config(None, ["experiment_name=2001-03-15", "batch_ratio=1", "Transformation=None", "continue_from="])
    assert (config.experiment_name, config.batch_ratio, config.continue_from) == ("2001-03-15", "1", None)


def test_a_saved_config_loads_unchanged(tmp_path: Path) -> None:
    config = msgspec.structs.replace(Config(), character=" !\"'가나", lr=0.001, adam=True, continue_from=None)
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such config file"):
        load_config(tmp_path / "none.yaml")
