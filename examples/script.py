"""A plain loop around a model: nothing but `configure()` and one decorator.

    OTEL_SERVICE_NAME=churn-batch OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/script.py

What to see: 300 requests of model `churn`, 297 with status success and 3 with error, since every hundredth customer has
no history; their exception class in `model_inference_exceptions_total`; a confidence for each success; the SLA of 50 ms
as a bucket. The last numbers leave when the script ends; nothing has to be called for that.
"""

from __future__ import annotations

import math
import random

import infermeter

CUSTOMERS = 300


@infermeter.instrument_inference("churn", version="1", sla_s=0.05, classes=["leaves", "stays"])
def predict(monthly_logins: list[int]) -> dict[str, object]:
    """Return how likely a customer leaves, from how often they came."""
    trend = monthly_logins[-1] / (sum(monthly_logins) / len(monthly_logins))
    leaves = 1 / (1 + math.exp(6 * (trend - 0.7)))
    return {"label": "leaves" if leaves > 0.5 else "stays", "confidence": max(leaves, 1 - leaves)}


def main() -> None:
    """Predict for every customer; one failure does not end the loop."""
    infermeter.configure()
    chance = random.Random(1)
    for customer in range(CUSTOMERS):
        history = [] if customer % 100 == 99 else [chance.randint(1, 30) for _ in range(12)]
        try:
            predict(history)
        except IndexError:
            print(f"customer {customer} has no history")
    print(f"{CUSTOMERS} predictions made")


if __name__ == "__main__":
    main()
