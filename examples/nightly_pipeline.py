"""A batch job that a scheduler starts every night: whether it worked, how long it took, and how new its data is.

    OTEL_SERVICE_NAME=nightly OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/nightly_pipeline.py
    python examples/nightly_pipeline.py --empty-source    # the run that somebody has to look at

What to see: one more run of the pipeline `customer-features` with status success, its duration, and data that is half
an hour old; with `--empty-source` one more with status error, and nothing else changes: the last success keeps its
time, so that PipelineOverdue fires when tomorrow's run fails too. A job in another language needs no code at all:

    infermeter pipeline run customer-features --expected-interval-s 86400 -- ./build_features.sh
"""

from __future__ import annotations

import random
import sys
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import infermeter

CUSTOMERS = 500


class Order(NamedTuple):
    """One row of the source."""

    customer: int
    amount: float
    at: datetime


def read_orders(*, empty: bool) -> list[Order]:
    """Return the orders of a day, the newest half an hour old; a warehouse would be asked here."""
    if empty:
        raise RuntimeError("the source is empty: was yesterday's export late?")
    chance = random.Random(7)
    newest = datetime.now(timezone.utc) - timedelta(minutes=30)
    day = [newest - timedelta(minutes=minutes) for minutes in range(0, 24 * 60, 2)]
    return [Order(chance.randrange(CUSTOMERS), chance.lognormvariate(3, 1), at) for at in day]


features = infermeter.pipeline_run("customer-features", expected_interval_s=86400, max_data_age_s=2 * 86400)


@features
def build_features(*, empty: bool) -> dict[int, float]:
    """Return what each customer spent."""
    orders = read_orders(empty=empty)
    spent: dict[int, float] = {}
    for order in orders:
        spent[order.customer] = spent.get(order.customer, 0.0) + order.amount
    features.data_as_of(max(order.at for order in orders))
    return spent


if __name__ == "__main__":
    infermeter.configure()
    print(f"features of {len(build_features(empty='--empty-source' in sys.argv))} customers")
