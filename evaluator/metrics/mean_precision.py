"""Average precision (COCO's mAP) and mean GIoU: detection as object detectors are judged.

Source: Lin et al., Microsoft COCO, 2014, and its evaluation code: per page and threshold, predictions by falling
confidence take the reference they overlap most, and precision is averaged over 101 recall levels. No page is cut to
its 100 best predictions, as COCO's are. Words without a confidence have 1: they come all at once, and the average
precision of such a system is its precision up to its recall.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from evaluator.metrics.end_to_end import PageReading
from evaluator.metrics.figures import Sums, number, ratio
from evaluator.metrics.matching import iou, on_dont_care

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALL_LEVELS = np.linspace(0, 1, 101)


class DetectionExtra(msgspec.Struct, frozen=True, kw_only=True):
    """What the seed's references name beside precision and recall; none of it is in scores.json.

    `ap_…` over all counted references, None without any; `mean_giou` over the matched pairs, None without any.
    """

    ap_50: float | None
    ap_75: float | None
    ap_50_95: float | None
    mean_giou: float | None


def detection_extra(readings: Sequence[PageReading], sums: Sums) -> DetectionExtra:
    """`sums` are the totals of the same pages."""
    precisions = average_precisions(readings)
    return DetectionExtra(
        ap_50=precisions[THRESHOLDS.index(0.5)] if precisions else None,
        ap_75=precisions[THRESHOLDS.index(0.75)] if precisions else None,
        ap_50_95=sum(precisions) / len(precisions) if precisions else None,
        mean_giou=number(ratio(sums.giou, sums.num_matched)),
    )


def average_precisions(readings: Sequence[PageReading]) -> list[float]:
    """The average precision at each of `THRESHOLDS`; nothing where no page has a reference."""
    num_reference = sum(reading.num_reference for reading in readings)
    if not num_reference:
        return []
    confidences = np.concatenate([reading.prediction.confidences_N for reading in readings])
    fates = [page_fates(reading) for reading in readings]
    hits_TM = np.concatenate([hits for hits, _ in fates], axis=1)
    counted_TM = np.concatenate([counted for _, counted in fates], axis=1)
    return [
        average_precision(confidences[counted], hits[counted], num_reference)
        for hits, counted in zip(hits_TM, counted_TM, strict=True)
    ]


def page_fates(reading: PageReading) -> tuple[np.ndarray, np.ndarray]:
    """Which predictions hit a reference, and which count at all, bool (T, M) both; T are the thresholds."""
    cared = np.flatnonzero(~reading.reference.dont_care_N)
    iou_NM = iou(reading.reference.boxes_N4[cared], reading.prediction.boxes_N4)
    order = np.argsort(-reading.prediction.confidences_N, kind="stable").tolist()
    candidates = [by_falling_iou(iou_NM[:, prediction]) for prediction in range(iou_NM.shape[1])]
    hits_TM = np.zeros((len(THRESHOLDS), len(order)), dtype=bool)
    for hits_M, threshold in zip(hits_TM, THRESHOLDS, strict=True):
        taken: set[int] = set()
        for prediction in order:
            free = (place for place, overlap in candidates[prediction] if overlap >= threshold and place not in taken)
            if (found := next(free, None)) is not None:
                taken.add(found)
                hits_M[prediction] = True
    return hits_TM, hits_TM | ~on_dont_care(reading.reference, reading.prediction)


def by_falling_iou(iou_N: np.ndarray) -> list[tuple[int, float]]:
    """(reference, IoU) of those that the lowest threshold allows."""
    places = np.flatnonzero(iou_N >= THRESHOLDS[0])
    return sorted(zip(places.tolist(), iou_N[places].tolist(), strict=True), key=lambda found: -found[1])


def average_precision(confidences_M: np.ndarray, hits_M: np.ndarray, num_reference: int) -> float:
    """The mean over 101 recall levels of the best precision at that recall or a higher one.

    Predictions of one confidence come together: nothing says which of them is the surer one.
    """
    order = np.argsort(-confidences_M, kind="stable")
    confidences_M, hits_M = confidences_M[order], hits_M[order]
    lasts = np.flatnonzero(np.append(np.diff(confidences_M) != 0, len(confidences_M) > 0))
    num_hits = np.cumsum(hits_M)[lasts]
    recall, precision = num_hits / num_reference, num_hits / (lasts + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(recall, RECALL_LEVELS, side="left")
    return float(np.append(best, 0.0)[reached].mean())
