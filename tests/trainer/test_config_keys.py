"""Every config key does what it says: those whose effect shows in a run, and where the others are tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ocr.config import Config, load_config
from ocr.networks.easyocr_files import charset_of
from ocr.networks.network import Network, build_model
from ocr.networks.weight_files import Tensors, read_weights
from tests.trainer.conftest import SMALL, changed, train
from trainer.checkpoint import starting_model
from trainer.optimizer import make_optimizer

ROOT = Path(__file__).parents[2]

TESTED_BY = {
    # Environment
    "experiment_name": "trainer/test_checkpoint.py::test_a_folder_of_another_run_is_refused",
    # Data set
    "train_data": "trainer/data/test_loader.py::test_a_folder_of_shards_becomes_plans",
    "val_data": "trainer/test_train.py::test_what_cannot_run_ends_in_one_line",
    "select_data": "trainer/data/test_loader.py::test_sources_are_mixed_by_ratio",
    "batch_ratio": "trainer/data/test_loader.py::test_sources_are_mixed_by_ratio",
    "total_data_usage_ratio": "trainer/data/test_sample_table.py::test_part_of_the_data_is_the_same_part_every_time",
    "train_images": "shard_builder/test_plan.py::test_raising_a_number_only_adds_pages",
    "val_images": "shard_builder/test_plan.py::test_no_page_left_for_validation_says_why",
    "eval_images": "shard_builder/test_plan.py::test_no_page_is_in_two_splits",
    # Shards
    "patch_format": "shard_builder/test_build.py::test_the_config_decides_how_patches_are_kept",
    "jpeg_quality": "shard_builder/test_build.py::test_the_config_decides_how_patches_are_kept",
    "min_side": "shard_builder/test_build.py::test_the_config_decides_which_words_are_written",
    "vertical_words": "shard_builder/test_build.py::test_the_config_decides_which_words_are_written",
    "max_failed": "shard_builder/test_broken_pages.py::test_more_than_one_in_a_hundred_stops_the_build",
    "engine": "shard_builder/test_builder_command.py::test_a_cluster_writes_the_same_bytes",
    # Data processing
    "img_height": "trainer/test_export.py::test_another_height_travels_in_the_export",
    "img_width": "trainer/data/test_sample_table.py::test_what_is_refused_is_counted_by_reason",
    "PAD": "trainer/data/test_loader.py::test_pad_off_stretches_to_img_width",
    "contrast_adjust": "trainer/data/test_loader.py::test_low_contrast_is_stretched_where_asked",
    "character": "trainer/test_alphabet.py::test_what_the_training_texts_hold_often_enough_is_added",
    "character_min_count": "trainer/test_alphabet.py::test_what_the_training_texts_hold_often_enough_is_added",
    "sensitive": "trainer/data/test_loader.py::test_sensitive_off_trains_lower_case",
    "batch_max_length": "trainer/data/test_sample_table.py::test_what_is_refused_is_counted_by_reason",
    "data_filtering_off": "trainer/data/test_loader.py::test_without_filtering_the_alphabet_is_trained",
    "on_bad_sample": "trainer/data/test_loader.py::test_damaged_samples_are_left_out_named_and_counted_where_asked",
    "max_bad_ratio": "trainer/data/test_loader.py::test_too_many_damaged_samples_end_the_run",
    # Augmentation
    "augment": "trainer/data/test_loader.py::test_patches_are_varied_anew_in_each_epoch_and_the_same_by_any_reader",
    **{
        f"augment_{kind}": "trainer/data/test_augment.py::test_every_kind_shows_more_the_stronger_it_is"
        for kind in "ink rule stamp shear crop blur tone noise jpeg".split()
    },
    # Training
    "batch_size": "trainer/data/test_loader.py::test_ranks_and_workers_read_the_same_pixels_in_the_same_batches",
    "batch_pixels": "trainer/data/test_loader.py::test_a_budget_of_pixels_bounds_the_batches",
    "continue_from": "trainer/test_checkpoint.py::test_easyocrs_own_weights_load_unchanged",
    "strict": "trainer/test_checkpoint.py::test_without_strict_what_does_not_fit_starts_fresh",
    "cache_dir": "trainer/data/test_remote_shards.py::test_the_second_reader_finds_what_the_first_has_fetched",
    "cache_gb": "trainer/data/test_remote_shards.py::test_a_cache_keeps_to_its_size",
    "accumulate": "trainer/test_step.py::test_micro_batches_have_the_gradient_of_the_batch",
    "amp": "trainer/test_step.py::test_bfloat16_is_computed_where_it_is_asked_for_and_known",
    "compile": "trainer/test_step.py::test_a_compiled_network_is_given_few_widths",
    "ema": "trainer/test_resume.py::test_the_mean_weights_are_those_that_read",
    "early_stop": "trainer/test_resume.py::test_a_run_that_finds_nothing_better_stops",
    "schedule": "trainer/test_schedule.py::test_the_learning_rate_is_a_function_of_the_iteration",
    "warmup": "trainer/test_schedule.py::test_the_learning_rate_is_a_function_of_the_iteration",
    # Model
    "Transformation": "ocr/networks/test_architectures.py::test_every_combination_learns_and_travels_through_files",
    "FeatureExtraction": "ocr/networks/test_architectures.py::test_every_combination_learns_and_travels_through_files",
    "SequenceModeling": "ocr/networks/test_architectures.py::test_every_combination_learns_and_travels_through_files",
    "Prediction": "ocr/networks/test_architectures.py::test_every_combination_learns_and_travels_through_files",
    "num_fiducial": "trainer/test_train.py::test_other_architectures_are_trained_and_go_on",
    "freeze_FeatureFxtraction": "trainer/test_optimizer.py::test_frozen_parts_stay_equal_to_the_bit",
    "freeze_SequenceModeling": "trainer/test_optimizer.py::test_frozen_parts_stay_equal_to_the_bit",
    "rgb": "trainer/data/test_loader.py::test_rgb_keeps_the_colors_in_rgb_order",
    "input_channel": "trainer/test_train.py::test_color_is_trained_where_asked",
    "output_channel": "trainer/test_checkpoint.py::test_a_checkpoint_gives_back_what_it_took",
    "hidden_size": "trainer/test_checkpoint.py::test_without_strict_what_does_not_fit_starts_fresh",
    "new_prediction": "trainer/test_checkpoint.py::test_an_alphabet_that_nobody_wrote_down_is_not_guessed",
    "decode": "trainer/test_language_model.py::test_validation_decodes_by_beams",
    "beam_width": "ocr/decoding/test_decode.py::test_the_config_decides",
    "lexicon": "ocr/decoding/test_decode.py::test_the_config_decides",
    "language_model": "trainer/test_language_model.py::test_validation_decodes_by_beams",
    "language_model_weight": "ocr/decoding/test_decode.py::test_the_config_decides",
    # Evaluation
    "baseline_model": "evaluator/test_evaluate_command.py::test_the_command",
}
"""The test of each key whose effect is not in this file."""

TESTED_HERE = {
    *("seed", "workers", "n_iter", "val_period", "show_number"),
    *("adam", "lr", "beta1", "rho", "eps", "grad_clip"),
}


def test_every_key_is_tested_by_its_effect() -> None:
    assert TESTED_BY.keys() | TESTED_HERE == set(Config.__struct_fields__)
    assert not TESTED_BY.keys() & TESTED_HERE
    for key, place in TESTED_BY.items():
        path, _, name = place.partition("::")
        text = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert f"def {name}" in text, f"{key}: not in {place}"


@pytest.fixture
def small(config: Config) -> Config:
    return changed(config, n_iter=2, val_period=2, batch_size=8, **SMALL)


def run(config: Config, folder: Path) -> Path:
    return train(config, folder, folder / "EasyOCR")


def moved(first: Tensors, second: Tensors) -> float:
    """How far two networks' parameters lie from each other."""
    names = [name for name in first if "running" not in name and "num_batches" not in name]
    return float(sum((first[name] - second[name]).double().square().sum() for name in names) ** 0.5)


ADADELTA = {"adam": False, "lr": 1.0}
LEARNED: dict[str, Tensors] = {}
"""What was learned with some values: many rows look at the same run."""


@pytest.mark.parametrize(
    ("values", "key", "value", "differ"),
    [
        ({}, "seed", 1111, False),
        ({}, "seed", 2, True),
        ({}, "workers", 1, False),
        ({}, "show_number", 5, False),
        ({"lr": 0.01}, "adam", False, True),
        ({}, "lr", 0.002, True),
        ({}, "beta1", 0.5, True),
        ({}, "rho", 0.5, False),  # Adam has none
        (ADADELTA, "lr", 0.5, True),
        (ADADELTA, "rho", 0.5, True),
        (ADADELTA, "eps", 1e-6, True),
        (ADADELTA, "beta1", 0.5, False),
    ],
)
def test_what_is_learned_depends_on_the_keys_that_say_so_and_no_other(
    small: Config, tmp_path: Path, values: dict[str, object], key: str, value: object, differ: bool
) -> None:
    if str(values) not in LEARNED:
        LEARNED[str(values)] = read_weights(run(changed(small, **values), tmp_path / "one") / "last.pth").tensors
    other = read_weights(run(changed(small, **values | {key: value}), tmp_path / "other") / "last.pth").tensors
    assert (moved(LEARNED[str(values)], other) > 0) == differ


@pytest.mark.parametrize("grad_clip", [0.01, 0.1])
def test_grad_clip_bounds_a_step(small: Config, tmp_path: Path, grad_clip: float) -> None:
    """Adam with a large eps moves by lr times the gradient, whose norm is what is clipped."""
    plain = changed(small, n_iter=1, val_period=1, lr=0.1, eps=1e3, grad_clip=grad_clip)
    torch.manual_seed(plain.seed)
    before = starting_model(plain, charset_of(plain.character), tmp_path).state_dict()
    step = moved(before, read_weights(run(plain, tmp_path) / "last.pth").tensors)
    assert step == pytest.approx(0.1 * grad_clip / 1e3, rel=0.01)


@pytest.mark.parametrize(
    ("values", "blocks", "examples"),
    [
        ({"n_iter": 4, "val_period": 2, "show_number": 3}, ["[2/4]", "[4/4]"], 6),
        ({"n_iter": 4, "val_period": 1, "show_number": 0}, ["[1/4]", "[2/4]", "[3/4]", "[4/4]"], 0),
        ({"n_iter": 3, "val_period": 2, "show_number": 1}, ["[2/3]", "[3/3]"], 2),
        ({"n_iter": 1, "val_period": 99, "show_number": 30}, ["[1/1]"], 22),  # there are 22 words
    ],
)
def test_validations_come_when_asked_and_show_as_many_examples_as_asked(
    small: Config, tmp_path: Path, values: dict[str, object], blocks: list[str], examples: int
) -> None:
    log = (run(changed(small, **values), tmp_path) / "log_train.txt").read_text(encoding="utf-8")
    assert re.findall(r"^\[\d+/\d+\]$", log, flags=re.MULTILINE) == blocks
    assert len(re.findall(r"(True|False)$", log, flags=re.MULTILINE)) == examples


@pytest.mark.parametrize(
    "values",
    [
        {"adam": False, "lr": 1.0, "rho": 0.95, "eps": 1e-8},
        {"adam": False, "lr": 0.5, "rho": 0.5, "eps": 1e-3},
        {"adam": True, "lr": 0.001, "beta1": 0.9, "eps": 1e-8},
        {"adam": True, "lr": 0.05, "beta1": 0.5, "eps": 1e-3},
    ],
)
def test_a_step_is_what_the_papers_say(config: Config, values: dict[str, object]) -> None:
    """Zeiler, "ADADELTA", 2012, algorithm 1; Kingma and Ba, "Adam", ICLR 2015, algorithm 1 with beta2 = 0.999."""
    config = changed(config, **values)
    model = build_model(Network(output_channel=16, hidden_size=8), 6)
    bias = model.get_parameter("Prediction.bias").detach()
    optimizer = make_optimizer(model, config)
    expected, first, second = float(bias[0]), 0.0, 0.0
    for number, gradient in enumerate((0.3, -0.2, 0.05), start=1):
        for each in model.parameters():
            each.grad = torch.full_like(each, gradient)
        optimizer.step()
        if config.adam:
            first = config.beta1 * first + (1 - config.beta1) * gradient
            second = 0.999 * second + 0.001 * gradient**2
            mean, square = first / (1 - config.beta1**number), second / (1 - 0.999**number)
            expected -= config.lr * mean / (square**0.5 + config.eps)
        else:
            second = config.rho * second + (1 - config.rho) * gradient**2
            change = (first + config.eps) ** 0.5 / (second + config.eps) ** 0.5 * gradient
            first = config.rho * first + (1 - config.rho) * change**2
            expected -= config.lr * change
        assert float(bias[0]) == pytest.approx(expected, rel=1e-5)


def test_a_run_starts_from_a_file_of_the_seeds_form(numbers: Path, tmp_path: Path) -> None:
    places = [f"train_data={numbers / 'training'}", f"val_data={numbers / 'validation'}", "continue_from=english_g2"]
    config = load_config(ROOT / "tests" / "seed_config.yaml", [*places, "n_iter=1", "workers=0"])
    folder = run(config, tmp_path)
    assert read_weights(folder / "best_accuracy.pth").character == charset_of("korean_g2").characters
    assert "[1/1]" in (folder / "log_train.txt").read_text(encoding="utf-8")
