"""Beam search over what an attention writes, one character after another, for a whole batch at once."""

from __future__ import annotations

import numpy as np
import torch

from ocr.charset import BLANK
from ocr.decoding.beam_search import MAX_CLASSES, BeamSearch, Candidates
from ocr.networks.architectures import Attention


def search_attention(attention: Attention, features_BTD: torch.Tensor, beam: BeamSearch) -> list[Candidates]:
    """The `beam.width` best texts of each row by log P(text | image) + the language model's bonus, best first.

    A text is as likely as its characters and its end together. It has at most T + 1 characters.
    """
    num_rows, num_steps, _ = features_BTD.shape
    features = features_BTD.repeat_interleave(beam.width, dim=0)
    keys, state = attention.attention_cell.look(features), attention.start(features)
    previous = torch.full_like(features[:, 0, 0], attention.BEGIN, dtype=torch.long)
    rows = np.arange(num_rows)[:, None]
    texts = np.zeros((num_rows, beam.width, num_steps + 1), dtype=np.int64)
    scores = np.full((num_rows, beam.width), -np.inf)
    scores[:, 0] = 0.0
    ended = np.zeros(scores.shape, dtype=bool)
    language = np.full(scores.shape, beam.start)
    for step in range(num_steps + 1):
        logits, state = attention.step(features, keys, state, previous)
        classes, grown, language_BKM = extensions(logits, scores, ended, language, beam)
        source, place = best_of(grown, beam.width)
        chosen = classes[rows, source, place]
        texts = texts[rows, source]
        texts[:, :, step] = chosen
        scores, language = grown[rows, source, place], language_BKM[rows, source, place]
        ended = ended[rows, source] | (chosen == BLANK)
        if ended.all():
            break
        taken = torch.from_numpy((rows * beam.width + source).ravel()).to(features.device)
        state = (state[0][taken], state[1][taken])
        previous = torch.from_numpy(chosen.ravel() + attention.END).to(features.device)
    return [
        [(text[text != BLANK].tolist(), score) for text, score in zip(*row, strict=True) if score > -np.inf]
        for row in zip(texts, scores.tolist(), strict=True)
    ]


def extensions(
    logits: torch.Tensor, scores_BK: np.ndarray, ended_BK: np.ndarray, language_BK: np.ndarray, beam: BeamSearch
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the charset's classes that each text may go on with, the scores then, the language model's states), (B, K, M).

    Class 0 is the end; a text that has ended stays as it is.
    """
    log_probs = logits[:, Attention.END :].float().log_softmax(dim=1)  # a text does not begin twice
    best = log_probs.topk(min(MAX_CLASSES, log_probs.shape[1]), dim=1)
    shape = (*scores_BK.shape, -1)
    classes = best.indices.cpu().numpy().reshape(shape)
    added = best.values.cpu().numpy().astype(np.float64).reshape(shape)
    states = np.broadcast_to(language_BK[:, :, None], classes.shape)
    bonus, states_after = beam.bonus(states, classes)
    added = added + bonus
    classes[ended_BK], added[ended_BK] = BLANK, -np.inf
    added[:, :, 0][ended_BK] = 0.0
    return classes, scores_BK[:, :, None] + added, states_after


def best_of(grown_BKM: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(beam, place) of the `width` best, best first, (B, width) each."""
    flat = grown_BKM.reshape(len(grown_BKM), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :width]
    beam, place = np.divmod(order, grown_BKM.shape[2])
    return beam, place
