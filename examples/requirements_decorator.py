"""One function for many models: the bare decorator takes the labels from the arguments of each call.

    OTEL_SERVICE_NAME=model-serving OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 \
      python examples/requirements_decorator.py

What to see: `ranker` versions 1 and 2 and `spam` version 1, each with its own latency, successes and errors; confidence
by model. Code written for prometheus_client with these names keeps its series, and its decorator its place.
"""

from __future__ import annotations

from typing import Any

import infermeter
from infermeter import instrument_inference


@instrument_inference
def predict(model_name: str, model_version: str, features: dict[str, float]) -> dict[str, Any]:
    """Score the features with the model of that name and version."""
    score = 0.5 + features["clicks"] / (2 * features["views"])
    return {"model": f"{model_name}/{model_version}", "score": score, "confidence": max(score, 1 - score)}


def main() -> None:
    """Ask three models, one of them with features that it cannot use."""
    infermeter.configure()
    for clicks in range(40):
        predict("ranker", "1", {"clicks": clicks, "views": 40})
        predict("ranker", "2", {"clicks": clicks, "views": 80})
    for views in range(10):  # nobody has seen the first one: a division by zero
        features = {"clicks": 1.0, "views": 2.0 * views}
        try:
            predict("spam", "1", features=features)
        except ZeroDivisionError as error:
            print(f"spam 1 failed: {error}")
    print("90 predictions made")


if __name__ == "__main__":
    main()
