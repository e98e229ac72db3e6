"""Texts from logits: greedy is the Reader's, a beam search is exact where the exact answer can be counted out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from easyocr.recognition import recognizer_predict
from easyocr.utils import CTCLabelConverter
from easyocr_en_models import model_dir

from ocr.backends import TorchBackend
from ocr.charset import BLANK, Charset
from ocr.config import Config
from ocr.decoding.attention_search import search_attention
from ocr.decoding.beam_search import BeamSearch, search_ctc
from ocr.decoding.decode import beam_of, decode_greedy, read_input, read_logits
from ocr.decoding.ngrams import make_language_model, save_language_model
from ocr.errors import UsageError
from ocr.networks.architectures import Attention
from ocr.networks.network import Network, build_model
from ocr.networks.weight_files import read_weights
from ocr.patch import fit, pad_batch, reader_width, to_input
from tests.trainer.conftest import drawn

ENGLISH = Path(model_dir()) / "english_g2.pth"
LINES = [
    "the quick brown fox jumps over the lazy dog",
    "No. 42-7, Sejong-daero 110, Jung-gu, Seoul",
    "Minister of the Interior and Safety, 1999",
    "l",
    "3,000",
]


@pytest.fixture(scope="module")
def english() -> TorchBackend:
    return TorchBackend(read_weights(ENGLISH))


@pytest.fixture(scope="module")
def line_logits(english: TorchBackend) -> list[torch.Tensor]:
    """english_g2's logits of each of LINES, (1, T, 97)."""
    patches = [drawn(line) for line in LINES]
    return [english.logits(pad_batch([fit(patch)], reader_width(patch))) for patch in patches]


def test_greedy_is_the_readers(english: TorchBackend, line_logits: list[torch.Tensor]) -> None:
    converter = CTCLabelConverter(english.charset.characters)
    for line, logits in zip(LINES, line_logits, strict=True):
        inputs = to_input(torch.from_numpy(pad_batch([fit(drawn(line))], reader_width(drawn(line)))))
        ((theirs, their_confidence),) = recognizer_predict(english.model, converter, [inputs], 25, [], {})
        ((ours, our_confidence),) = decode_greedy(logits, english.charset)
        assert ours == theirs
        assert our_confidence == pytest.approx(their_confidence, rel=1e-4)


@pytest.mark.parametrize(
    ("classes", "confidence"),
    [([0, 0], 0.0), ([1, 0], 0.9**2), ([1, 1], 0.81 ** (2 / math.sqrt(2))), ([1, 2], 0.81 ** (2 / math.sqrt(2)))],
)
def test_confidence_is_easyocrs_mean(classes: list[int], confidence: float) -> None:
    probabilities = torch.full((1, 2, 3), 0.05)
    probabilities[0, range(2), classes] = 0.9
    ((_, found),) = decode_greedy(probabilities.log(), Charset("ab"))
    assert found == pytest.approx(confidence)


def counted_out(log_probs_TC: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every text, by summing over every alignment."""
    texts: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(log_probs_TC.shape[1]), repeat=len(log_probs_TC)):
        collapsed = tuple(c for i, c in enumerate(path) if c != BLANK and (i == 0 or c != path[i - 1]))
        texts[collapsed] += math.exp(sum(log_probs_TC[step, class_] for step, class_ in enumerate(path)))
    return texts


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_ctc_beam_is_exact(seed: int) -> None:
    logits = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(seed))
    found = search_ctc(logits, BeamSearch(width=1200, lexicon=frozenset({"all are asked for"})))
    for row, candidates in zip(logits.log_softmax(2).double().numpy(), found, strict=True):
        expected = counted_out(row)
        assert {tuple(classes) for classes, _ in candidates} == expected.keys()
        for classes, score in candidates:
            assert math.exp(score) == pytest.approx(expected[tuple(classes)], abs=1e-6)
        assert [score for _, score in candidates] == sorted((score for _, score in candidates), reverse=True)


def plain_beams(log_probs: Sequence[Sequence[float]], width: int) -> list[tuple[int, ...]]:
    """Prefix beam search as the textbook writes it: a dict of texts, every class, one row."""
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for frame in log_probs:
        grown: dict[tuple[int, ...], tuple[float, float]] = defaultdict(lambda: (-math.inf, -math.inf))
        for text, (blank, no_blank) in beams.items():
            total = np.logaddexp(blank, no_blank)
            repeated = no_blank + frame[text[-1]] if text else -math.inf
            grown[text] = (np.logaddexp(grown[text][0], total + frame[BLANK]), np.logaddexp(grown[text][1], repeated))
            for class_, log_prob in enumerate(frame):
                if class_ != BLANK:
                    before = blank if text and text[-1] == class_ else total
                    old = grown[(*text, class_)]
                    grown[(*text, class_)] = (old[0], np.logaddexp(old[1], before + log_prob))
        beams = dict(sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))[:width])
    return list(beams)


def test_a_ctc_beam_is_the_textbooks_on_real_logits(line_logits: list[torch.Tensor]) -> None:
    for logits in line_logits[1::2]:
        noisy = logits + 1.5 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
        ((classes, _),) = search_ctc(noisy, BeamSearch(width=5))[0]
        assert tuple(classes) == plain_beams(noisy[0].log_softmax(1).double().tolist(), 5)[0]


def test_a_ctc_beam_does_not_cut_long_lines(english: TorchBackend, line_logits: list[torch.Tensor]) -> None:
    """EasyOCR's multiplies float32 probabilities, which underflow."""
    long_logits = torch.cat([line_logits[0]] * 4, dim=1)
    ((text, _),) = read_logits(long_logits, english.charset, BeamSearch(width=5))
    assert text == decode_greedy(long_logits, english.charset)[0][0]
    with np.errstate(all="ignore"):
        theirs = CTCLabelConverter(english.charset.characters).decode_beamsearch(long_logits.softmax(2).numpy(), 5)
    assert len(theirs[0]) < len(text)


def test_rows_of_a_batch_do_not_touch(line_logits: list[torch.Tensor]) -> None:
    width = max(logits.shape[1] for logits in line_logits)
    blank = torch.tensor([30.0] + [0.0] * 96).expand(1, width, 97)
    padded = [torch.cat([logits, blank[:, logits.shape[1] :]], dim=1) for logits in line_logits]
    together = search_ctc(torch.cat(padded), BeamSearch(width=4))
    alone = [search_ctc(logits, BeamSearch(width=4))[0] for logits in padded]
    for first, second in zip(together, alone, strict=True):
        assert [classes for classes, _ in first] == [classes for classes, _ in second]
        assert [score for _, score in first] == pytest.approx([score for _, score in second], abs=1e-4)


def test_the_language_model_decides_what_the_image_does_not(tmp_path: Path) -> None:
    charset = Charset("시청군정 0O")
    language = make_language_model(["시청", "군청", "시정", "군정", "100"] * 20 + ["시청"] * 100, charset)
    frames = torch.zeros(1, 4, charset.num_classes)
    frames[0, 0, charset.class_of["시"]] = frames[0, 1, BLANK] = frames[0, 3, BLANK] = 12.0
    frames[0, 2, charset.class_of["O"]], frames[0, 2, charset.class_of["청"]] = 12.0, 11.5
    assert read_logits(frames, charset, BeamSearch())[0][0] == "시O"
    assert read_logits(frames, charset, BeamSearch(language_model=language, weight=0.3))[0][0] == "시청"
    assert read_logits(frames, charset, BeamSearch(language_model=language, weight=0.0))[0][0] == "시O"


@pytest.mark.parametrize(
    ("lexicon", "text"),
    [(set(), "시O 12."), ({"시청"}, "시청 12."), ({"군청"}, "시O 12."), ({"시O", "시청"}, "시O 12.")],
)
def test_the_lexicon_prefers_texts_of_its_words(lexicon: set[str], text: str) -> None:
    charset = Charset("시청군 O12.")
    frames = torch.full((1, 6, charset.num_classes), -8.0)
    for step, character in enumerate("시O 12."):
        frames[0, step, charset.class_of[character]] = 8.0
    frames[0, 1, charset.class_of["청"]] = 6.0
    assert read_logits(frames, charset, BeamSearch(lexicon=frozenset(lexicon)))[0][0] == text


def attention_model(seed: int = 0) -> tuple[torch.nn.Module, Charset, torch.Tensor]:
    torch.manual_seed(seed)
    charset = Charset("abc")
    made_of = Network(32, 1, 16, 8, SequenceModeling="None", Prediction="Attn")
    model = build_model(made_of, charset.num_classes).eval()
    assert isinstance(model.Prediction, Attention)
    model.Prediction.generator.weight.data.mul_(20)
    return model, charset, torch.randn(5, 1, 32, 16)


@pytest.mark.parametrize("seed", range(3))
@torch.inference_mode()
def test_a_wide_attention_beam_is_exact(seed: int) -> None:
    """Three time steps, so at most four characters: every text can be taught, and its probability read off."""
    model, charset, inputs = attention_model(seed)
    assert isinstance(model.Prediction, Attention)
    features = model.features(inputs)  # type: ignore[operator]
    found = search_attention(model.Prediction, features, BeamSearch(width=150))
    texts = [text for length in range(4) for text in product(range(1, 4), repeat=length)]
    for row, candidates in enumerate(found):
        scores = {tuple(classes): score for classes, score in candidates}
        for text in texts:
            taught = torch.tensor([[Attention.BEGIN, *(class_ + Attention.END for class_ in text)]])
            logits = model.Prediction(features[row : row + 1], taught)[0, :, Attention.END :].log_softmax(1)
            expected = sum(float(logits[step, class_]) for step, class_ in enumerate((*text, BLANK)))
            assert scores[text] == pytest.approx(expected, abs=1e-4)
    assert [text for text, _ in read_input(model, inputs, charset, BeamSearch(width=150))] == [  # type: ignore[arg-type]
        charset.decode(candidates[0][0]) for candidates in found
    ]


@torch.inference_mode()
def test_an_attention_beam_of_one_is_greedy() -> None:
    model, charset, inputs = attention_model()
    readings = [read_input(model, inputs, charset, beam) for beam in (None, BeamSearch(width=1))]  # type: ignore[arg-type]
    assert readings[0] == readings[1]


def test_the_config_decides(tmp_path: Path) -> None:
    charset = Charset("가나다")
    assert beam_of(Config(), charset) is None
    save_language_model(make_language_model(["가나"], charset), tmp_path / "lm.npz")
    (tmp_path / "words.txt").write_text("가나\n\n 다나 \n", encoding="utf-8-sig")
    config = Config(
        decode="beamsearch",
        beam_width=7,
        lexicon=str(tmp_path / "words.txt"),
        language_model=str(tmp_path / "lm.npz"),
        language_model_weight=0.2,
    )
    beam = beam_of(config, charset)
    assert beam is not None and beam.language_model is not None
    assert (beam.width, beam.weight, beam.lexicon) == (7, 0.2, frozenset({"가나", "다나"}))
    with pytest.raises(UsageError, match=r"lm.npz: made for an alphabet of 3 characters, not for this one of 2"):
        beam_of(config, Charset("가나"))
    (tmp_path / "words.txt").write_text("Seoul", encoding="utf-8")
    for sensitive, words in ((True, {"Seoul"}), (False, {"seoul"})):
        lower = beam_of(msgspec.structs.replace(config, sensitive=sensitive), charset)
        assert lower is not None and lower.lexicon == words
    (tmp_path / "words.txt").unlink()
    with pytest.raises(UsageError, match=r"words.txt: cannot be read as a lexicon .*; give a UTF-8 file"):
        beam_of(config, charset)
