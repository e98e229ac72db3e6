"""The study's own parts: labels as the seed had them, recipes that build on one another, and what is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_learning import PARTS, WORSE_SCAN, Run, Words, csv_field, measured, recipe_of, table

from ocr.networks.easyocr_files import find_weights
from tests.trainer.conftest import drawn


@pytest.mark.parametrize(
    ("text", "spoiled"),
    [
        ("김해시", "김해시"),
        ("하며,", '"하며,"'),
        ('"김해를', '"""김해를"'),
        ("가 나", "가 나"),
        ("3,000원", '"3,000원"'),
    ],
)
def test_labels_are_spoiled_as_a_csv_writer_spoils_them(text: str, spoiled: str) -> None:
    assert csv_field(text) == spoiled


def test_each_recipe_has_all_keys_of_the_one_it_adds_to() -> None:
    for part in PARTS[1:]:
        assert recipe_of(part.name)[1] == recipe_of(part.base)[1] | part.keys
    assert recipe_of("labels")[1] == recipe_of("seed")[1]  # they differ in the labels alone
    assert [part.name for part in PARTS if part.spoiled] == ["seed"]


def test_words_outside_the_alphabet_and_with_commas_are_counted_apart(tmp_path: Path) -> None:
    texts = ["42-7", "3,000", "㎡", "Kim"]
    words = Words([drawn(text) for text in [*texts[:2], "0", "Kim"]], texts)
    groups = measured(find_weights("english_g2", tmp_path), words)
    sizes = {name: counts.num_pairs for name, counts in groups.items()}
    assert sizes == {"all": 4, "inside korean_g2": 3, "outside it": 1, 'with , or "': 1, WORSE_SCAN: 4}
    assert groups["outside it"].num_equal == 0
    lines = table([Run("seed", seed, groups) for seed in (1, 2)])
    assert lines[1].startswith("seed recipe") and lines[-1].split() == ["words", "4", "3", "1", "1", "4"]
