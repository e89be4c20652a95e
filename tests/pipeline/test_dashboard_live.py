"""Every query of every dashboard, asked of a Prometheus that watches the example under traffic, on both profiles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.contract.dashboard_files import PanelQuery, all_queries
from tests.pipeline.live_stack import LiveStack
from tests.waiting import until

pytestmark = pytest.mark.pipeline

# Panels whose series nobody sends in this stack, and who would.
WAITING_FOR = {
    "How busy are the GPUs of the cluster?": "a dcgm-exporter or the SDK on a machine with a GPU",
    "How much GPU memory is used on each node?": "a dcgm-exporter or the SDK on a machine with a GPU",
    "Which features have drifted most from the training data?": "a service with a drift reference",
    "How often did pods that serve the models restart?": "kube-state-metrics of a cluster",
}
# One query of a panel whose others have data.
ALSO_WAITING = {("How many requests wait, and how many are in work?", "model_inference_queue_depth"): "a batcher"}


def _expected(query: PanelQuery) -> bool:
    if query.dashboard != "overview.json" or query.expr.count("pipeline:"):
        return False
    also = any(query.panel == panel and name in query.expr for panel, name in ALSO_WAITING)
    return query.panel not in WAITING_FOR and not also


@pytest.mark.parametrize("profile", ["scrape", "otlp"])
def test_every_panel_has_data_for_all_models_and_for_one(start_stack: Callable[..., LiveStack], profile: str):
    live = start_stack(example=True, profile=profile, speed=10)

    for model in (".*", "fraud"):
        queries = [query for query in all_queries({"model": model}) if _expected(query)]
        assert len({query.panel for query in queries}) == 13 - len(WAITING_FOR)
        until(
            lambda queries=queries: _Answer(_empty(live, queries)), f"data in every panel, model {model}", timeout_s=90
        )


class _Answer(list[str]):
    """True when nothing is missing, and shows what is."""

    def __bool__(self) -> bool:
        return not len(self)


def _empty(live: LiveStack, queries: list[PanelQuery]) -> list[str]:
    return [f"{query.panel} ({query.ref})" for query in queries if not live.query(query.expr)]


def test_panels_that_wait_for_other_sources_exist_under_these_names():
    titles = {query.panel for query in all_queries()}

    assert set(WAITING_FOR) | {panel for panel, _ in ALSO_WAITING} <= titles
