"""Where words are lost: by category, box height, text length and character, and what an alphabet cannot write."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec
from rapidfuzz.distance import Levenshtein

from evaluator.metrics.end_to_end import PageReading, credit
from evaluator.metrics.figures import Scores, Sums, scores_of, total
from ocr.cer import TextCounts

HEIGHT_EDGES = (16, 24, 32, 48, 64, 96)
"""Pixels. AI-Hub's words are 48 to 79 high in the middle 90 % (300 dpi)."""

LENGTH_EDGES = (1, 2, 3, 4, 5, 7, 10, 15)
MOST = 50
"""Confusions listed, of each kind."""


class WordReading(msgspec.Struct, frozen=True):
    """One counted reference word; `prediction` is None where no predicted box matched. `height` is its box's."""

    reference: str
    prediction: str | None
    height: float


class GroupScores(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of some reference words. `cer` and `accuracy` are over the matched, the others over all of them."""

    num_words: int
    num_matched: int
    detection_recall: float
    end_to_end_recall: float
    cer: float | None
    accuracy: float | None


class Confusion(msgspec.Struct, frozen=True):
    """A reference character that was read as another, `count` times."""

    reference: str
    prediction: str
    count: int


class CharacterCount(msgspec.Struct, frozen=True):
    character: str
    count: int


class Confusions(msgspec.Struct, frozen=True, kw_only=True):
    """Characters of matched words, by the edits that turn the reference into the prediction; most frequent first.

    `never_read` holds every character that was wrong each time, with how often it occurred.
    """

    substituted: list[Confusion]
    deleted: list[CharacterCount]
    inserted: list[CharacterCount]
    never_read: list[CharacterCount]


class OutsideAlphabet(msgspec.Struct, frozen=True, kw_only=True):
    """Reference words with a character that no class stands for; `characters` are those, most frequent first."""

    num_words: int
    num_outside: int
    share: float | None
    characters: list[CharacterCount]


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """Groups without a word are left out."""

    by_category: dict[str, Scores]
    by_height: dict[str, GroupScores]
    by_length: dict[str, GroupScores]
    confusions: Confusions
    outside_alphabet: OutsideAlphabet


def break_down(
    readings: Sequence[PageReading], pages: Sequence[Sums], categories: Sequence[str], alphabet: Collection[str]
) -> Breakdown:
    """`pages` and `categories` belong to the same pages as `readings`."""
    words = [word for reading in readings for word in words_of(reading)]
    return Breakdown(
        by_category=by_category(pages, categories),
        by_height=by_group(words, lambda word: word.height, HEIGHT_EDGES),
        by_length=by_group(words, lambda word: len(word.reference), LENGTH_EDGES),
        confusions=confusions((word.reference, word.prediction) for word in words if word.prediction is not None),
        outside_alphabet=outside_alphabet([word.reference for word in words], alphabet),
    )


def words_of(reading: PageReading) -> list[WordReading]:
    texts = reading.prediction.texts
    read = {reference: texts[prediction] for reference, prediction in reading.matches}
    boxes_N4 = reading.reference.boxes_N4
    heights = (boxes_N4[:, 3] - boxes_N4[:, 1]).tolist()
    counted = zip(reading.reference.texts, heights, reading.reference.dont_care_N.tolist(), strict=True)
    return [
        WordReading(text, read.get(number), height)
        for number, (text, height, dont_care) in enumerate(counted)
        if not dont_care
    ]


def by_category(pages: Sequence[Sums], categories: Sequence[str]) -> dict[str, Scores]:
    """The scores of the pages of each category, by name."""
    return {
        category: scores_of(total([page for page, name in zip(pages, categories, strict=True) if name == category]))
        for category in sorted(set(categories))
    }


def by_group(
    words: Sequence[WordReading], measure: Callable[[WordReading], float], edges: Sequence[int]
) -> dict[str, GroupScores]:
    """Scores of words between two edges, lower one included; under names such as "16-23"."""
    groups: list[list[WordReading]] = [[] for _ in range(len(edges) + 1)]
    for word in words:
        groups[bisect_right(edges, measure(word))].append(word)
    return {name: group_scores(group) for name, group in zip(names(edges), groups, strict=True) if group}


def names(edges: Sequence[int]) -> list[str]:
    """Names of whole numbers from 0 to the first edge, between edges, and beyond the last."""
    bounds = zip((0, *edges[:-1]), edges, strict=True)
    return [f"{low}" if high == low + 1 else f"{low}-{high - 1}" for low, high in bounds] + [f"{edges[-1]}+"]


def group_scores(words: Sequence[WordReading]) -> GroupScores:
    """`words` are not empty."""
    texts, credits = TextCounts(), []
    for word in words:
        if word.prediction is not None:
            texts.add(word.reference, word.prediction)
            credits.append(credit(word.reference, word.prediction))
    return GroupScores(
        num_words=len(words),
        num_matched=texts.num_pairs,
        detection_recall=texts.num_pairs / len(words),
        end_to_end_recall=math.fsum(credits) / len(words),
        cer=texts.cer,
        accuracy=texts.accuracy,
    )


def confusions(pairs: Iterable[tuple[str, str]]) -> Confusions:
    """Count the edits of (reference, prediction) pairs."""
    substituted = Counter[tuple[str, str]]()
    occurred, deleted, inserted, wrong = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for reference, prediction in pairs:
        occurred.update(reference)
        for edit in Levenshtein.editops(reference, prediction):
            if edit.tag == "insert":
                inserted[prediction[edit.dest_pos]] += 1
                continue
            wrong[reference[edit.src_pos]] += 1
            if edit.tag == "delete":
                deleted[reference[edit.src_pos]] += 1
            else:
                substituted[reference[edit.src_pos], prediction[edit.dest_pos]] += 1
    never = Counter({character: count for character, count in occurred.items() if wrong[character] == count})
    by_count = sorted(substituted.items(), key=lambda item: (-item[1], item[0]))[:MOST]
    return Confusions(
        substituted=[Confusion(*characters, count) for characters, count in by_count],
        deleted=most_common(deleted)[:MOST],
        inserted=most_common(inserted)[:MOST],
        never_read=most_common(never),
    )


def most_common(counts: Counter[str]) -> list[CharacterCount]:
    """By falling count; equal ones in the order of their code points, whatever was met first."""
    return [CharacterCount(*item) for item in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def outside_alphabet(texts: Sequence[str], alphabet: Collection[str]) -> OutsideAlphabet:
    """The words among `texts` that hold a character outside `alphabet`."""
    known = frozenset(alphabet)
    missing = Counter(character for text in texts for character in text if character not in known)
    num_outside = sum(not known.issuperset(text) for text in texts)
    return OutsideAlphabet(
        num_words=len(texts),
        num_outside=num_outside,
        share=num_outside / len(texts) if texts else None,
        characters=most_common(missing)[:MOST],
    )
