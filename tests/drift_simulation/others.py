"""Two public tools for drift with their defaults, as installed; nothing of theirs is written again here.

Needs an environment of its own (they want an older pandas than our tests): `make simulate-drift` makes it.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

os.environ.setdefault("NML_DISABLE_USAGE_LOGGING", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
warnings.simplefilter("ignore")  # about their own dependencies

import nannyml  # noqa: E402  after what switches its reports off
import pandas as pd  # noqa: E402
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402


def evidently_share(sample: Any, windows: Any) -> float:
    """Return the share of windows in which Evidently's default for a numeric column finds drift.

    Args:
        sample: Values of the reference.
        windows: One row of values per window.
    """
    columns = DataDefinition(numerical_columns=["x"])
    reference = Dataset.from_pandas(pd.DataFrame({"x": sample}), data_definition=columns)
    report = Report([ValueDrift(column="x")])
    found = 0
    for values in windows:
        current = Dataset.from_pandas(pd.DataFrame({"x": values}), data_definition=columns)
        (metric,) = report.run(current, reference).dict()["metrics"]
        # The default is a distance (above 1,000 values of reference), whose threshold the report states.
        assert "distance" in metric["config"]["method"]
        found += metric["value"] >= metric["config"]["threshold"]
    return found / len(windows)


def nannyml_share(sample: Any, windows: Any) -> float:
    """Return the share of windows in which NannyML's default univariate method for a numeric column raises an alert."""
    calculator = nannyml.UnivariateDriftCalculator(column_names=["x"], chunk_size=windows.shape[1])
    calculator.fit(pd.DataFrame({"x": sample}))
    result = calculator.calculate(pd.DataFrame({"x": windows.ravel()})).filter(period="analysis").to_df()
    return float(result["x", "jensen_shannon", "alert"].mean())
