"""Which archs may be the best, judged by some image batches, and what taking the winner is expected to cost.

The sampling unit is the image batch. Its images share batch statistics, measures between images make an image's score of all
others in its batch, and neighbours in a folder are often of one class or scene: images are not independent, batches nearly are.
Archs are compared on the same batches.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaincinv

DRAWS = 400
"""Random directions that a p-value is estimated from; its standard error is a few per cent of it."""
BLOCK_VALUES = 2**21
"""Float64 values that one temporary array may hold, 16 MiB."""


def may_be_best(values: np.ndarray, alpha: float = 0.05, seed: int = 0) -> np.ndarray:
    """The archs that may have the highest mean over all batches there could be.

    The one that has it is among them with a probability of ``1 - alpha`` or more, for any number of archs, however they
    correlate. Arch i is left out if some arch beats it by more than chance allows, were i the best: the largest of the paired t
    statistics of all others against i is compared with what random rotations of the batches make of it. For normal means of
    batches and equal archs that is exact, also for two batches (rotation tests, Langsrud 2005); worse archs only make it more
    careful. No other arch must stay in, so that the number of these tests needs no correction (multiple comparisons with the
    best, Hsu 1984).

    Args:
        values: ``(A, B)``, of each arch on each batch.
        alpha: Probability of leaving out the best.
        seed: Of the rotations.

    Returns:
        ``(A,)``, whether an arch may be the best; a single batch leaves out none.
    """
    values = np.asarray(values, dtype=np.float64)
    archs, batches = values.shape
    if archs < 2 or batches < 2:
        return np.ones(archs, dtype=bool)
    values = values - values[np.argmax(values.mean(axis=1))]  # of which the squares below lose nothing
    chance = _tail(_largest_cosines(values), batches)
    kept = chance > alpha
    for arch in np.flatnonzero(~kept & (archs * chance > alpha)):
        kept[arch] = _p_value(values - values[arch], np.random.Generator(np.random.Philox(key=[seed, int(arch)]))) > alpha
    return kept


def expected_regret(values: np.ndarray, draws: int = 1000, seed: int = 0) -> float:
    """By how much the winner of as many other batches would on average miss the best arch, if the means here were true.

    Args:
        values: ``(A, B)``, of each arch on each batch.
        draws: Of the means of other batches, normal with the covariance of these.
        seed: Of the draws.

    Returns:
        In the unit of the values; NaN for a single batch.
    """
    values = np.asarray(values, dtype=np.float64)
    archs, batches = values.shape
    if batches < 2:
        return float('nan')
    means = values.mean(axis=1)
    gaps = values - values[np.argmax(means)]
    gaps -= gaps.mean(axis=1, keepdims=True)
    noise = np.random.Generator(np.random.Philox(seed)).standard_normal((batches, draws)) / np.sqrt(batches * (batches - 1))
    best, winner = np.full(draws, -np.inf), np.zeros(draws, dtype=np.int64)
    step = max(1, BLOCK_VALUES // draws)
    for start in range(0, archs, step):
        drawn = means[start:start + step, None] + gaps[start:start + step] @ noise
        first = drawn.argmax(axis=0)
        found = drawn[first, np.arange(draws)]
        winner = np.where(found > best, start + first, winner)
        best = np.maximum(best, found)
    return float((means.max() - means[winner]).mean())


def _largest_cosines(values: np.ndarray) -> np.ndarray:
    """The largest cosine with (1, …, 1) of the differences of all others from each arch, of ``(A, B)``; ``(A,)``."""
    archs, batches = values.shape
    means, squares = values.mean(axis=1), (values**2).sum(axis=1)
    largest = np.empty(archs)
    step = max(1, BLOCK_VALUES // archs)
    for start in range(0, archs, step):
        block = slice(start, start + step)
        both = squares[block, None] + squares
        lengths = both - 2 * values[block] @ values.T
        lengths[lengths <= 1e-12 * both] = np.inf  # equal archs
        largest[block] = ((means - means[block, None]) * np.sqrt(batches / lengths)).max(axis=1)
    return np.minimum(largest, 1)


def _p_value(gaps: np.ndarray, rng: np.random.Generator) -> float:
    """The probability that a random direction has as large a cosine with a row of ``(A, B)`` as (1, …, 1) has at most.

    The directions are drawn so that one or more rows have it (Owen, Maximov and Chertkov 2019, "Importance sampling the union
    of rare events").
    """
    batches = gaps.shape[1]
    lengths = np.linalg.norm(gaps, axis=1)
    rows = gaps[lengths > 0] / lengths[lengths > 0, None]
    cosine = min(1, rows.sum(axis=1).max() / np.sqrt(batches))
    single = float(_tail(cosine, batches))
    near = rows[rng.integers(len(rows), size=DRAWS)]
    along = np.sqrt(1 - betaincinv((batches - 1) / 2, 0.5, 2 * single * rng.random(DRAWS)))
    across = rng.standard_normal((DRAWS, batches))
    across -= (across * near).sum(axis=1, keepdims=True) * near
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    directions = along[:, None] * near + np.sqrt(1 - along**2)[:, None] * across
    counts = np.zeros(DRAWS)
    step = max(1, BLOCK_VALUES // DRAWS)
    for start in range(0, len(rows), step):
        counts += (rows[start:start + step] @ directions.T > cosine).sum(axis=0)
    return len(rows) * single * float(np.mean(1 / np.maximum(counts, 1)))


def _tail(cosine: np.ndarray | float, batches: int) -> np.ndarray:
    """The probability that a random direction has a larger cosine with a given one: Student's t in another guise."""
    cosine = np.asarray(cosine)
    upper = betainc((batches - 1) / 2, 0.5, 1 - cosine**2) / 2
    return np.where(cosine > 0, upper, 1 - upper)
