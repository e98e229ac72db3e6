"""How likely a text is before anyone looks at it: an n-gram model of characters, made from the texts of the shards.

Probabilities are interpolated by Witten and Bell's rule (IEEE Transactions on Information Theory 37, 1991; Chen and
Goodman 1998, section 2.5): with N(h) characters seen after the context h, T(h) of them different,

    P(c | h) = (count(h, c) + T(h) P(c | h without its first character)) / (N(h) + T(h))

down to the uniform distribution. They sum to 1 after every context, also over what was never seen. A state is a
context that was seen; class 0, the blank, stands for the beginning of a text in contexts and for its end after them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from ocr.charset import BLANK, Charset
from ocr.errors import DataError, UsageError
from ocr.plumbing.files import write_whole

ORDER = 5  # characters that a probability looks at, its own included
MIN_COUNT = 2  # n-grams of three and more characters that occur once are mostly names and noise, and most of the file
MEASURED_TEXTS = 10_000
ROOT = 0  # the empty context


class LanguageModel(msgspec.Struct, frozen=True):
    """The n-grams as sorted arrays: `keys` is state * num_classes + class, the other two say what follows a key.

    `backoff` and `suffix` are by state: what an unseen class costs there, and the state to look on from.
    `mean_log_prob` is that of a character of the texts it was made from.
    """

    characters: str
    keys: np.ndarray
    log_probs: np.ndarray
    next_states: np.ndarray
    backoff: np.ndarray
    suffix: np.ndarray
    mean_log_prob: float

    @property
    def start(self) -> int:
        """The state at the beginning of a text."""
        return ROOT + 1 + BLANK

    def score(self, states: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(log P(class | state), the state after it), for arrays of one shape. Class 0 asks for the text's end."""
        state, wanted = states.ravel().copy(), classes.ravel()
        log_probs, after = np.zeros(len(state)), np.zeros(len(state), dtype=np.int64)
        open_ = np.arange(len(state))
        while len(open_):
            keys = state[open_] * (len(self.characters) + 1) + wanted[open_]
            places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            found = self.keys[places] == keys
            hits, places = open_[found], places[found]
            log_probs[hits] += self.log_probs[places]
            after[hits] = self.next_states[places]
            open_ = open_[~found]
            log_probs[open_] += self.backoff[state[open_]]
            state[open_] = self.suffix[state[open_]]
        return log_probs.reshape(states.shape), after.reshape(states.shape)

    def log_probs_of(self, texts: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
        """log P of whole texts, given as classes; the end of each included."""
        states, total = np.full(len(texts), self.start), np.zeros(len(texts))
        for step in range(max(len(text) for text in texts) + 1):
            open_ = np.array([index for index, text in enumerate(texts) if step <= len(text)])
            classes = np.array([(*texts[index], BLANK)[step] for index in open_])
            log_probs, states[open_] = self.score(states[open_], classes)
            total[open_] += log_probs
        return total


def make_language_model(texts: Iterable[str], charset: Charset, order: int = ORDER) -> LanguageModel:
    """Count the n-grams of texts. A character outside the charset ends its text and begins another.

    Raises DataError where no text holds a character of the charset.
    """
    symbols = blank_separated(texts, charset)
    num_classes = charset.num_classes
    ones = np.bincount(symbols[1:], minlength=num_classes)
    num_seen = np.count_nonzero(ones)
    probs = (ones + num_seen / num_classes) / (ones.sum() + num_seen)
    keys, all_probs, next_states = [np.arange(num_classes)], [probs], [1 + np.arange(num_classes)]
    backoff, suffix = np.zeros(1 + num_classes), np.zeros(1 + num_classes, dtype=np.int64)
    # By position: the state of the n - 1 characters that end there (-1: none), and the probability of the last one.
    states, position_probs = 1 + symbols, probs[symbols]
    for n in range(2, order + 1):
        contexts = np.concatenate([[-1], states[:-1]])
        if n > 2:
            contexts[1:][symbols[:-1] == BLANK] = -1  # a context may begin with a text's beginning, not run over it
        grams, places, counts, where = count_ngrams(
            contexts * num_classes + symbols, contexts >= 0, 1 if n < 3 else MIN_COUNT
        )
        if not len(grams):
            break
        context_of = grams // num_classes
        seen = np.bincount(context_of, weights=counts, minlength=len(backoff))
        different = np.bincount(context_of, minlength=len(backoff))
        probs = (counts + different[context_of] * position_probs[places]) / (seen + different)[context_of]
        known = different > 0
        backoff[known] = np.log(different[known] / (seen + different)[known])
        new_states = len(backoff) + np.arange(len(grams)) if n < order else states[places]
        keys.append(grams)
        all_probs.append(probs)
        next_states.append(new_states)
        if n < order:
            backoff = np.concatenate([backoff, np.zeros(len(grams))])
            suffix = np.concatenate([suffix, states[places]])
        states = np.where(where >= 0, new_states[where], -1)
        position_probs = np.where(where >= 0, probs[where], 0.0)
    flat_keys = np.concatenate(keys)
    in_order = np.argsort(flat_keys)
    model = LanguageModel(
        characters=charset.characters,
        keys=flat_keys[in_order],
        log_probs=np.log(np.concatenate(all_probs))[in_order].astype(np.float32),
        next_states=np.concatenate(next_states)[in_order].astype(np.int32),
        backoff=backoff.astype(np.float32),
        suffix=suffix.astype(np.int32),
        mean_log_prob=0.0,
    )
    return msgspec.structs.replace(model, mean_log_prob=mean_log_prob(model, symbols))


def blank_separated(texts: Iterable[str], charset: Charset) -> np.ndarray:
    """The classes of all texts in a row, a blank before and after each."""
    classes = [BLANK]
    for text in texts:
        for character in text:
            classes.append(charset.class_of.get(character, BLANK))
        classes.append(BLANK)
    symbols = np.array(classes, dtype=np.int64)
    symbols = symbols[np.concatenate([[True], (symbols[1:] != BLANK) | (symbols[:-1] != BLANK)])]
    if len(symbols) < 2:
        raise DataError(
            "no text holds a character of the alphabet, so there is no language to learn; look at character"
        )
    return np.asarray(symbols)


def count_ngrams(keys: np.ndarray, valid: np.ndarray, min_count: int) -> tuple[np.ndarray, ...]:
    """(keys that occur often enough, in order; a place of each; how often; by position which of them, or -1)."""
    positions = np.flatnonzero(valid)
    unique, first, inverse, counts = np.unique(
        keys[positions], return_index=True, return_inverse=True, return_counts=True
    )
    kept = counts >= min_count
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    where = np.full(len(keys), -1)
    where[positions] = number[inverse]
    return unique[kept], positions[first[kept]], counts[kept], where


def mean_log_prob(model: LanguageModel, symbols: np.ndarray) -> float:
    """Of a character, over the first texts that the model was made from."""
    ends = np.flatnonzero(symbols == BLANK)[: MEASURED_TEXTS + 1]
    texts = [symbols[start + 1 : end] for start, end in pairwise(ends)]
    return float(model.log_probs_of(texts).sum()) / sum(len(text) + 1 for text in texts)


def save_language_model(model: LanguageModel, path: Path) -> None:
    with write_whole(path) as file:
        np.savez_compressed(file, **msgspec.structs.asdict(model))


def read_language_model(path: Path, charset: Charset) -> LanguageModel:
    """Raises UsageError for a file that is not there or was made for another alphabet, DataError for a broken one."""
    if not path.is_file():
        raise UsageError(f"{path}: no such language model; make it with `python -m trainer.language_model`")
    try:
        with np.load(path) as arrays:
            values = {name: arrays[name] for name in LanguageModel.__struct_fields__}
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a language model ({error}); make it again") from error
    values |= {"characters": str(values["characters"]), "mean_log_prob": float(values["mean_log_prob"])}
    model = LanguageModel(**values)
    if model.characters != charset.characters:
        raise UsageError(
            f"{path}: made for an alphabet of {len(model.characters)} characters, not for this one of "
            f"{len(charset.characters)}; make it again with `python -m trainer.language_model`"
        )
    return model
