from __future__ import annotations

import numpy as np

from evaluator.detection.characters import hills, joined, near_pairs


def test_hills_are_regions_with_their_peaks() -> None:
    text_HW = np.zeros((6, 8), np.float32)
    text_HW[1:3, 1:4], text_HW[2, 2], text_HW[4, 6] = 0.6, 0.9, 0.7
    boxes_N4, peaks_N, labels_HW = hills(text_HW, 0.5)
    assert boxes_N4.tolist() == [[1, 1, 4, 3], [6, 4, 7, 5]]
    assert peaks_N.tolist() == [np.float32(0.9), np.float32(0.7)]
    assert (labels_HW[2, 2], labels_HW[4, 6], labels_HW[0, 0]) == (1, 2, 0)


def test_near_pairs_are_those_of_all_pairs() -> None:
    generator = np.random.default_rng(0)
    places_N, reaches_N = generator.uniform(0, 50, 80), generator.uniform(0, 6, 80)
    one_Q, other_Q = near_pairs(places_N, reaches_N)
    apart_NN = np.abs(places_N[:, None] - places_N[None])
    near_NN = (apart_NN < reaches_N[:, None]) | (apart_NN < reaches_N[None])
    assert set(zip(one_Q.tolist(), other_Q.tolist(), strict=True)) == {tuple(pair) for pair in np.argwhere(near_NN)}


def test_things_are_joined_through_others() -> None:
    groups_N = joined(5, [[0, 1], [3, 4], [1, 3]])
    assert len(set(groups_N[[0, 1, 3, 4]].tolist())) == 1 and groups_N[2] not in groups_N[[0, 1, 3, 4]]
