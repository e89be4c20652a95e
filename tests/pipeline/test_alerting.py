"""An error burst in the example reaches Alertmanager as one alert per version; one error in 200 never does.

Windows are 30 times shorter (infermeter.cli.scaled_rules): five minutes are ten seconds, thresholds stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.conftest import StartStack
from tests.pipeline.example_processes import finish, traffic
from tests.pipeline.live_stack import LiveStack, eventually

pytestmark = pytest.mark.pipeline

SPEED = 30
ALERT = "HighPredictionErrorRate"
RATE = 60
WITHOUT_OTHER_TROUBLE = ("--rate", str(RATE), "--slow", "0", "--malformed", "0")
# Window and `for` take ten seconds each, so a burst fires after twenty; silence is watched for twice as long.
SILENT_REQUESTS = 40 * RATE


def test_an_error_burst_fires_reaches_alertmanager_and_resolves(start_stack: StartStack, tmp_path: Path) -> None:
    live = start_stack(example=True, traffic=False, speed=SPEED)
    url = live.stack.url("example")
    with traffic(url, tmp_path / "burst.csv", *WITHOUT_OTHER_TROUBLE, "--errors", "0.2"):
        alerts: list[dict[str, Any]] = eventually(
            f"{ALERT} for both versions in Alertmanager", lambda: fired(live, versions=2), timeout_s=90
        )
    for alert in alerts:
        labels, annotations = alert["labels"], alert["annotations"]
        assert (labels["model_name"], labels["severity"]) == ("fraud", "critical")
        assert annotations["summary"].startswith(f"High error rate for fraud {labels['model_version']}")
        share = float(annotations["description"].partition("%")[0])
        assert 5 < share < 50, annotations["description"]
        assert annotations["runbook_url"].endswith(f"/{ALERT}.md")
        assert [receiver["name"] for receiver in alert["receivers"]] == ["critical"]

    with traffic(url, tmp_path / "after.csv", *WITHOUT_OTHER_TROUBLE, "--errors", "0"):
        eventually(f"{ALERT} to resolve", lambda: not fired(live), timeout_s=90)


def test_one_error_in_two_hundred_stays_silent(start_stack: StartStack, tmp_path: Path) -> None:
    live = start_stack(example=True, traffic=False, speed=SPEED)
    options = (*WITHOUT_OTHER_TROUBLE, "--errors", "0.005", "--requests", str(SILENT_REQUESTS))
    with traffic(live.stack.url("example"), tmp_path / "sent.csv", *options) as (client, log):
        finish(client)
    errors = sum(count for (_, _, status), count in log.answered().items() if status == "error")
    ratio = "model_version:model_inference_errors:ratio_rate5m"

    assert 0 < errors / SILENT_REQUESTS < 0.01
    assert (live.value(f"max(max_over_time({ratio}[5m]))") or 0) > 0, "the rules have not seen the errors"
    assert live.query(f'max_over_time(ALERTS{{alertname="{ALERT}",alertstate="firing"}}[5m])') == []
    assert fired(live) == []


def fired(live: LiveStack, versions: int = 1) -> list[dict[str, Any]]:
    """Return our alerts that Alertmanager holds as active; nothing while there are fewer than wanted."""
    ours = [alert for alert in live.alerts() if alert["labels"]["alertname"] == ALERT]
    active = [alert for alert in ours if alert["status"]["state"] == "active"]
    return active if len(active) >= versions else []
