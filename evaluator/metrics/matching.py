"""Which predicted word is which reference word, by how much they overlap."""

from __future__ import annotations

import numpy as np
import shapely

from evaluator.metrics.page_words import PageWords, signed_areas

MATCHED_IOU = 0.5

DONT_CARE_SHARE = 0.5
"""A prediction with more than this share of its area on one don't-care word is ignored, as ICDAR's evaluation does."""


def iou(references_N4: np.ndarray, predictions_M4: np.ndarray) -> np.ndarray:
    """Intersection over union of each reference with each prediction, upright boxes: float64 (N, M).

    A box without area has IoU 0 with everything.
    """
    overlap_NM = intersection(references_N4, predictions_M4)
    union_NM = areas(references_N4)[:, None] + areas(predictions_M4)[None, :] - overlap_NM
    return np.asarray(np.divide(overlap_NM, union_NM, out=np.zeros_like(union_NM), where=union_NM > 0))


def intersection(references_N4: np.ndarray, predictions_M4: np.ndarray) -> np.ndarray:
    """Shared area of each reference with each prediction, upright boxes: float64 (N, M)."""
    x0, y0, x1, y1 = references_N4.astype(float).T[:, :, None]
    other_x0, other_y0, other_x1, other_y1 = predictions_M4.astype(float).T[:, None, :]
    width_NM = np.minimum(x1, other_x1) - np.maximum(x0, other_x0)
    height_NM = np.minimum(y1, other_y1) - np.maximum(y0, other_y0)
    return np.asarray(np.clip(width_NM, 0, None) * np.clip(height_NM, 0, None))


def areas(boxes_N4: np.ndarray) -> np.ndarray:
    """0 where the corners do not span a box."""
    sides_N2 = np.clip(boxes_N4[:, 2:].astype(float) - boxes_N4[:, :2], 0, None)
    return np.asarray(sides_N2[:, 0] * sides_N2[:, 1])


def polygon_iou(reference: PageWords, prediction: PageWords) -> np.ndarray:
    """IoU of the quads themselves, float64 (N, M); `iou` where both are upright."""
    iou_NM = iou(reference.boxes_N4, prediction.boxes_N4)
    tilted_NM = ~is_upright(reference.quads_N42)[:, None] | ~is_upright(prediction.quads_N42)[None, :]
    # Quads overlap only where their boxes do, and few of all pairs do.
    rows, columns = np.nonzero(tilted_NM & (intersection(reference.boxes_N4, prediction.boxes_N4) > 0))
    references, predictions = polygons(reference.quads_N42)[rows], polygons(prediction.quads_N42)[columns]
    overlap = shapely.area(shapely.intersection(references, predictions))
    union = shapely.area(references) + shapely.area(predictions) - overlap
    iou_NM[rows, columns] = np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)
    return iou_NM


def is_upright(quads_N42: np.ndarray) -> np.ndarray:
    """Whether each quad fills the box around it, bool (N,)."""
    sides_N2 = quads_N42.max(axis=1) - quads_N42.min(axis=1)
    return np.asarray(np.abs(signed_areas(quads_N42)) == sides_N2[:, 0] * sides_N2[:, 1])


def polygons(quads_N42: np.ndarray) -> np.ndarray:
    """Quads as shapely geometries that can be intersected: one that crosses itself becomes its two triangles."""
    made: np.ndarray = shapely.polygons(quads_N42)
    for number in np.flatnonzero(~shapely.is_valid(made)):
        # The lines that a repair leaves over have no area, and GEOS cannot intersect what is half line, half polygon.
        parts = shapely.get_parts(shapely.make_valid(made[number]))
        made[number] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    return made


def generalized_iou(boxes_P4: np.ndarray, others_P4: np.ndarray) -> np.ndarray:
    """GIoU of pairs of upright boxes, float64 (P,) in (-1, 1]: IoU - (hull - union) / hull; 0 over no hull.

    Source: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019, algorithm 1.
    """
    hulls_P4 = np.concatenate(
        [np.minimum(boxes_P4[:, :2], others_P4[:, :2]), np.maximum(boxes_P4[:, 2:], others_P4[:, 2:])], axis=1
    )
    shared_P4 = np.concatenate(
        [np.maximum(boxes_P4[:, :2], others_P4[:, :2]), np.minimum(boxes_P4[:, 2:], others_P4[:, 2:])], axis=1
    )
    overlap, hull = areas(shared_P4), areas(hulls_P4)
    union = areas(boxes_P4) + areas(others_P4) - overlap
    shares = np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)
    return np.asarray(shares - np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0))


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


def on_dont_care(reference: PageWords, prediction: PageWords) -> np.ndarray:
    """Which predictions lie with more than half of their box's area on one don't-care word's box, bool (M,)."""
    overlap_DM = intersection(reference.boxes_N4[reference.dont_care_N], prediction.boxes_N4)
    return np.asarray((overlap_DM > DONT_CARE_SHARE * areas(prediction.boxes_N4)).any(axis=0))
