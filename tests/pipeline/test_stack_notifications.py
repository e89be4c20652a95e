"""From a firing rule to a receiver: severity, grouping by model, and warnings silent while their model is critical."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from tests.pipeline.conftest import StartStack
from tests.pipeline.live_stack import eventually

pytestmark = pytest.mark.pipeline


class Inbox:
    """A webhook receiver that keeps what it is sent."""

    def __init__(self) -> None:
        self.notifications: list[dict[str, Any]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                inbox.notifications.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def alerts(self) -> dict[str, str]:
        """Alert name (with its model) -> receiver, of everything received so far."""
        return {
            f"{alert['labels']['alertname']}/{alert['labels'].get('model_name', '')}": notification["receiver"]
            for notification in self.notifications
            for alert in notification["alerts"]
        }


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()
    thread = Thread(target=box.server.serve_forever)
    thread.start()
    yield box
    box.server.shutdown()
    thread.join()
    box.server.server_close()


def alert(name: str, severity: str, **labels: str) -> dict[str, Any]:
    return {"alert": name, "expr": "vector(1)", "labels": {"severity": severity, **labels}}


def test_notifications_arrive_by_severity_and_a_critical_model_silences_only_its_own_warnings(
    start_stack: StartStack, inbox: Inbox, tmp_path: Path
) -> None:
    rules = [
        alert("Slow", "critical", model_name="fraud", namespace="shop"),
        alert("Drifting", "warning", model_name="fraud", namespace="shop"),
        alert("Drifting", "warning", model_name="churn", namespace="shop"),
        alert("CollectorGone", "critical"),
        alert("GpuIdle", "warning"),
    ]
    content = {"groups": [{"name": "test", "interval": "1s", "rules": rules}]}
    (tmp_path / "test.rules.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    stack = start_stack(extra_rule_dirs=(tmp_path,), webhook_url=inbox.url, speed=60)

    def alerts() -> list[dict[str, Any]]:
        return [one for one in stack.alerts() if one["labels"]["alertname"] != "Watchdog"]  # which is always on

    eventually("every alert in Alertmanager", lambda: len(alerts()) == len(rules))
    wanted = {
        "Slow/fraud": "critical",
        "CollectorGone/": "critical",
        "Drifting/churn": "warning",
        "GpuIdle/": "warning",
    }
    eventually("the notifications", lambda: len(inbox.alerts()) >= len(wanted) and inbox.alerts())
    states = {
        f"{one['labels']['alertname']}/{one['labels'].get('model_name', '')}": one["status"]["state"]
        for one in alerts()
    }
    assert states.pop("Drifting/fraud") == "suppressed"
    assert set(states.values()) == {"active"}
    assert inbox.alerts() == wanted
