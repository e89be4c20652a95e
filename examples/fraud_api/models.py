"""Two versions of a fraud classifier, trained when the module is imported. Knows nothing of HTTP or metrics.

scikit-learn ships no data on fraud. Its breast cancer measurements stand in for transactions: 30 numbers per row and
two classes, of which the rarer one is worth finding.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NAME = "fraud"
CLASSES = ("fraud", "legitimate")
SLA_S = 0.2
FEATURES = 30


class Prediction(NamedTuple):
    """What a model says of one transaction."""

    label: str
    """One of `CLASSES`."""
    confidence: float
    """Probability of that class, 0 to 1."""


class Classifier:
    """One trained version.

    Args:
        estimator: Any scikit-learn classifier; trained here.
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator.fit(_train_rows, _train_classes)
        self.accuracy = float(estimator.score(_test_rows, _test_classes))

    def predict(self, features: Sequence[float]) -> Prediction:
        """Classify one transaction.

        Args:
            features: 30 finite numbers.

        Raises:
            ValueError: The model cannot work with them, for example because there are only 29.
        """
        probabilities = self._estimator.predict_proba(np.asarray([features], dtype=np.float64))[0]
        best = int(probabilities.argmax())
        return Prediction(CLASSES[best], float(probabilities[best]))


def sample_transactions() -> list[list[float]]:
    """Return transactions that no model was trained on."""
    rows: list[list[float]] = _test_rows.tolist()
    return rows


with warnings.catch_warnings():
    warnings.simplefilter("error")  # a model that did not converge is not worth serving
    _train_rows, _test_rows, _train_classes, _test_classes = train_test_split(
        *load_breast_cancer(return_X_y=True), test_size=0.5, random_state=7
    )
    VERSIONS = {
        "1": Classifier(make_pipeline(StandardScaler(), LogisticRegression())),
        "2": Classifier(GradientBoostingClassifier(n_estimators=30, random_state=7)),
    }
"""The served versions; the keys are what clients ask for."""
