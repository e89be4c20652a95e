"""What `infermeter top` makes of Prometheus' answers, and how it shows them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from infermeter.cli import top as top_module
from infermeter.cli.commands import infermeter
from infermeter.cli.diagnosis.backend import Backend, NoAnswerError
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.overview.numbers import expressions, read_overview
from infermeter.cli.overview.tables import draw

FRAUD = {"namespace": "prod", "model_name": "fraud", "model_version": "3"}
GPU = {"host": "node-1", "gpu": "0", "UUID": "GPU-1"}
RED, YELLOW = "31m", "33m"


class Answers(Backend):
    """A Prometheus that answers by the names of the numbers."""

    def __init__(self, answers: dict[str, list[tuple[dict[str, str], float]]], alerts: list[Any] | None = None) -> None:
        super().__init__("http://prometheus.example")
        self.rows = {expressions("1m")[name]: rows for name, rows in answers.items()}
        self.alerts = alerts or []

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        return self.rows.get(expression, [])

    def get(self, path: str, **parameters: str) -> Any:
        assert path == "/api/v1/alerts"
        return {"data": {"alerts": self.alerts}}


def shown(prometheus: Backend) -> str:
    console = Console(width=160, force_terminal=True, color_system="standard", no_color=False)
    with console.capture() as captured:
        console.print(draw(read_overview(prometheus, window="1m")))
    return captured.get()


def row(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if start in line)


def test_a_model_is_one_row_with_its_numbers_in_readable_units() -> None:
    text = shown(
        Answers(
            {
                "requests": [(FRAUD, 1234.5)],
                "failed": [(FRAUD, 0.0)],
                "p50": [(FRAUD, 0.0123)],
                "p99": [(FRAUD, 0.19)],
                "sla": [({"namespace": "prod", "model_name": "fraud"}, 0.2)],
                "over_sla": [(FRAUD, 0.001)],
                "waiting": [(FRAUD, 7.0)],
            }
        )
    )

    assert row(text, "fraud").split() == ["fraud", "3", "prod", "1,234", "0.00", "%", "12.3", "ms", "-", "190", "ms",
                                          "200", "ms", "99.90", "%", "-", "7"]  # fmt: skip


def test_what_nobody_reports_is_absent_and_null() -> None:
    overview = read_overview(Answers({"requests": [(FRAUD, 1.0)]}), window="1m")

    assert (overview.models[0].p99_s, overview.models[0].waiting, overview.gpu_busy_ratio) == (None, None, None)


@pytest.mark.parametrize(
    ("answers", "start", "colour"),
    [
        ({"requests": [(FRAUD, 1.0)], "failed": [(FRAUD, 0.02)]}, "fraud", RED),
        ({"requests": [(FRAUD, 1.0)], "failed": [(FRAUD, 0.006)]}, "fraud", YELLOW),
        ({"requests": [(FRAUD, 1.0)], "failed": [(FRAUD, 0.004)]}, "fraud", None),
        ({"requests": [(FRAUD, 1.0)], "p99": [(FRAUD, 0.6)]}, "fraud", RED),
        ({"requests": [(FRAUD, 1.0)], "p99": [(FRAUD, 0.4)]}, "fraud", None),
        ({"busy": [(GPU, 0.2)]}, "node-1", YELLOW),
        ({"busy": [(GPU, 0.4)]}, "node-1", None),
        ({"busy": [(GPU, 0.4)], "temperature": [({"UUID": "GPU-1"}, 91.0)]}, "node-1", RED),
    ],
)
def test_colour_means_that_a_threshold_is_passed(answers: dict[str, Any], start: str, colour: str | None) -> None:
    line = row(shown(Answers(answers)), start)

    assert [code for code in (RED, YELLOW) if code in line] == ([] if colour is None else [colour])


def test_memory_of_a_gpu_is_used_of_all() -> None:
    text = shown(Answers({"memory_used": [(GPU, 2**31)], "memory_free": [(GPU, 2**31)]}))

    assert row(text, "node-1").split()[2:] == ["-", "2.0", "GiB", "4.0", "GiB", "-", "-"]


def test_an_overdue_pipeline_is_seen() -> None:
    nightly = {"namespace": "prod", "pipeline": "nightly"}
    text = shown(Answers({"last_success": [(nightly, 200_000.0)], "interval": [(nightly, 86_400.0)]}))

    assert RED in row(text, "nightly")
    assert "2.3 d ago" in row(text, "nightly")


def alert(name: str, state: str, severity: str) -> dict[str, Any]:
    labels = {"alertname": name, "severity": severity, "model_name": "[red]fraud"}
    return {"labels": labels, "annotations": {}, "state": state, "activeAt": "2026-01-02T03:04:05.6Z"}


def test_firing_alerts_come_first_those_that_notify_nobody_never_and_labels_stay_text() -> None:
    alerts = [alert("Waiting", "pending", "critical"), alert("Burning", "firing", "critical"),
              alert("Canary", "firing", "none")]  # fmt: skip
    text = shown(Answers({}, alerts))

    assert "Canary" not in text
    assert text.index("Burning") < text.index("Waiting")
    assert "2026-01-02 03:04:05Z" in text
    assert "[red]fraud" in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_narrow_terminal_has_fewer_columns_and_whole_numbers(width: int) -> None:
    long = {"namespace": "production-eu", "model_name": "fraud-transformer", "model_version": "2026-11-27"}
    numbers = {"requests": 12345.0, "failed": 0.0234, "p50": 0.1234, "p95": 0.5678, "p99": 1.2345, "over_sla": 0.1}
    prometheus = Answers(
        {name: [(long, value)] for name, value in numbers.items()},
        alerts=[alert("HighPredictionErrorRate", "firing", "critical")],
    )
    console = Console(width=width)
    with console.capture() as captured:
        console.print(draw(read_overview(prometheus, window="1m")))
    text = captured.get()
    assert "…" not in text
    for number in ("12,345", "2.34 %", "1.23 s"):
        assert number in text
    assert "HighPredictionErrorRate" in text
    assert ("Left out for want of room: p95" in text) == (width < 140)


def test_without_any_model_the_next_step_is_told() -> None:
    assert "infermeter demo" in shown(Answers({}))


def test_json_has_every_number_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_module, "Backend", lambda _url: Answers({"requests": [(FRAUD, 2.0)], "total": [({}, 2.0)]}))

    answer = json.loads(CliRunner().invoke(infermeter, ["top", "--json"]).stdout)

    assert answer["requests_per_s"] == 2.0
    assert answer["models"][0]["requests_per_s"] == 2.0
    assert answer["models"][0]["p99_s"] is None


def test_a_prometheus_that_is_away_is_an_exit_status_and_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise NoAnswerError("does not answer")

    monkeypatch.setattr(top_module, "read_overview", away)
    failed = CliRunner().invoke(infermeter, ["top", "--prometheus", "http://127.0.0.1:9"])

    assert failed.exit_code == ExitCode.NOT_RUNNING
    assert "infermeter up" in failed.stderr


def test_a_window_that_is_none_is_a_usage_error() -> None:
    assert CliRunner().invoke(infermeter, ["top", "--window", "a while"]).exit_code == ExitCode.USAGE
