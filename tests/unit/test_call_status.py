"""How a call ended, told from what it raised; failures are counted by a capped class name."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest
from tests.unit.test_wrapped_generators import statuses

import infermeter
from infermeter.testing import CapturedMetrics, capture

fraud = infermeter.instrument_inference("fraud")


def http_error(code: object) -> Exception:
    error = RuntimeError("from a framework")
    error.status_code = code  # type: ignore[attr-defined]
    return error


class ClientDisconnect(Exception):  # noqa: N818  named as starlette's
    pass


class HostileError(Exception):
    @property
    def status_code(self) -> int:
        raise RuntimeError("no status for you")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError(), "error"),
        (SystemExit(1), "error"),
        (KeyboardInterrupt(), "error"),
        (TimeoutError(), "timeout"),
        (asyncio.TimeoutError(), "timeout"),
        (concurrent.futures.TimeoutError(), "timeout"),
        (ConnectionAbortedError(), "error"),
        (asyncio.CancelledError(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (ClientDisconnect(), "cancelled"),
        (http_error(400), "rejected"),
        (http_error(422), "rejected"),
        (http_error(499), "rejected"),
        (http_error(399), "error"),
        (http_error(500), "error"),
        (http_error("404"), "error"),
        (http_error(True), "error"),
        (http_error(None), "error"),
    ],
    ids=repr,
)
def test_the_exception_decides(error: BaseException, status: str, captured_metrics: CapturedMetrics) -> None:
    with pytest.raises(type(error)) as caught, fraud:
        raise error

    assert caught.value is error
    assert statuses(captured_metrics) == {status: 1}
    failures = captured_metrics.value("model_inference_exceptions_total", error_type=type(error).__name__)
    assert failures == (1 if status in ("error", "timeout") else 0)
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_an_exception_that_fails_when_looked_at_passes_and_leaves_nothing_in_flight(
    swallowed: list[tuple[str, Exception]],
) -> None:
    with capture(strict=False) as captured:
        with pytest.raises(HostileError), fraud:
            raise HostileError
        with pytest.raises(HostileError):
            fraud(raise_hostile)()

        assert captured.value("model_inference_in_flight") == 0
        assert statuses(captured) == {"error": 2}


def raise_hostile() -> None:
    raise HostileError


def test_success_and_error_start_at_zero_when_a_model_is_registered(captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("fraud", version="3")

    points = captured_metrics.points("model_inference_requests_total")
    assert [(point.labels["status"], point.value) for point in points] == [("success", 0), ("error", 0)]
    assert captured_metrics.points("model_inference_latency_seconds")[0].counts == (0,) * 9


def test_error_types_are_capped_and_the_rest_counted_as_other(captured_metrics: CapturedMetrics) -> None:
    for i in range(30):
        with pytest.raises(Exception, match=r"^$"), fraud:
            raise type(f"Generated{i}", (Exception,), {})

    points = captured_metrics.points("model_inference_exceptions_total")
    assert len(points) == 21
    assert sum(point.value for point in points) == 30
    assert captured_metrics.value("model_inference_exceptions_total", error_type="other") == 10
    assert captured_metrics.value("infermeter_dropped_total", reason="error_type_limit") == 10


def test_no_text_of_an_exception_becomes_a_label(captured_metrics: CapturedMetrics) -> None:
    with pytest.raises(ValueError, match="secret"), fraud:
        raise ValueError("secret of user 42")

    assert "secret" not in str(captured_metrics.families())


def test_an_exception_class_with_an_endless_name_is_cut(captured_metrics: CapturedMetrics) -> None:
    with pytest.raises(Exception, match=r"^$"), fraud:
        raise type("E" * 10_000, (Exception,), {})

    assert max(len(p.labels["error_type"]) for p in captured_metrics.points("model_inference_exceptions_total")) <= 128
