"""An incident as the person on call meets it: what fires, why, what to do, and what a starved batch looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.browser.conftest import Window, keep
from tests.browser.fleet import Fleet
from tests.browser.looking import panels
from tests.browser.running_prometheus import RunningPrometheus
from tests.console.running_console import Console
from tests.waiting import until

pytestmark = pytest.mark.browser

EXPECTED = {"HighInferenceLatency", "HighPredictionErrorRate"}
STARVED = "label-namespace=demo&label-model_name=digits&label-model_version=1"


@pytest.fixture(scope="module")
def incident(measured: RunningPrometheus, fleet: Fleet) -> Iterator[None]:
    """Digits' batches are starved and fraud 4 fails, until Prometheus says so."""
    fleet.wrong.update({"starved", "errors"})

    def firing() -> set[str]:
        active = measured.ask("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in active if alert["state"] == "firing"}

    until(lambda: firing() >= EXPECTED, "the alerts to fire", timeout_s=60)
    # The windows of the explaining view are real: five minutes of averages that the fleet has to turn around.
    batch = "sum(rate(model_inference_batch_size_sum[5m])) / sum(rate(model_inference_batch_size_count[5m]))"
    waiting = f"max(avg_over_time(model_inference_queue_depth[5m])) / scalar({batch})"
    until(lambda: measured.value(waiting) > 1.5, "more requests to wait than a batch takes", timeout_s=90)
    yield
    fleet.wrong.clear()


def test_what_fires_is_shown_with_why_and_what_to_do(
    incident: None, live: Console, measured: RunningPrometheus, open_window: Callable[..., Window]
):
    page = open_window(1440, 1200).open(f"{live.url}/?view=alerts&refresh=5s")
    page.wait_for_selector(".alert.critical canvas")
    card = page.locator(".alert:has(.alertname:text-is('HighInferenceLatency')):has-text('digits')")
    alert = next(
        one for one in measured.ask("alerts")["alerts"]
        if one["labels"]["alertname"] == "HighInferenceLatency" and one["labels"]["model_name"] == "digits"
    )  # fmt: skip

    assert card.locator("h2").inner_text() == alert["annotations"]["summary"]
    assert card.locator(".description").inner_text() == alert["annotations"]["description"]
    assert "firing" in card.inner_text()
    assert card.locator(".since").get_attribute("title").endswith(alert["activeAt"][11:19])
    assert card.locator(".legend li").count() == 2  # value and limit
    assert "500 ms" in card.locator(".legend").inner_text()  # the SLA of digits

    card.locator("summary:has-text('What to do')").click()
    card.locator(".runbook h4:has-text('Likely causes')").wait_for()
    silence = card.locator("a:has-text('Silence')").get_attribute("href")
    assert silence.startswith(live.ask("/api/config").json["alertmanager"] + "/#/silences/new?filter=")
    assert "alertname%3D%22HighInferenceLatency%22" in silence
    keep(page, "alerts-incident-dark")
    phone = open_window(390, 844, color_scheme="light")
    keep(phone.open(f"{live.url}/?view=alerts"), "alerts-incident-phone-light")

    card.locator("a:has-text('Explain')").click()
    page.wait_for_selector(".verdict h2")
    panels(page)
    keep(page, "explain-dark")
    assert page.inner_text(".verdict h2") == "Batches are too small or formed too late"
    shown = panels(page)
    assert {panel["state"] for panel in shown.values()} == {"drawn"}
    assert [panel["title"].split(":")[0] for panel in shown.values()] == ["Latency", "Queue", "Batches", "GPU"]


def test_the_number_of_firing_alerts_is_on_every_page(
    incident: None, live: Console, open_window: Callable[..., Window]
):
    page = open_window().open(live.url)
    page.wait_for_selector("nav .count")
    assert int(page.inner_text("nav .count").split()[0]) >= len(EXPECTED)
