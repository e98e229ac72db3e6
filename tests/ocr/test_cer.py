from __future__ import annotations

import pytest

from ocr.cer import TextCounts


@pytest.mark.parametrize(
    ("pairs", "cer", "cer_macro", "accuracy", "one_minus_ned"),
    [
        ([], None, None, None, None),
        ([("김해시", "김해시")], 0.0, 0.0, 1.0, 1.0),
        ([("결 재", "결재")], 1 / 3, 1 / 3, 0.0, 2 / 3),
        ([("가", "나다라")], 3.0, 3.0, 0.0, 0.0),
        ([("가나다라", "가나다라"), ("마", "")], 1 / 5, 1 / 2, 1 / 2, 1 / 2),
        ([("", "")], None, 0.0, 1.0, 1.0),
        ([("", "나다"), ("마", "마")], 2.0, 1 / 2, 1 / 2, 1 / 2),
    ],
)
def test_figures_of_pairs(
    pairs: list[tuple[str, str]],
    cer: float | None,
    cer_macro: float | None,
    accuracy: float | None,
    one_minus_ned: float | None,
) -> None:
    counts = TextCounts()
    for reference, prediction in pairs:
        counts.add(reference, prediction)
    assert (counts.cer, counts.cer_macro, counts.accuracy) == (cer, cer_macro, accuracy)
    assert counts.one_minus_ned == (None if one_minus_ned is None else pytest.approx(one_minus_ned))
    at_once = TextCounts()
    edits = at_once.add_all([reference for reference, _ in pairs], [prediction for _, prediction in pairs])
    assert at_once == counts
    assert sum(edits) == counts.num_edits


def test_merged_counts_are_the_counts_of_all_pairs() -> None:
    pairs = [("김해시", "김해"), ("시민을", "시민을"), ("1,000", "1000")]
    whole, merged = TextCounts(), TextCounts()
    for reference, prediction in pairs:
        whole.add(reference, prediction)
        part = TextCounts()
        part.add(reference, prediction)
        merged.merge(part)
    assert merged == whole
