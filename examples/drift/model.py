"""A classifier of wines, and the reference of the data it was trained on. Knows nothing of serving.

scikit-learn ships the data: 13 measurements of 178 wines of three growers. Training and serving each get one half.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from infermeter import DriftReference

NAME, VERSION = "wine", "1"
_data = load_wine()
FEATURES: list[str] = [str(name).replace("/", "_per_") for name in _data.feature_names]
GROWERS: list[str] = [str(name) for name in _data.target_names]
_train, _served, _classes, _ = train_test_split(_data.data, _data.target, test_size=0.5, random_state=7)
DEVIATION: dict[str, float] = dict(zip(FEATURES, _train.std(axis=0).tolist(), strict=True))
_classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(_train, _classes)


def predict(row: list[float]) -> tuple[str, float]:
    """Return the grower of a wine, and how sure the model is of it."""
    shares: Any = _classifier.predict_proba(np.asarray([row]))[0]
    best = int(shares.argmax())
    return GROWERS[best], float(shares[best])


def reference() -> DriftReference:
    """Return what the model was trained on, with what it says of it; build it where the model is built."""
    answers = [predict(row) for row in _train.tolist()]
    columns = {name: _train[:, place] for place, name in enumerate(FEATURES)}
    return DriftReference.from_columns(
        columns, prediction=[label for label, _ in answers], confidence=[sure for _, sure in answers], bins=5
    )


def wines(seed: int) -> list[list[float]]:
    """Return wines that the model was not trained on, in the order in which somebody asks for them."""
    rows: list[list[float]] = _served.tolist()
    random.Random(seed).shuffle(rows)
    return rows
