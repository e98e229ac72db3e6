from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
import pytest

from ocr.charset import Charset, ks_x_1001, ks_x_1001_syllables, ks_x_1001_symbols, num_ctc_steps
from ocr.errors import UsageError
from ocr.networks.easyocr_files import charset_of, describe_alphabet


def test_korean_g2_is_the_published_alphabet() -> None:
    charset = charset_of("korean_g2")
    assert charset.num_classes == 1_009
    assert charset.encode(" !가힘") == [1, 2, 96, 1008]
    assert hashlib.sha256(charset.characters.encode()).hexdigest().startswith("426ab12b9217f783")


def test_ksx1001_adds_the_other_syllables_and_the_marks_of_documents_in_a_fixed_order() -> None:
    korean, extended = (charset_of(name).characters for name in ("korean_g2", "korean_g2+ksx1001"))
    assert extended.startswith(korean)
    assert len(extended) == 1_008 + 1_437 + 488
    assert hashlib.sha256(extended.encode()).hexdigest().startswith("62c3537f27b79b07")
    every_syllable = map(chr, range(0xAC00, 0xD7A4))
    assert set(extended) >= set(ks_x_1001_syllables()) == {each for each in every_syllable if in_two_bytes(each)}
    shown = "를됩㎡·ㆍ○●◎※「」『』〔〕《》〈〉【】☎℡①⑮㉠㉮ⓐ⑴℃□■△▲▽▼◇◆☆★→←↑↓…“”‘’～￦％‰№㈜ⅠⅩⅰ㎏㎞㏊㎥ℓ½§×÷±≤≥∴°′″"
    assert set(extended) >= set(shown)


def in_two_bytes(syllable: str) -> bool:
    """Python's euc_kr also spells syllables that are not in KS X 1001, in eight bytes."""
    return len(syllable.encode("euc_kr", errors="ignore")) == 2


def test_symbols_are_what_a_text_can_hold() -> None:
    """The standard's own Å and Ω are units, of which NFC makes letters. Nothing is invisible, or a Latin letter."""
    symbols = ks_x_1001_symbols()
    assert unicodedata.is_normalized("NFC", symbols)
    assert "\u212b" not in symbols and "\u00c5" in symbols
    assert "\u2126" not in symbols and "\u03a9" in symbols
    assert symbols.isprintable()
    assert not set(symbols) & set("０Ａａ　─あアЖα")


@pytest.mark.parametrize(
    ("character", "characters"),
    [
        ("가나", "가나"),
        ("+0가", "+0가"),  # a plus is a character
        ("가나+data", "가나漢㎡"),
        ("가나+data+data", "가나漢㎡"),
        ("+data", "가漢㎡"),
        ("가나+ksx1001", "가나" + ks_x_1001().replace("가", "").replace("나", "")),
        ("가나+ksx1001+data", "가나" + ks_x_1001().replace("가", "").replace("나", "") + "漢"),
        ("korean_g2+data", charset_of("korean_g2").characters + "漢㎡"),
    ],
)
def test_what_is_added_goes_to_the_end_once(character: str, characters: str) -> None:
    assert charset_of(character, of_data="가漢㎡").characters == characters


@pytest.mark.parametrize(
    ("character", "message"),
    [
        ("korean_g3", "character: 'korean_g3' is no model of EasyOCR, alone or with .*; did you mean 'korean_g2'?"),
        ("korean_g2+ksx", "character: 'korean_g2.ksx' is no model of EasyOCR, alone or with .ksx1001 or .data; did"),
        ("korean_g2+ksx1001+dat", "did you mean 'korean_g2'?"),
        ("arabic_g1", "arabic_g1: its alphabet is not read here: .* stands in the alphabet more than once; name"),
        ("bengali_g1", "bengali_g1: its alphabet is not read here: .* is not NFC, so no text ever holds it; name"),
    ],
)
def test_a_name_that_is_none_is_not_taken_for_characters(character: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        charset_of(character)


@pytest.mark.parametrize(
    ("character", "described"),
    [
        ("korean_g2", "korean_g2 (1,008 characters)"),
        ("korean_g2+ksx1001", "korean_g2+ksx1001 (2,933 characters)"),
        ("korean_g2+data", "korean_g2 and 1 more (1,009 characters)"),
        ("korean_g2+ksx1001+data", "korean_g2+ksx1001 and 1 more (2,934 characters)"),
        ("0123456789", "10 characters"),
    ],
)
def test_an_alphabet_is_known_by_its_name(character: str, described: str) -> None:
    assert describe_alphabet(charset_of(character, of_data="漢").characters) == described


def test_encode_and_decode_are_each_others_inverse() -> None:
    charset = Charset("가나다 ,")
    assert charset.decode(charset.encode("나, 가")) == "나, 가"


def test_missing_names_the_characters_outside_in_order() -> None:
    assert Charset("가나").missing("가를㎡나를") == "를㎡를"


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ([0, 0, 0], ""),
        ([1, 1, 1], "가"),
        ([1, 0, 1], "가가"),
        ([1, 2, 0, 2, 2], "가나나"),
        ([0, 3, 3, 0], "다"),
    ],
)
def test_greedy_collapses_repeats_then_drops_blanks(classes: list[int], text: str) -> None:
    assert Charset("가나다").decode_greedy(np.array([classes])) == [text]


@pytest.mark.parametrize(
    ("characters", "message"),
    [("", "empty"), ("가나가", "'가' stands in the alphabet more than once"), ("가\u212b", "NFC")],
)
def test_an_alphabet_that_cannot_work_is_refused(characters: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Charset(characters)


@pytest.mark.parametrize(("text", "steps"), [("", 0), ("가", 1), ("가나", 2), ("가가", 3), ("111", 5), ("1,100", 6)])
def test_ctc_needs_a_blank_between_equal_neighbors(text: str, steps: int) -> None:
    assert num_ctc_steps(text) == steps
