"""Which predicted box is which reference box."""

from __future__ import annotations

import numpy as np

MATCHED_IOU = 0.5


def iou(references_N4: np.ndarray, predictions_M4: np.ndarray) -> np.ndarray:
    """Intersection over union of each reference with each prediction, upright boxes: float64 (N, M).

    A box without area has IoU 0 with everything.
    """
    references, predictions = references_N4.astype(float)[:, None], predictions_M4.astype(float)[None, :]
    top_left = np.maximum(references[..., :2], predictions[..., :2])
    bottom_right = np.minimum(references[..., 2:], predictions[..., 2:])
    intersection = area(top_left, bottom_right)
    areas = area(references[..., :2], references[..., 2:]) + area(predictions[..., :2], predictions[..., 2:])
    union = areas - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(union), where=union > 0))


def area(top_left: np.ndarray, bottom_right: np.ndarray) -> np.ndarray:
    """Corners (…, 2) -> areas (…); 0 where the corners do not span a box."""
    sides = np.clip(bottom_right - top_left, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1])


def match(iou_NM: np.ndarray, at_least: float = MATCHED_IOU) -> list[tuple[int, int]]:
    """Pairs (reference, prediction): greedy by falling IoU, one to one, none below `at_least`.

    Of equal IoUs the earlier reference goes first, then the earlier prediction. References that do not overlap can
    share no prediction at IoU > 0.5, so on such pages every matching rule in use gives these pairs.
    """
    candidates = np.argwhere(iou_NM >= at_least)
    falling = np.argsort(-iou_NM[candidates[:, 0], candidates[:, 1]], kind="stable")
    pairs: list[tuple[int, int]] = []
    taken_references: set[int] = set()
    taken_predictions: set[int] = set()
    for reference, prediction in candidates[falling].tolist():
        if reference not in taken_references and prediction not in taken_predictions:
            taken_references.add(reference)
            taken_predictions.add(prediction)
            pairs.append((reference, prediction))
    return pairs
