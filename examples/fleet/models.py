"""The classifiers: two versions each, trained on data that scikit-learn ships. Knows nothing of services or metrics.

Requests are drawn from the data with a little noise, so that there are as many different ones as are needed and their
distribution is that of the training data: without a fault nothing drifts.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Rows = npt.NDArray[np.float64]

_NOISE = 0.15
"""Of a feature's standard deviation."""


class Prediction(NamedTuple):
    """What a model says of one row."""

    label: str
    confidence: float
    """Probability of that class, 0 to 1."""


class Model:
    """A data set and two classifiers trained on it.

    Args:
        data: A data set of scikit-learn.
        versions: The classifiers by version; trained here.
    """

    def __init__(self, data: Any, versions: Mapping[str, Any]) -> None:
        self.features = [str(name) for name in data.feature_names]
        self.classes = [str(name) for name in data.target_names]
        self._rows: Rows = np.asarray(data.data, dtype=np.float64)
        self._noise: Rows = self._rows.std(axis=0) * _NOISE
        self._versions = {version: classifier.fit(self._rows, data.target) for version, classifier in versions.items()}

    @property
    def versions(self) -> list[str]:
        """The versions that are served."""
        return list(self._versions)

    @property
    def deviations(self) -> Rows:
        """Standard deviation of each feature."""
        return self._noise / _NOISE

    def draw(self, count: int, random: np.random.Generator) -> Rows:
        """Return rows as clients send them, one per request."""
        rows = self._rows[random.integers(len(self._rows), size=count)]
        drawn: Rows = rows + random.standard_normal(rows.shape) * self._noise
        return drawn

    def predict(self, version: str, rows: Rows) -> list[Prediction]:
        """Return one prediction per row."""
        probabilities: Rows = self._versions[version].predict_proba(rows)
        best = probabilities.argmax(axis=1)
        return [Prediction(self.classes[k], float(row[k])) for row, k in zip(probabilities, best, strict=True)]


def train() -> dict[str, Model]:
    """Return the models by name; takes a fraction of a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a model that did not converge is not worth serving
        return {
            "biopsy": Model(
                load_breast_cancer(),
                {
                    "1": make_pipeline(StandardScaler(), LogisticRegression(C=0.05)),
                    "2": GradientBoostingClassifier(n_estimators=30, random_state=7),
                },
            ),
            "wine": Model(
                load_wine(),
                {
                    "1": make_pipeline(StandardScaler(), LogisticRegression()),
                    "2": make_pipeline(StandardScaler(), GaussianNB()),
                },
            ),
            "digits": Model(
                load_digits(),
                {
                    "1": GaussianNB(var_smoothing=0.01),
                    "2": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
                },
            ),
        }
