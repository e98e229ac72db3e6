"""How far figures could have come out otherwise: pages are resampled, since words of one page share its fate.

Intervals are percentile bootstraps over pages. Two systems are compared on the same pages: the r-th resample holds the
same pages for both, and under "no difference" every page's two readings could as well have been swapped, which gives
the p value. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from evaluator.metrics.figures import FIGURES, Sums, number, total

NUM_RESAMPLES = 10_000
QUANTILES = (0.025, 0.975)
TIE = 1e-12
"""Differences this close are equal: the same pages summed in another order differ by less."""

BLOCK_ELEMENTS = 1 << 22

Pages = Sequence[Sums]
"""The sums of each page, in the same order for all systems."""

Pair = tuple[Sums, Sums]
"""Of a system, and of the one that is held against it."""

Figure = Callable[[Sums], np.ndarray]


class Interval(msgspec.Struct, frozen=True, array_like=True):
    """95 % of the resamples lie between these two."""

    low: float
    high: float


class Difference(msgspec.Struct, frozen=True):
    """One figure of a system minus that of another, and how likely as large a one is if the two are equal."""

    difference: float | None
    interval: Interval | None
    p_value: float | None


def intervals(pages: Pages, seed: int, num_resamples: int = NUM_RESAMPLES) -> dict[str, Interval | None]:
    """The interval of each of `FIGURES`, from the sums of each page."""
    resampled = bootstrap(pages, seed, num_resamples)
    return {name: interval(figure(resampled)) for name, figure in FIGURES.items()}


def differences(
    pairs: Sequence[tuple[Pages, Pages]], seed: int, num_resamples: int = NUM_RESAMPLES
) -> dict[str, Difference]:
    """For each of `FIGURES` the second of a pair minus the first; of several pairs, the mean.

    Under "no difference" a page's two readings are swapped in all pairs at once.
    """
    totals, resampled = compared(pairs, seed, num_resamples)
    swapped = [swap(first, second, seed, num_resamples) for first, second in pairs]
    return {
        name: Difference(
            number(gain(figure, totals)),
            interval(gain(figure, resampled)),
            p_value(float(gain(figure, totals)), gain(figure, swapped)),
        )
        for name, figure in FIGURES.items()
    }


def interaction(
    pair: tuple[Pages, Pages], other: tuple[Pages, Pages], seed: int, num_resamples: int = NUM_RESAMPLES
) -> dict[str, Difference]:
    """How much larger the difference of the `other` pair is; without a p value, for no swap makes just those equal."""
    totals, resampled = compared([pair, other], seed, num_resamples)
    return {
        name: Difference(number(more(figure, totals)), interval(more(figure, resampled)), None)
        for name, figure in FIGURES.items()
    }


def compared(pairs: Sequence[tuple[Pages, Pages]], seed: int, num_resamples: int) -> tuple[list[Pair], list[Pair]]:
    """The totals of each pair, and their resamples. Raises ValueError for other pages on one side."""
    if len(numbers := {len(pages) for pair in pairs for pages in pair}) > 1:
        raise ValueError(f"{' and '.join(map(str, sorted(numbers)))} pages cannot be paired")
    totals = [(total(first), total(second)) for first, second in pairs]
    resampled = [
        (bootstrap(first, seed, num_resamples), bootstrap(second, seed, num_resamples)) for first, second in pairs
    ]
    return totals, resampled


def gain(figure: Figure, pairs: Sequence[Pair]) -> np.ndarray:
    return np.asarray(sum(figure(second) - figure(first) for first, second in pairs) / len(pairs))


def more(figure: Figure, two: Sequence[Pair]) -> np.ndarray:
    pair, other = two
    return np.asarray(gain(figure, [other]) - gain(figure, [pair]))


def bootstrap(pages: Pages, seed: int, num_resamples: int = NUM_RESAMPLES) -> Sums:
    """The sums over each of R resamples of the pages, as arrays (R,).

    A resample depends on the seed and the number of pages alone: those of two systems are paired.
    """
    return of_table(np.concatenate([np.empty((0, num_fields())), *resampled_blocks(table(pages), seed, num_resamples)]))


def resampled_blocks(pages_PK: np.ndarray, seed: int, num_resamples: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    num_pages = len(pages_PK)
    for rows in block_sizes(num_pages, num_resamples):
        drawn_RP = generator.integers(0, max(num_pages, 1), (rows, num_pages)) + num_pages * np.arange(rows)[:, None]
        times_RP = np.bincount(drawn_RP.ravel(), minlength=rows * num_pages).reshape(rows, num_pages)
        yield times_RP.astype(np.float64) @ pages_PK


def swap(first: Pages, second: Pages, seed: int, num_resamples: int = NUM_RESAMPLES) -> Pair:
    """The sums (R,) of two systems whose readings were swapped on a random half of the pages, R times."""
    generator = np.random.default_rng(seed)
    first_PK, second_PK = table(first), table(second)
    gains_PK, gained = second_PK - first_PK, [np.empty((0, num_fields()))]
    for rows in block_sizes(len(first), num_resamples):
        gained.append(generator.integers(0, 2, (rows, len(first))).astype(np.float64) @ gains_PK)
    gained_RK = np.concatenate(gained)
    return of_table(first_PK.sum(axis=0) + gained_RK), of_table(second_PK.sum(axis=0) - gained_RK)


def block_sizes(num_pages: int, num_resamples: int) -> Iterator[int]:
    """Resamples are drawn in blocks, to hold a few ten megabytes whatever the number of pages."""
    block = max(1, BLOCK_ELEMENTS // max(num_pages, 1))
    for start in range(0, num_resamples, block):
        yield min(block, num_resamples - start)


def interval(values_R: np.ndarray) -> Interval | None:
    """The middle 95 % of the resamples in which the figure is defined; None where it is in none."""
    defined = values_R[~np.isnan(values_R)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, QUANTILES)
    return Interval(float(low), float(high))


def p_value(observed: float, differences_R: np.ndarray) -> float | None:
    """Two-sided: the share of differences that are no smaller, the observed one among them; None for an undefined one.

    A swap that leaves a figure undefined counts as no smaller.
    """
    if np.isnan(observed):
        return None
    smaller = int((np.abs(differences_R) < abs(observed) - TIE).sum())
    return (len(differences_R) - smaller + 1) / (len(differences_R) + 1)


def table(pages: Pages) -> np.ndarray:
    """A row a page and a column a field of `Sums`, float64 (P, K)."""
    return np.array([msgspec.structs.astuple(page) for page in pages], dtype=np.float64).reshape(-1, num_fields())


def of_table(sums_RK: np.ndarray) -> Sums:
    return Sums(**dict(zip(Sums.__struct_fields__, sums_RK.T, strict=True)))


def num_fields() -> int:
    return len(Sums.__struct_fields__)
