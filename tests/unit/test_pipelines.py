"""Runs of pipelines: what they count, and that each run leaves the process exactly once."""

from __future__ import annotations

import asyncio
import inspect
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from tests.conftest import FakeClock
from tests.otlp_sink import OtlpSink

import infermeter
from infermeter import runtime
from infermeter.testing import CapturedMetrics

RUNS, SUCCESS = "pipeline_runs_total", "pipeline_last_success_timestamp_seconds"
DURATION, DATA = "pipeline_run_duration_seconds", "pipeline_data_timestamp_seconds"
DAY = datetime(2026, 1, 31, 6, tzinfo=timezone.utc)


def runs(captured: CapturedMetrics, pipeline: str = "features") -> dict[str, float]:
    return {point.labels["status"]: point.value for point in captured.points(RUNS, pipeline=pipeline)}


def test_a_run_that_succeeds_says_when_how_long_and_how_new(captured_metrics, fake_clock: FakeClock):
    with infermeter.pipeline_run("features", expected_interval_s=86400, max_data_age_s=3600, max_duration_s=60) as run:
        assert runs(captured_metrics) == {"success": 0, "error": 0}
        fake_clock.advance(12.5)
        run.data_as_of(DAY)

    assert runs(captured_metrics) == {"success": 1, "error": 0}
    assert captured_metrics.value(DURATION) == 12.5
    assert captured_metrics.value(SUCCESS) == 1012.5
    assert captured_metrics.value(DATA) == DAY.timestamp()
    assert captured_metrics.value("pipeline_expected_interval_seconds") == 86400
    assert captured_metrics.value("pipeline_max_data_age_seconds") == 3600
    assert captured_metrics.value("pipeline_max_duration_seconds") == 60


@pytest.mark.parametrize(
    "error", [ValueError(), KeyboardInterrupt(), SystemExit(3), SystemExit("failed"), asyncio.CancelledError()]
)
def test_a_run_that_fails_has_no_success_and_no_data_time_and_its_exception_passes(captured_metrics, error):
    @infermeter.pipeline_run("features")
    def fails() -> None:
        with infermeter.pipeline_run("inner") as run:
            run.data_as_of(DAY)
            raise error

    with pytest.raises(type(error)) as raised:
        fails()

    assert raised.value is error
    assert runs(captured_metrics) == runs(captured_metrics, "inner") == {"success": 0, "error": 1}
    assert captured_metrics.points(SUCCESS) == captured_metrics.points(DATA) == []


@pytest.mark.parametrize("code", [None, 0])
def test_leaving_by_exit_0_is_a_success(captured_metrics, code):
    with pytest.raises(SystemExit), infermeter.pipeline_run("features"):
        raise SystemExit(code)

    assert runs(captured_metrics) == {"success": 1, "error": 0}


@infermeter.pipeline_run("features", expected_interval_s=60)
def build(fail: bool = False) -> int:
    """Build."""
    if fail:
        raise ValueError
    return 3


features = infermeter.pipeline_run("features")


@features
async def build_async(day: datetime) -> int:
    await asyncio.sleep(0)
    features.data_as_of(day)
    return 4


async def test_a_decorated_function_is_a_run_each_time(captured_metrics):
    assert build() == 3
    with pytest.raises(ValueError, match=r"^$"):
        build(fail=True)
    assert await asyncio.gather(build_async(DAY), build_async(DAY)) == [4, 4]

    assert runs(captured_metrics) == {"success": 3, "error": 1}
    assert captured_metrics.value(DATA) == DAY.timestamp()
    assert build.__doc__ == "Build."
    assert inspect.iscoroutinefunction(build_async)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (DAY, DAY.timestamp()),
        (DAY.astimezone(timezone(timedelta(hours=5))), DAY.timestamp()),
        (DAY.astimezone().replace(tzinfo=None), DAY.timestamp()),
        (17, 17.0),
        (17.5, 17.5),
    ],
)
def test_times_of_every_usual_kind_are_taken(captured_metrics, given, seconds):
    with infermeter.pipeline_run("features") as run:
        run.data_as_of(given)

    assert captured_metrics.value(DATA) == seconds


def test_times_of_numpy_are_taken_as_utc(captured_metrics):
    numpy = pytest.importorskip("numpy")
    with infermeter.pipeline_run("features") as run:
        run.data_as_of(numpy.datetime64("2026-01-31T06:00:00"))

    assert captured_metrics.value(DATA) == DAY.timestamp()


@pytest.mark.parametrize("given", [None, "2026-01-31", float("nan"), float("inf"), True, [], DAY.date()])
def test_what_is_no_time_is_dropped_and_the_run_counts(captured_metrics, given):
    with infermeter.pipeline_run("features") as run:
        run.data_as_of(given)

    assert captured_metrics.points(DATA) == []
    assert runs(captured_metrics)["success"] == 1
    assert captured_metrics.value("infermeter_dropped_total", where="pipeline", reason="data_time") == 1


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "60", True])
def test_limits_that_are_none_are_refused_at_start(limit):
    with pytest.raises(infermeter.ConfigError, match="max_duration_s must be"):
        infermeter.pipeline_run("features", max_duration_s=limit)


def test_a_nameless_pipeline_is_refused_at_start():
    with pytest.raises(infermeter.ConfigError, match="pipeline must be a name"):
        infermeter.pipeline_run("")


def test_a_run_under_way_when_the_process_ends_is_an_error(captured_metrics):
    with infermeter.pipeline_run("features"):
        for hook in runtime.before_end:
            hook()
        assert runs(captured_metrics) == {"success": 0, "error": 1}

    assert runs(captured_metrics) == {"success": 0, "error": 1}


def told(sink: OtlpSink) -> list[tuple[float, int, int]]:
    """What the receiver was told of successful runs, push by push: how many, since when, until when."""
    return [
        (point.as_double or point.as_int, point.start_time_unix_nano, point.time_unix_nano)
        for received in sink.received
        for name, labels, point in received.points()
        if name == RUNS and labels["status"] == "success"
    ]


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_runs_leave_as_deltas_that_join_up(recorder: str, sink: OtlpSink, connect, fake_clock: FakeClock):
    connect(recorder=recorder)
    for runs_until_push in (1, 0, 3):
        for _ in range(runs_until_push):
            build()
        fake_clock.advance(10)
        assert infermeter.force_flush()

    pushes = told(sink)[-3:]
    assert sum(count for count, _, _ in told(sink)) == 4
    assert [count for count, _, _ in pushes][1:] == [0, 3]
    assert all(ended == started for (_, _, ended), (_, started, _) in pairwise(pushes))
    (metric,) = [
        metric
        for resource in sink.received[-1].message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == RUNS
    ]
    assert metric.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


def test_runs_that_could_not_be_told_are_told_with_the_next_push(sink: OtlpSink, connect):
    connect()
    assert infermeter.force_flush()
    sink.refuse(400)
    build()
    assert not infermeter.force_flush()
    sink.accept()
    build()
    assert infermeter.force_flush()

    assert sum(count for count, _, _ in told(sink)) == 2


def test_a_scraped_process_shows_totals():
    with infermeter.testing.capture() as captured:
        build()
        build()
        assert runs(captured) == {"success": 2, "error": 0}
