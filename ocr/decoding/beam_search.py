"""CTC prefix beam search in log space, over a whole batch at once.

Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012, section 7.5; Hannun et al., "First-Pass
Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", 2014, algorithm 1.

A beam is a text begun, with the probability of all alignments that give it: those that end in a blank apart from
those that end in its last character. At each frame a beam stays as it is, by a blank or by its last character again,
or grows by one character. A text that stays may also be what another one grows to; their probabilities are added. The
rows of the batch go through the frames together, as arrays of B rows, K beams and M classes to grow by.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import torch

from ocr.charset import BLANK, written_frames
from ocr.decoding.ngrams import LanguageModel

MIN_PROB = 1e-3  # a beam does not grow by a character less likely than this,
MAX_CLASSES = 8  # nor by more characters than this at one frame
NOBODY = -1  # the parent of the empty text
NO_CLASS = -1  # fills the places of classes that are not likely
# Texts are told apart by 64-bit numbers, each made from its parent's; the factor is 2**64 / golden ratio, odd.
NUMBER_FACTOR = np.int64(-0x61C8864680B583EB)


class BeamSearch(msgspec.Struct, frozen=True):
    """How texts are searched for: `width` of them are pursued at once.

    `weight` multiplies the log probabilities of the language model, whose mean per character is taken off first, so
    that neither long nor short texts are favored.
    """

    width: int = 10
    language_model: LanguageModel | None = None
    weight: float = 0.0
    lexicon: frozenset[str] = frozenset()

    def bonus(self, states: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(what the language model adds to the score, its state afterwards), for arrays of one shape."""
        if self.language_model is None:
            return np.zeros(states.shape), states
        log_probs, after = self.language_model.score(states, classes)
        return self.weight * (log_probs - self.language_model.mean_log_prob), after

    @property
    def start(self) -> int:
        return self.language_model.start if self.language_model else 0


class Frames(NamedTuple):
    """Log probabilities, and of each frame the classes that beams may grow by, likeliest first."""

    log_probs_BTC: np.ndarray
    classes_BTM: np.ndarray
    class_log_probs_BTM: np.ndarray

    def at(self, frame: int, num_rows: int) -> Frames:
        """One frame of the first rows, without the axis T."""
        return Frames(*(part[:num_rows, frame] for part in self))


class Beams(NamedTuple):
    """The texts begun, (B, K) each.

    `text` is a text's number, `parent` that of the text it grew from, `last` its last class. `blank` and `no_blank`
    are the log probabilities of its alignments, `bonus` is what the language model adds, `state` where that stands.
    """

    text: np.ndarray
    parent: np.ndarray
    last: np.ndarray
    blank: np.ndarray
    no_blank: np.ndarray
    bonus: np.ndarray
    state: np.ndarray


Candidates = list[tuple[list[int], float]]
"""Texts of one row as classes, with their scores, best first."""


def search_ctc(logits_BTC: torch.Tensor, beam: BeamSearch) -> list[Candidates]:
    """The best texts of each row by log P(text | image) + the language model's bonus; all with a lexicon, else one.

    Where the language has no say, a row is not searched whose best alignment has more than half of all probability:
    its text cannot be beaten. The score is then that alignment's.
    """
    log_probs_BTC = logits_BTC.float().log_softmax(dim=2).cpu()
    classes_BT, best_BT = likeliest(log_probs_BTC), log_probs_BTC.amax(dim=2).numpy()
    scores_B = best_BT.sum(axis=1)
    searched_B = (scores_B <= np.log(0.5)) | (beam.language_model is not None) | bool(beam.lexicon)
    candidates: list[Candidates] = []
    for classes, written, score in zip(classes_BT, written_frames(classes_BT), scores_B.tolist(), strict=True):
        candidates.append([(classes[written].tolist(), score)])
    if searched_B.any():
        rows = np.flatnonzero(searched_B)
        found = search_rows(log_probs_BTC[rows], classes_BT[rows], best_BT[rows], beam)
        for row, of_row in zip(rows, found, strict=True):
            candidates[row] = of_row
    return candidates


def likeliest(logits_BTC: torch.Tensor) -> np.ndarray:
    """The best class of each frame, (B, T)."""
    if logits_BTC.device.type == "cpu":
        return np.asarray(logits_BTC.numpy().argmax(axis=2))  # several times as quick as torch's
    return logits_BTC.argmax(dim=2).cpu().numpy()


def search_rows(
    log_probs_BTC: torch.Tensor, classes_BT: np.ndarray, best_BT: np.ndarray, beam: BeamSearch
) -> list[Candidates]:
    """`search_ctc` of rows whose likeliest classes and their log probabilities are known."""
    longest_first, frames_BT, num_rows_T = without_repeats(classes_BT, best_BT)
    frames = frames_of(log_probs_BTC[torch.from_numpy(longest_first)[:, None], torch.from_numpy(frames_BT)])
    beams = first_beams(len(log_probs_BTC), beam)
    sources = np.tile(np.arange(beam.width), (len(num_rows_T), len(log_probs_BTC), 1))
    grown_by = np.full_like(sources, BLANK)
    for step, number in enumerate(num_rows_T):  # rows leave from the end as they run out of frames
        now = Beams(*(part[:number] for part in beams))
        now, sources[step, :number], grown_by[step, :number] = advance(now, frames.at(step, number), beam)
        for part, new in zip(beams, now, strict=True):
            part[:number] = new
    ends, _ = beam.bonus(beams.state, np.full_like(beams.state, BLANK))
    scores = np.logaddexp(beams.blank, beams.no_blank) + beams.bonus + ends
    found = traced_texts(sources, grown_by, scores, beam.width if beam.lexicon else 1)
    return [found[place] for place in np.argsort(longest_first)]


def without_repeats(classes_BT: np.ndarray, best_BT: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(rows, those with most frames first; the frames of each that differ from the one before; how many rows have a
    first, a second, … such frame).

    A frame that is as sure of its class as `MIN_PROB` allows, and of the same class as the one before, changes no
    text: most frames are such blanks. Behind a row's last frame stand others, which nobody looks at.
    """
    sure_BT = best_BT >= np.log1p(-MIN_PROB)
    kept_BT = np.ones_like(sure_BT)
    kept_BT[:, 1:] = ~(sure_BT[:, 1:] & sure_BT[:, :-1] & (classes_BT[:, 1:] == classes_BT[:, :-1]))
    num_frames_B = kept_BT.sum(axis=1)
    rows_B = np.argsort(-num_frames_B, kind="stable")
    frames_BT = np.argsort(~kept_BT[rows_B], axis=1, kind="stable")[:, : num_frames_B.max()]
    num_rows_T = (num_frames_B[:, None] > np.arange(frames_BT.shape[1])).sum(axis=0)
    return rows_B, frames_BT, num_rows_T.tolist()


def frames_of(log_probs_BTC: torch.Tensor) -> Frames:
    """The likely classes of each frame; few are, so they are looked up by a threshold, which is quicker than a sort."""
    num_rows, num_frames, num_classes = log_probs_BTC.shape
    flat = log_probs_BTC.reshape(num_rows * num_frames, num_classes).numpy()
    frame, place = np.nonzero(flat[:, 1:] > np.log(MIN_PROB))
    log_probs = flat[frame, place + 1]
    likeliest_first = np.lexsort((-log_probs, frame))
    frame, place, log_probs = frame[likeliest_first], place[likeliest_first], log_probs[likeliest_first]
    counts = np.bincount(frame, minlength=len(flat))
    rank = np.arange(len(frame)) - (np.cumsum(counts) - counts)[frame]
    width = max(1, min(MAX_CLASSES, int(counts.max(initial=0))))
    kept = rank < width
    classes = np.full((len(flat), width), NO_CLASS)
    class_log_probs = np.full((len(flat), width), -np.inf)
    classes[frame[kept], rank[kept]] = place[kept] + 1
    class_log_probs[frame[kept], rank[kept]] = log_probs[kept]
    shape = (num_rows, num_frames, -1)
    return Frames(log_probs_BTC.numpy(), classes.reshape(shape), class_log_probs.reshape(shape))


def first_beams(num_rows: int, beam: BeamSearch) -> Beams:
    """The empty text; the other places are impossible until texts grow into them."""
    shape = (num_rows, beam.width)
    blank = np.full(shape, -np.inf)
    blank[:, 0] = 0.0
    return Beams(
        text=np.tile(np.arange(beam.width), (num_rows, 1)),
        parent=np.full(shape, NOBODY),
        last=np.full(shape, BLANK),
        blank=blank,
        no_blank=np.full(shape, -np.inf),
        bonus=np.zeros(shape),
        state=np.full(shape, beam.start),
    )


def advance(beams: Beams, frame: Frames, beam: BeamSearch) -> tuple[Beams, np.ndarray, np.ndarray]:
    """(the beams after one more frame, which beam each was before, the class it grew by or 0), (B, K) each."""
    num_likely = max(1, int((frame.classes_BTM != NO_CLASS).sum(axis=1).max()))
    classes_BM = frame.classes_BTM[:, :num_likely]
    blank, no_blank, grown_BKM = alignments(beams, frame, classes_BM)
    bonus_BKM, state_BKM = grown_bonus(beams, classes_BM, grown_BKM, beam)
    stay = np.logaddexp(blank, no_blank) + beams.bonus
    scores = np.concatenate([stay, (grown_BKM + bonus_BKM).reshape(len(stay), -1)], axis=1)
    best_BK = np.argpartition(-scores, beam.width - 1, axis=1)[:, : beam.width]

    rows = np.arange(len(stay))[:, None]
    grows = best_BK >= beam.width
    source, place = np.divmod(np.where(grows, best_BK - beam.width, best_BK * num_likely), num_likely)
    here, there = (rows, source), (rows, source, place)
    grown_by = np.where(grows, classes_BM[rows, place], BLANK)
    text = beams.text[here]
    advanced = Beams(
        text=np.where(grows, (text ^ grown_by) * NUMBER_FACTOR, text),
        parent=np.where(grows, text, beams.parent[here]),
        last=np.where(grows, grown_by, beams.last[here]),
        blank=np.where(grows, -np.inf, blank[here]),
        no_blank=np.where(grows, grown_BKM[there], no_blank[here]),
        bonus=np.where(grows, bonus_BKM[there], beams.bonus[here]),
        state=np.where(grows, state_BKM[there], beams.state[here]),
    )
    return without_the_dead(advanced, scores[rows, best_BK]), source, grown_by


def alignments(beams: Beams, frame: Frames, classes_BM: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log probabilities after one more frame: a beam stays, by a blank or not, (B, K) each; it grows, (B, K, M)."""
    rows = np.arange(len(classes_BM))[:, None]
    total = np.logaddexp(beams.blank, beams.no_blank)
    last_log_probs = np.where(beams.last == BLANK, -np.inf, frame.log_probs_BTC[rows, beams.last])
    log_probs_BM = frame.class_log_probs_BTM[:, : classes_BM.shape[1]]
    again_BKM = beams.last[:, :, None] == classes_BM[:, None, :]  # the same character twice needs a blank between
    grown_BKM = log_probs_BM[:, None, :] + np.where(again_BKM, beams.blank[:, :, None], total[:, :, None])
    no_blank = beams.no_blank + last_log_probs

    # Where a beam is what another one grows to, the growth is counted there and nowhere else.
    row, parent, child = np.nonzero(beams.text[:, :, None] == beams.parent[:, None, :])
    last = beams.last[row, child]
    before = np.where(beams.last[row, parent] == last, beams.blank[row, parent], total[row, parent])
    no_blank[row, child] = np.logaddexp(no_blank[row, child], before + last_log_probs[row, child])
    pair, place = np.nonzero(classes_BM[row] == last[:, None])
    grown_BKM[row[pair], parent[pair], place] = -np.inf
    return total + frame.log_probs_BTC[:, BLANK, None], no_blank, grown_BKM


def grown_bonus(
    beams: Beams, classes_BM: np.ndarray, grown_BKM: np.ndarray, beam: BeamSearch
) -> tuple[np.ndarray, np.ndarray]:
    """The bonus and the language model's state of each beam when it grows, (B, K, M); asked for what is possible."""
    shape = grown_BKM.shape
    bonus_BKM = np.broadcast_to(beams.bonus[:, :, None], shape)
    state_BKM = np.broadcast_to(beams.state[:, :, None], shape)
    if beam.language_model is None:
        return bonus_BKM, state_BKM
    possible = np.isfinite(grown_BKM)
    classes = np.broadcast_to(classes_BM[:, None, :], shape)[possible]
    bonus_BKM, state_BKM = bonus_BKM.copy(), state_BKM.copy()
    added, state_BKM[possible] = beam.bonus(state_BKM[possible], classes)
    bonus_BKM[possible] += added
    return bonus_BKM, state_BKM


def without_the_dead(beams: Beams, scores: np.ndarray) -> Beams:
    """Impossible texts get numbers of their own, so that no possible one is joined with them."""
    dead = np.isneginf(scores)
    numbers = np.arange(scores.shape[1])[None]
    return beams._replace(text=np.where(dead, numbers, beams.text), parent=np.where(dead, NOBODY, beams.parent))


def traced_texts(sources: np.ndarray, grown_by: np.ndarray, scores: np.ndarray, number: int) -> list[Candidates]:
    """Follow the `number` best beams back from the last step: (steps, B, K) twice and scores (B, K) -> texts."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :number]
    rows = np.arange(len(scores))[:, None]
    beam, classes = order, np.zeros((*order.shape, len(sources)), dtype=np.int64)
    for step in reversed(range(len(sources))):
        classes[:, :, step] = grown_by[step][rows, beam]
        beam = sources[step][rows, beam]
    return [
        [(text[text != BLANK].tolist(), score) for text, score in zip(texts, of_row, strict=True) if score > -np.inf]
        for texts, of_row in zip(classes, scores[rows, order].tolist(), strict=True)
    ]
