"""The scores equal those of numpy and scipy on the same counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from infermeter.drift import scores

random = np.random.default_rng(23)


def _drawn(size: int, bins: int) -> list[int]:
    return random.multinomial(size, random.dirichlet(np.ones(bins))).tolist()


CASES = [(_drawn(n, bins), _drawn(5_000, bins)) for n in (60, 1_000, 40_000) for bins in (2, 5, 11)]
every_case = pytest.mark.parametrize(("live", "reference"), CASES)


def smoothed(counts: list[int]) -> np.ndarray:
    return (np.array(counts) + 0.5) / (sum(counts) + 0.5 * len(counts))


@every_case
def test_scores_equal_numpy_and_scipy(live, reference):
    p, q = smoothed(live), smoothed(reference)
    n, m = sum(live), sum(reference)

    assert scores.psi(live, reference) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), rel=1e-9)
    assert scores.js_distance(live, reference) == pytest.approx(jensenshannon(p, q, base=2), rel=1e-9)
    ordered = len(live) - 1
    assert scores.ks_distance(live, reference, ordered_bins=ordered) == pytest.approx(
        np.abs(np.cumsum(p - q))[:ordered].max()
    )
    size = n * m / (n + m)
    assert scores.chi_square(live, reference) == pytest.approx(stats.chisquare(size * p, size * q).statistic, rel=1e-9)


@pytest.mark.parametrize("freedom", [3, 9, 11])
def test_the_normal_score_stands_for_the_chance_of_the_statistic(freedom):
    reference = [1_000] * (freedom + 1)
    live = random.multinomial(2_000, np.array([1.15, *[1.0] * freedom]) / (freedom + 1.15)).tolist()

    chance = stats.chi2.sf(scores.chi_square(live, reference), freedom)
    assert stats.norm.sf(scores.chi_square_z(live, reference)) == pytest.approx(chance, rel=0.1, abs=1e-4)


def test_psi_without_drift_is_what_chance_gives_on_average():
    reference = [1_000] * 10
    shares = np.full(10, 0.1)
    found = [
        scores.psi(random.multinomial(500, shares).tolist(), random.multinomial(10_000, shares).tolist())
        for _ in range(2_000)
    ]

    assert np.mean(found) == pytest.approx(scores.psi_null([50] * 10, reference), rel=0.05)


def test_equal_counts_are_not_apart_and_disjoint_ones_are_fully():
    assert scores.psi([5, 5], [5, 5]) == scores.js_distance([5, 5], [5, 5]) == 0
    assert scores.ks_distance([10**9, 0, 0], [0, 0, 10**9], ordered_bins=3) == pytest.approx(1)
    assert scores.js_distance([10**9, 0], [0, 10**9]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("live", "reference"), [([1], [1]), ([1, 2], [1, 2, 3]), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_counts_that_cannot_be_compared_are_refused(live, reference):
    for score in (scores.psi, scores.psi_null, scores.js_distance, scores.chi_square, scores.chi_square_z):
        with pytest.raises(ValueError, match="counts"):
            score(live, reference)
