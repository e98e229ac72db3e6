"""The splits: the half of the data set that each is drawn from, and what its shards hold."""

from __future__ import annotations

HALF_OF = {
    "training": "Training",
    "validation": "Validation",
    "evaluation": "Validation",
    "validation_pages": "Validation",
}
EVERY_SPLIT = tuple(HALF_OF)
SPLITS = ("training", "validation", "evaluation")
"""What is built when none is named."""

WHOLE_PAGES = frozenset({"evaluation", "validation_pages"})
"""The splits whose samples are pages with their words; the samples of the others are single words."""

NUM_VALIDATION_PAGES = 100
"""The first of validation's pages that `validation_pages` holds: what `evaluator.tune` fits the detector on."""
