"""Windows of live values as counts per bin, judged as `drift.rules.yml` does: large, no chance, and enough of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from infermeter import DriftReference
from infermeter.drift import scores

REFERENCE_VALUES = 10_000
LARGE, SURE, ENOUGH = 0.2, 6.0, 200


class Feature:
    """A normal feature with the reference of one sample of it.

    Args:
        random: Draws the sample.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self.sample = random.normal(size=REFERENCE_VALUES)
        (self.feature,) = DriftReference.from_columns({"x": self.sample}).inputs
        self.edges = np.array(self.feature.edges)

    def windows(self, random: np.random.Generator, values: int, windows: int, *, shift: float = 0.0) -> Any:
        """Return the counts of many windows: exact draws, without drawing the values one by one."""
        cuts = stats.norm.cdf(self.edges, loc=shift)
        counts = random.multinomial(values, np.diff([0.0, *cuts, 1.0]), size=windows)
        return np.hstack([counts, np.zeros((windows, 1), dtype=int)])  # nothing is missing

    def alerts(self, live: list[int]) -> bool:
        """Say whether FeatureDrift would be pending after a window."""
        if sum(live) < ENOUGH:
            return False
        reference = self.feature.counts
        if scores.psi(live, reference) - scores.psi_null(live, reference) <= LARGE:
            return False
        return scores.chi_square_z(live, reference) > SURE

    def alert_share(self, windows: Any) -> float:
        """Return the share of windows with an alert."""
        return sum(self.alerts(live) for live in windows.tolist()) / len(windows)
