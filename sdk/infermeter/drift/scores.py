"""How far two counts over the same bins are apart. Pure functions of two vectors; what alerts compute in PromQL.

All of them smooth both vectors alike, ``(count + 0.5) / (total + 0.5 * bins)`` (Krichevsky and Trofimov, IEEE Trans.
Inf. Theory 27, 1981), so that an empty bin costs something finite. Each takes ``live`` and ``reference``, sequences of
counts of the same length, at least two, each with a positive sum; else they raise ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log2, sqrt


def shares(counts: Sequence[float]) -> list[float]:
    """Return smoothed shares of the bins; above 0, summing to 1."""
    total, bins = sum(counts), len(counts)
    return [(count + 0.5) / (total + 0.5 * bins) for count in counts]


def psi(live: Sequence[float], reference: Sequence[float]) -> float:
    """Return the population stability index, the symmetric Kullback-Leibler divergence in nats; 0 and up.

    Source: Siddiqi, Credit Risk Scorecards, 2006.
    """
    p, q = _both(live, reference)
    return sum((a - b) * log(a / b) for a, b in zip(p, q, strict=True))


def psi_null(live: Sequence[float], reference: Sequence[float]) -> float:
    """Return what PSI is on average without any drift, (bins - 1) * (1/n + 1/m).

    Source: Yurdakul, Statistical Properties of the Population Stability Index, 2018.
    """
    _both(live, reference)
    return (len(live) - 1) / _effective(live, reference)


def js_distance(live: Sequence[float], reference: Sequence[float]) -> float:
    """Return the Jensen-Shannon distance, base 2: 0 (equal) to 1 (disjoint).

    Source: Lin, IEEE Trans. Inf. Theory 37, 1991; its square root is a metric (Endres and Schindelin, 2003).
    """
    p, q = _both(live, reference)
    total = sum(a * log2(2 * a / (a + b)) + b * log2(2 * b / (a + b)) for a, b in zip(p, q, strict=True))
    return sqrt(max(0.5 * total, 0.0))


def ks_distance(live: Sequence[float], reference: Sequence[float], *, ordered_bins: int) -> float:
    """Return the Kolmogorov-Smirnov distance at the upper ends of the first ``ordered_bins`` bins; 0 to 1.

    A lower bound of the distance of the values themselves. The bins behind (``missing``) lie above all numbers.

    Source: Smirnov, Annals of Mathematical Statistics 19, 1948.
    """
    p, q = _both(live, reference)
    apart, furthest = 0.0, 0.0
    for a, b in list(zip(p, q, strict=True))[:ordered_bins]:
        apart += a - b
        furthest = max(furthest, abs(apart))
    return furthest


def chi_square(live: Sequence[float], reference: Sequence[float]) -> float:
    """Return the chi-square statistic of two samples, with (bins - 1) degrees of freedom; 0 and up.

    In the form n*m/(n+m) * sum((p - q)^2 / q), whose denominator is the reference alone.
    """
    p, q = _both(live, reference)
    return _effective(live, reference) * sum((a - b) ** 2 / b for a, b in zip(p, q, strict=True))


def chi_square_z(live: Sequence[float], reference: Sequence[float]) -> float:
    """Return the chi-square statistic as a standard normal score; above 6 is no chance.

    Source: Wilson and Hilferty, PNAS 17, 1931.
    """
    statistic, freedom = chi_square(live, reference), len(live) - 1
    spread = 2.0 / (9.0 * freedom)
    root: float = (statistic / freedom) ** (1.0 / 3.0)
    return (root - (1.0 - spread)) / sqrt(spread)


def _both(live: Sequence[float], reference: Sequence[float]) -> tuple[list[float], list[float]]:
    if len(live) != len(reference) or len(live) < 2:
        raise ValueError(f"need counts over the same two or more bins, got {len(live)} and {len(reference)}")
    if not (sum(live) > 0 and sum(reference) > 0):
        raise ValueError("need counts with a positive sum on both sides")
    return shares(live), shares(reference)


def _effective(live: Sequence[float], reference: Sequence[float]) -> float:
    n, m = sum(live), sum(reference)
    return n * m / (n + m)
