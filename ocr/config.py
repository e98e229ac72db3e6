"""The config is the run: one frozen struct for all three rooms, read from YAML and checked before anything starts."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from ocr.errors import UsageError
from ocr.plumbing.files import write_whole

Count = Annotated[int, msgspec.Meta(ge=0)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Every key of a config file, in the spelling of the seed project; `configs/korean_g2.yaml` explains each."""

    # Environment
    seed: Count = 1111
    experiment_name: Annotated[str, msgspec.Meta(min_length=1)] = "korean_g2"
    # Data set
    train_data: str = "shards/training"
    val_data: str = "shards/validation"
    select_data: str = "select_data"
    batch_ratio: str | float = "1"
    cache_dir: str | None = None
    cache_gb: PositiveFloat = 50.0
    total_data_usage_ratio: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    train_images: Count = 40_000
    val_images: Count = 2_000
    eval_images: Count = 500
    # Shards
    patch_format: Literal["jpg", "png"] = "jpg"
    jpeg_quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 95
    min_side: PositiveInt = 4
    vertical_words: Literal["refuse", "keep"] = "refuse"
    max_failed: Fraction = 0.01
    engine: Literal["loky", "dask", "ray"] = "loky"
    # Data processing
    img_height: PositiveInt = 64
    img_width: PositiveInt = 1280
    PAD: bool = True
    contrast_adjust: Fraction = 0.0
    character: str = "korean_g2+ksx1001"
    character_min_count: PositiveInt = 10
    sensitive: bool = True
    batch_max_length: PositiveInt = 34
    data_filtering_off: bool = False
    on_bad_sample: Literal["raise", "count"] = "raise"
    max_bad_ratio: Fraction = 0.001
    # Augmentation
    augment: bool = False
    augment_ink: Fraction = 0.4
    augment_rule: Fraction = 0.5
    augment_stamp: Fraction = 0.5
    augment_shear: Fraction = 0.4
    augment_crop: Fraction = 0.5
    augment_blur: Fraction = 0.4
    augment_tone: Fraction = 0.5
    augment_noise: Fraction = 0.4
    augment_jpeg: Fraction = 0.5
    # Training
    workers: Count = 2
    batch_size: PositiveInt = 64
    batch_pixels: Count = 0
    n_iter: PositiveInt = 100_000
    val_period: PositiveInt = 10_000
    show_number: Count = 8
    continue_from: str | None = "korean_g2"
    strict: bool = True
    accumulate: PositiveInt = 1
    early_stop: Count = 0
    ema: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    amp: bool = True
    compile: bool = False
    # Optimizer
    adam: bool = False
    lr: PositiveFloat = 1.0
    beta1: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.9
    rho: Fraction = 0.95
    eps: PositiveFloat = 1e-8
    grad_clip: PositiveFloat = 5.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Count = 0
    # Model
    Transformation: Literal["None", "TPS"] = "None"
    FeatureExtraction: Literal["VGG", "RCNN", "ResNet"] = "VGG"
    SequenceModeling: Literal["None", "BiLSTM"] = "BiLSTM"
    Prediction: Literal["CTC", "Attn"] = "CTC"
    num_fiducial: Annotated[int, msgspec.Meta(ge=4, multiple_of=2)] = 20
    freeze_FeatureFxtraction: bool = False
    rgb: bool = False
    input_channel: Literal[1, 3] = 1
    output_channel: PositiveInt = 256
    freeze_SequenceModeling: bool = False
    hidden_size: PositiveInt = 256
    new_prediction: bool = False
    decode: Literal["greedy", "beamsearch"] = "greedy"
    beam_width: PositiveInt = 10
    lexicon: str | None = None
    language_model: str | None = None
    language_model_weight: Fraction = 0.3
    # Evaluation
    baseline_model: Annotated[str, msgspec.Meta(min_length=1)] = "korean_g2"


SPELLINGS = {"freeze_FeatureExtraction": "freeze_FeatureFxtraction"}
"""What a key is also called, and its name here, which is the seed project's."""
ALPHABET_PARTS = ("number", "symbol", "lang_char")
"""EasyOCR's trainer puts its alphabet together of these; the seed's config leaves them empty."""


class NumberLoader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-8` as a string; here it is the number everybody means."""


NumberLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """The config of a YAML file with `key=value` overrides on top; without a file, the defaults.

    Raises UsageError with the file (or "command line"), the key and the remedy for an unknown key, a wrong type
    and an impossible value.
    """
    from_file = of_today(read_yaml(path), path) if path else {}
    from_line = dict(parse_override(override) for override in overrides)
    place_of = {key: str(path) for key in from_file} | dict.fromkeys(from_line, "command line")
    for key, place in place_of.items():
        if key not in Config.__struct_fields__:
            raise UsageError(f"{place}: unknown key {key!r}{nearest_key(key)}")
    try:
        config = msgspec.convert(from_file | from_line, Config)
    except msgspec.ValidationError as error:
        reason, _, key = str(error).partition(" - at `$.")
        key = re.split(r"[`.\[]", key)[0]
        raise UsageError(f"{place_of.get(key, path)}: {key}: {reason[0].lower()}{reason[1:]}") from error
    config = msgspec.structs.replace(config, batch_ratio=plain_number(config.batch_ratio))
    for key, reason in impossible_values(config):
        raise UsageError(f"{place_of.get(key, path or 'defaults')}: {key}: {reason}")
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"{path}: no such config file; --help-config prints one to start from")
    try:
        values = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=NumberLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a config file is a list of `key: value` lines")
    return values


def of_today(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The values of a file under the keys they have now; what says nothing any more is named on stderr."""
    for other, key in SPELLINGS.items():
        if other in values and key in values:
            raise UsageError(f"{path}: {other}: is another spelling of {key}; keep one of them")
    values = {SPELLINGS.get(key, key): value for key, value in values.items()}
    parts = [key for key in ALPHABET_PARTS if key in values]
    alphabet = "".join(str(part) for part in map(values.pop, parts) if part not in (None, "None"))
    if alphabet and not values.get("character"):
        return values | {"character": alphabet}
    if parts and os.environ.get("RANK", "0") == "0":  # under torchrun every rank loads the config
        print(f"{path}: {', '.join(parts)}: not looked at, the alphabet is `character`", file=sys.stderr)
    return values


def parse_override(override: str) -> tuple[str, Any]:
    key, equals, value = override.partition("=")
    key = SPELLINGS.get(key, key)
    if not equals:
        raise UsageError(f"command line: {override!r} is not key=value")
    if isinstance(getattr(Config(), key, None), str):  # text stays text: experiment_name=2001, Transformation=None
        return key, value or None
    try:
        return key, yaml.load(value, Loader=NumberLoader)
    except yaml.YAMLError as error:
        raise UsageError(f"command line: {key}: {value!r} is not a YAML value") from error


def nearest_key(key: object) -> str:
    """A key of a file may be no text: YAML takes `on` for True."""
    near = difflib.get_close_matches(str(key), Config.__struct_fields__, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def plain_number(value: str | float) -> str:
    """`1`, `1.0` and `"1"` are the same ratio."""
    return value if isinstance(value, str) else f"{value:g}"


def impossible_values(config: Config) -> list[tuple[str, str]]:
    """(key, reason) of every value that fits its type and still cannot work."""
    found: list[tuple[str, str]] = []
    if config.rgb != (config.input_channel == 3):
        found.append(("input_channel", f"rgb: {config.rgb} needs input_channel: {3 if config.rgb else 1}"))
    if config.adam and config.lr > 0.1:
        found.append(("lr", f"{config.lr} makes Adam diverge; with adam: True take about 0.001"))
    if config.img_height < 32:
        found.append(("img_height", "every network needs at least 32 pixels; EasyOCR reads at 64"))
    if config.output_channel < (smallest := 16 if config.FeatureExtraction == "ResNet" else 8):
        found.append(("output_channel", f"{config.FeatureExtraction} needs at least {smallest}"))
    if config.freeze_SequenceModeling and config.SequenceModeling == "None":
        found.append(("freeze_SequenceModeling", "there is nothing to freeze with SequenceModeling: None"))
    for key in ("lexicon", "language_model"):
        if getattr(config, key) and config.decode == "greedy":
            found.append((key, "greedy decoding does not look at it; set decode: beamsearch, or leave it empty"))
    if Path(config.experiment_name).name != config.experiment_name:
        found.append(("experiment_name", f"{config.experiment_name!r} is a folder's name, not a path"))
    return found + impossible_mixtures(config)


def impossible_mixtures(config: Config) -> list[tuple[str, str]]:
    ratios = str(config.batch_ratio).split("-")
    if not all(re.fullmatch(r"[0-9]*\.?[0-9]+", ratio) and float(ratio) for ratio in ratios):
        return [("batch_ratio", f"{config.batch_ratio!r} is not shares with a dash between them, like 0.5-0.5")]
    folders = selected_folders(config)
    if len(folders) != len(ratios):
        return [("batch_ratio", f"{len(ratios)} shares for {len(folders)} folders in select_data; give one for each")]
    if any(not folder or Path(folder).name != folder for folder in folders):
        return [("select_data", f"{config.select_data!r} is not the names of folders with a dash between them")]
    if config.batch_pixels and len(folders) > 1:
        return [("batch_pixels", "does not go with several folders in select_data; set batch_pixels: 0")]
    if config.batch_pixels and config.batch_pixels < config.img_height * config.img_width:
        return [("batch_pixels", f"has no room for one patch of {config.img_width} x {config.img_height}")]
    return []


def selected_folders(config: Config) -> list[str]:
    """The folders that `select_data` names: one, dashes and all, where `batch_ratio` is one share."""
    return config.select_data.split("-") if "-" in str(config.batch_ratio) else [config.select_data]


def save_config(config: Config, path: Path) -> None:
    """Write a config so that `load_config` gives it back."""
    values = msgspec.to_builtins(config)
    with write_whole(path) as file:
        file.write(yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=120).encode())
