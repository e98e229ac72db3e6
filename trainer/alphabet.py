"""The alphabet of a run: what `character` names, and how many training words it and others can write."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ocr.charset import Charset
from ocr.config import Config
from ocr.errors import UsageError
from ocr.networks.easyocr_files import charset_of, describe_alphabet, find_recognizer, split_additions
from ocr.networks.network import network_of
from ocr.networks.weight_files import read_weights
from ocr.remote.locations import PathOrUrl
from ocr.shards.manifest import read_manifest
from trainer.checkpoint import unlike_stages
from trainer.data.data_sources import located, read_texts
from trainer.data.sample_filter import Recipe, sums
from trainer.data.sample_table import indexes

NAMED = ("korean_g2", "korean_g2+ksx1001", "korean_g2+data", "korean_g2+ksx1001+data")
"""The alphabets that a run tells about beside its own."""


def charset_for(config: Config, checkpoint: Path | None = None) -> Charset:
    """The alphabet that `character` means, with what the training texts add to it: the same on every rank.

    A run that goes on keeps the one in its checkpoint. Raises UsageError where `+data` cannot be counted.
    """
    if checkpoint and checkpoint.exists() and (kept := read_weights(checkpoint).character):
        return Charset(kept)
    counts_data = "data" in split_additions(config.character)[1]
    return charset_of(config.character, characters_of_data(config) if counts_data else "")


def characters_of_data(config: Config) -> str:
    """What `+data` adds, in code-point order: what the training texts hold at least `character_min_count` times.

    A character that NFC changes, or that leaves no ink of its own (a line end, a space but the plain one), is never a
    class; words with one stay counted as outside the alphabet.
    """
    counts = Counter[str]()
    for character, count in count_characters(config).items():
        for compared in character if config.sensitive else character.lower():
            counts[compared] += count
    return "".join(
        character
        for character, count in sorted(counts.items())
        if count >= config.character_min_count
        and character.isprintable()
        and unicodedata.is_normalized("NFC", character)
    )


def count_characters(config: Config) -> Counter[str]:
    """How often each character stands in the training texts: the manifests' counts, or counted here without one."""
    folders, _ = located(config.train_data, config)
    if not folders:
        raise UsageError(
            f"character: {config.character!r} counts the characters of the training texts, which cannot be done behind "
            "the URLs of train_data; take korean_g2+ksx1001, or write the alphabet out"
        )
    counts = Counter[str]()
    for shards in folders:
        if manifest := read_manifest(shards[0].parent):
            counts.update(manifest.characters)
        else:
            for text in read_texts(shards):
                counts.update(text)
    return counts


def alphabet_lines(recipe: Recipe, shards: Sequence[PathOrUrl], easyocr_dir: Path) -> list[str]:
    """What is to be said of a run's alphabet when it starts; nothing of the words where no shard has an index."""
    lines = [words_line(recipe, shards)] if shards else []
    if recipe.config.continue_from:
        path = find_recognizer(recipe.config.continue_from, easyocr_dir)
        weights, wanted = read_weights(path), recipe.charset.characters
        fits = not unlike_stages(weights.network, network_of(recipe.config))
        if fits and weights.character not in ("", wanted):
            num_kept = len(set(weights.character) & set(wanted))
            lines.append(
                f"{path}: of its {len(weights.character):,} characters {num_kept:,} keep their weights, "
                f"{len(wanted) - num_kept:,} of the alphabet's are new"
            )
    return lines


def words_line(recipe: Recipe, shards: Sequence[PathOrUrl]) -> str:
    """What share of the training words the run's alphabet and others write, and which to take where its own lacks."""
    config, of_data = recipe.config, characters_of_data(recipe.config)
    others = {name: charset_of(name, of_data) for name in NAMED}
    others = {name: other for name, other in others.items() if other.characters != recipe.charset.characters}
    num_words, (num_own, *counts) = count_written(recipe, shards, [recipe.charset, *others.values()])
    num_others = dict(zip(others, counts, strict=True))
    shares = "".join(f", {name} {share(number, num_words)}" for name, number in num_others.items())
    line = f"{share(num_own, num_words)} of {num_words:,} training words{shares}"
    if num_own < num_words:
        best = max(num_others, key=lambda name: num_others[name])  # the first of several that write as many
        more, lost = num_others[best] - num_own, num_words - num_own
        line += (
            f"; `character: {best}` would write {'all' if more == lost else f'{more:,} of the'} {lost:,} that it cannot"
            if more > 0
            else f"; no name writes more with character_min_count: {config.character_min_count}"
        )
    return f"alphabet: {describe_alphabet(recipe.charset.characters)} writes {line}"


def count_written(recipe: Recipe, shards: Sequence[PathOrUrl], charsets: Sequence[Charset]) -> tuple[int, list[int]]:
    """(words in the indexes of shards, how many of them each alphabet can write)."""
    num_words, num_written = 0, [0] * len(charsets)
    for _, index in indexes(shards):
        code_points, ends = recipe.code_points(index)
        has_text = np.diff(ends, prepend=0) > 0
        num_words += int(has_text.sum())
        for place, charset in enumerate(charsets):
            num_missing = sums(charset.class_table[code_points] == 0, ends)
            num_written[place] += int((has_text & (num_missing == 0)).sum())
    return num_words, num_written


def share(number: int, whole: int) -> str:
    """Never rounded up to 100%."""
    return f"{10_000 * number // whole / 100 if whole else 0:.2f}%"
