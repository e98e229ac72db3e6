"""From the network's logits to texts: greedy as EasyOCR's Reader does it, or by beam search."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import torch

from ocr.charset import BLANK, Charset
from ocr.config import Config
from ocr.decoding.attention_search import search_attention
from ocr.decoding.beam_search import BeamSearch, Candidates, likeliest, search_ctc
from ocr.decoding.ngrams import read_language_model
from ocr.errors import UsageError
from ocr.networks.architectures import Attention, RecognitionNetwork

Reading = tuple[str, float]
"""(text, confidence)"""


def read_input(
    model: RecognitionNetwork, input_BCHW: torch.Tensor, charset: Charset, beam: BeamSearch | None = None
) -> list[Reading]:
    """The text of each row of a network's input: greedy without `beam`."""
    features_BTD = model.features(input_BCHW)
    return read_features(model, features_BTD, model.predict(features_BTD), charset, beam)


def read_features(
    model: RecognitionNetwork,
    features_BTD: torch.Tensor,
    logits_BTC: torch.Tensor,
    charset: Charset,
    beam: BeamSearch | None,
) -> list[Reading]:
    """As `read_input`, for whoever has the features and the logits already."""
    if beam is None or not isinstance(model.Prediction, Attention):
        return read_logits(logits_BTC, charset, beam)
    found = search_attention(model.Prediction, features_BTD, beam)
    return [
        (chosen_text(candidates, charset, beam), confidence)
        for candidates, (_, confidence) in zip(found, decode_greedy(logits_BTC, charset), strict=True)
    ]


def read_logits(logits_BTC: torch.Tensor, charset: Charset, beam: BeamSearch | None = None) -> list[Reading]:
    """The text of each row of CTC logits: greedy without `beam`. The confidence is the greedy reading's either way."""
    readings = decode_greedy(logits_BTC, charset)
    if beam is None:
        return readings
    return [
        (chosen_text(candidates, charset, beam), confidence)
        for candidates, (_, confidence) in zip(search_ctc(logits_BTC, beam), readings, strict=True)
    ]


def beam_of(config: Config, charset: Charset) -> BeamSearch | None:
    """The config's `decode` with the files it names; None is greedy. Raises UsageError and DataError for the files."""
    if config.decode == "greedy":
        return None
    words = read_lexicon(Path(config.lexicon)) if config.lexicon else frozenset()
    return BeamSearch(
        width=config.beam_width,
        language_model=read_language_model(Path(config.language_model), charset) if config.language_model else None,
        weight=config.language_model_weight,
        lexicon=words if config.sensitive else frozenset(word.lower() for word in words),
    )


def read_lexicon(path: Path) -> frozenset[str]:
    """The words of a UTF-8 file, one a line, as NFC."""
    try:
        words = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read as a lexicon ({error}); give a UTF-8 file of one word a line"
        ) from error
    return frozenset(unicodedata.normalize("NFC", word.strip()) for word in words if word.strip())


def chosen_text(candidates: Candidates, charset: Charset, beam: BeamSearch) -> str:
    """The best text; with a lexicon the best of which it holds every word, where there is one."""
    texts = [charset.decode(classes) for classes, _ in candidates]
    return next((text for text in texts if beam.lexicon and in_lexicon(text, beam.lexicon)), texts[0])


def in_lexicon(text: str, lexicon: frozenset[str]) -> bool:
    """Whether every word of a text is in the lexicon, or has no letter: no lexicon lists all numbers and dates."""
    words = text.split()
    return bool(words) and all(word in lexicon or not any(map(str.isalpha, word)) for word in words)


def decode_greedy(logits_BTC: torch.Tensor, charset: Charset) -> list[Reading]:
    """The text and EasyOCR's confidence of each row.

    Confidence: the product p of the largest probability of each frame that is not blank, to the power 2 / sqrt(n) for
    n such frames (EasyOCR's `custom_mean`); 0 where all frames are blank. It depends on the length: not a probability.
    """
    classes_BT = likeliest(logits_BTC)
    rows, frames = np.nonzero(classes_BT != BLANK)
    read_NC = logits_BTC[torch.from_numpy(rows), torch.from_numpy(frames)].float()  # most frames are blank
    log_probs_N = (read_NC.amax(dim=1) - read_NC.logsumexp(dim=1)).double().cpu().numpy()
    sums_B = np.bincount(rows, log_probs_N, minlength=len(classes_BT))
    numbers_B = np.bincount(rows, minlength=len(classes_BT))
    products_B = np.exp(sums_B).astype(np.float32).astype(np.float64)  # of a long line it may be 0, as EasyOCR's
    confidences_B = np.where(numbers_B > 0, products_B ** (2.0 / np.sqrt(np.maximum(numbers_B, 1))), 0.0)
    return list(zip(charset.decode_greedy(classes_BT), confidences_B.tolist(), strict=True))
