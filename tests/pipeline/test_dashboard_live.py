"""Every query of every dashboard, asked of a Prometheus that watches the demonstration's fleet, on both profiles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.contract.dashboard_files import PanelQuery, all_queries
from tests.pipeline.live_stack import LiveStack
from tests.waiting import until

pytestmark = pytest.mark.pipeline

SPEED = 60
# What has no data here, and who would send it.
EMPTY = {
    "How often did pods that serve the models restart?": "kube-state-metrics of a cluster",
}
# The variables of dashboards, as a user would choose one model.
ALL = {"model": ".*"}
# One with everything there is: batches, queue and GPU; and one that streams its answers.
ONE = ({"model": "digits"}, {"model": "assistant"})


@pytest.mark.parametrize("profile", ["scrape", "otlp"])
def test_every_query_has_data_for_all_models(start_stack: Callable[..., LiveStack], profile: str):
    live = start_stack(fleet=True, profile=profile, speed=SPEED)
    queries = [query for query in all_queries(ALL) if query.panel not in EMPTY]
    until(lambda: _Answer(_empty(live, queries)), "data in every panel", timeout_s=120)


class _Answer(list[str]):
    """True when nothing is missing, and shows what is."""

    def __bool__(self) -> bool:
        return not len(self)


def _empty(live: LiveStack, queries: list[PanelQuery]) -> list[str]:
    return [f"{query.dashboard}: {query.panel} ({query.ref})" for query in queries if not live.query(query.expr)]
