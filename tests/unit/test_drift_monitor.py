"""Monitors: threads, units, samples, decorated functions, configurations that come and go."""

from __future__ import annotations

import inspect
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pydantic import BaseModel
from tests.conftest import Errors, FakeClock
from tests.unit.drift_counts import ONE_ROW, VALUES, bins, dropped, reference

import infermeter
from infermeter import ConfigError, DriftMonitor, DriftReference, runtime
from infermeter.testing import capture


@pytest.fixture
def monitor() -> DriftMonitor:
    return infermeter.monitor_drift("fraud", reference(), version="3", ignore=["id"])


def test_threads_count_without_losing_any(captured_metrics, monitor):
    def work() -> None:
        for _ in range(2_000):
            monitor.observe([5.0, 25.0, "CH"])
            monitor.observe_batch([[5.0, 25.0, "CH"]] * 3)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 8 * 2_000 * 4)


def test_every_bin_is_there_from_the_start_and_its_reference(captured_metrics, monitor):
    values = {(point.labels["feature"], point.labels["bin"]) for point in captured_metrics.points(VALUES)}
    ratios = {
        (p.labels["feature"], p.labels["bin"]): p.value
        for p in captured_metrics.points("model_feature_reference_ratio")
    }

    numbers = {(name, place) for name in ("amount", "age") for place in ("00", "01", "02", "missing")}
    assert values == numbers | {("country", place) for place in ("AT", "CH", "other", "missing")}
    assert set(ratios) == values
    for feature in ("amount", "age", "country"):
        assert sum(ratio for (name, _), ratio in ratios.items() if name == feature) == pytest.approx(1)
    assert ratios["amount", "missing"] == 0.5 / (30 + 0.5 * 4)
    assert captured_metrics.value("model_feature_reference_samples", feature="age") == 30
    (info,) = captured_metrics.points("model_info", model_name="fraud")
    assert info.labels["reference"] == reference().hash


def test_classes_and_confidence_are_compared_where_the_reference_has_them(captured_metrics):
    made = DriftReference.from_columns(
        {"x": [1.0, 2.0, 3.0, 4.0]}, prediction=["a", "a", "b", "a"], confidence=[0.1, 0.95, 0.951, 1.0]
    )
    infermeter.monitor_drift("fraud", made, version="3")
    infermeter.record_prediction("fraud", version="3", label="b", confidence=0.1)

    classes = {p.labels["bin"]: p.value for p in captured_metrics.points(VALUES, feature="prediction")}
    assert classes == {"a": 0, "b": 1}
    confidence = {p.labels["bin"]: p.value for p in captured_metrics.points(VALUES, feature="confidence")}
    assert confidence == {f"{i:02d}": 1 if i == 0 else 0 for i in range(12)}
    shares = captured_metrics.points("model_feature_reference_ratio", feature="confidence")
    assert [p.labels["bin"] for p in shares if p.value > 0.1] == ["00", "09", "10", "11"]


def test_confidence_is_a_feature_without_any_reference(captured_metrics):
    infermeter.record_prediction("fraud", version="3", confidence=0.42)
    infermeter.record_prediction("fraud", version="4", confidence=0.42)

    assert captured_metrics.value(VALUES, feature="confidence", bin="04", model_version="3") == 1
    assert captured_metrics.value(VALUES, feature="confidence") == 2


def test_declared_bins_take_no_place_under_the_cap(monitor):
    with capture() as captured:
        assert captured.value("infermeter_series") <= 2
        assert len(captured.points(VALUES)) == 12


def test_a_unit_counts_once_within_a_window(captured_metrics, fake_clock: FakeClock):
    monitor = infermeter.monitor_drift("fraud", reference(), unit_window_s=60)
    row = [5.0, 25.0, "CH"]

    for _ in range(20):
        monitor.observe(row, unit="alice")
        monitor.observe(row, unit=("bob", 7))
    monitor.observe(row)
    assert bins(captured_metrics)["amount/00"] == 3
    fake_clock.advance(59)
    monitor.observe(row, unit="alice")
    assert bins(captured_metrics)["amount/00"] == 3
    fake_clock.advance(62)
    monitor.observe(row, unit="alice")
    assert bins(captured_metrics)["amount/00"] in (3, 4)
    fake_clock.advance(60)
    monitor.observe(row, unit="alice")
    assert bins(captured_metrics)["amount/00"] == 4


def test_units_of_a_batch_are_one_per_row(captured_metrics, monitor):
    rows = np.array([[5.0, 25.0, "CH"]] * 4, dtype=object)

    monitor.observe_batch(rows, units=["a", "b", "a", "a"])
    monitor.observe_batch(pd.DataFrame({"amount": [5.0] * 2, "age": [25.0] * 2, "country": ["CH"] * 2}), units="bc")
    monitor.observe_batch(pl.DataFrame({"amount": [5.0], "age": [25.0], "country": ["CH"]}), units=["d"])
    monitor.observe_batch({"amount": [5.0], "age": [25.0], "country": ["CH"]}, units=["d"])
    monitor.observe_batch(rows, units=["x"])

    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 4)
    assert dropped(captured_metrics) == {"units": 4}


def test_units_are_remembered_in_bounded_memory_and_as_no_text():
    from infermeter.drift.units import SeenUnits

    seen = SeenUnits(3600, limit=100)
    for i in range(10_000):
        seen.first(f"user {i}")

    assert len(seen._now) + len(seen._before) <= 200
    assert all(type(held) is int for held in seen._now)


def test_a_sample_counts_its_share(captured_metrics):
    monitor = infermeter.monitor_drift("fraud", reference(), sample_ratio=0.1)

    for _ in range(5_000):
        monitor.observe([5.0, 25.0, "CH"])
    monitor.observe_batch(np.array([[5.0, 25.0, "CH"]] * 5_000, dtype=object))

    assert 800 < bins(captured_metrics)["amount/00"] < 1_200


def test_sampling_leaves_the_hosts_random_numbers_alone(captured_metrics):
    import random

    monitor = infermeter.monitor_drift("fraud", reference(), sample_ratio=0.5)
    random.seed(3)
    expected = [random.random() for _ in range(3)]
    random.seed(3)
    found = []
    for _ in range(3):
        monitor.observe([5.0, 25.0, "CH"])
        found.append(random.random())
    assert found == expected


def test_inputs_are_found_by_name_and_the_signature_stays(captured_metrics, monitor):
    class Body(BaseModel):
        features: list[object]

    @monitor.inputs("body.features")
    def predict(user: str, body: Body) -> str:
        return user

    @monitor.inputs("rows", batch=True)
    async def predict_many(*, rows: list[list[object]]) -> int:
        return len(rows)

    @monitor.inputs(lambda model_name, model_version, features: features)
    def bare(model_name: str, model_version: str, features: object) -> None: ...

    assert predict("alice", Body(features=[5.0, 25.0, "CH"])) == "alice"
    assert predict(user="bob", body=Body(features=[5.0, 25.0, "CH"])) == "bob"
    bare("fraud", "3", {"amount": 5.0, "age": 25.0, "country": "CH"})

    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 3)
    assert inspect.iscoroutinefunction(predict_many)
    assert list(inspect.signature(predict).parameters) == ["user", "body"]


async def test_inputs_of_a_coroutine_count_as_many_rows(captured_metrics, monitor):
    @monitor.inputs("rows", batch=True)
    async def predict(rows: list[list[object]]) -> int:
        return len(rows)

    assert await predict([[5.0, 25.0, "CH"]] * 3) == 3
    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 3)


def test_inputs_that_are_not_there_are_the_functions_business(monitor, swallowed: Errors):
    @monitor.inputs("body.features")
    def predict(body: object) -> object:
        return body

    with capture(strict=False) as captured:
        assert predict(None) is None
        assert dropped(captured) == {"AttributeError": 1}


def test_inputs_refuses_at_decoration_what_it_cannot_find(monitor):
    with pytest.raises(ConfigError, match="has no argument 'features', it has body"):

        @monitor.inputs("features")
        def predict(body: object) -> None: ...

    with pytest.raises(ConfigError, match="call observe"):

        @monitor.inputs("rows")
        def stream(rows: object):
            yield rows


def test_before_configure_everything_is_a_no_op(monitor):
    monitor.observe([5.0, 25.0, "CH"])
    monitor.observe_batch(np.zeros((2, 3)))

    with capture() as captured:
        assert bins(captured) == {}
        monitor.observe([5.0, 25.0, "CH"])
        assert bins(captured) == ONE_ROW


def test_a_new_configuration_starts_from_zero(monitor):
    with capture():
        monitor.observe([5.0, 25.0, "CH"])
    with capture() as captured:
        monitor.observe([5.0, 25.0, "CH"])
        assert bins(captured) == ONE_ROW
    assert runtime.live is None


def test_another_reference_needs_another_version(monitor):
    other = DriftReference.from_columns({"amount": [1.0, 2.0]})

    with pytest.raises(ConfigError, match="its own version"):
        infermeter.monitor_drift("fraud", other, version="3")
    infermeter.monitor_drift("fraud", other, version="4")
    again = infermeter.monitor_drift("fraud", reference(), version="3")
    with capture() as captured:
        monitor.observe([5.0, 25.0, "CH"])
        again.observe([5.0, 25.0, "CH"])
        assert bins(captured) == dict.fromkeys(ONE_ROW, 2)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"model": ""}, "model"),
        ({"sample_ratio": 0}, "sample_ratio"),
        ({"sample_ratio": 1.5}, "sample_ratio"),
        ({"sample_ratio": True}, "sample_ratio"),
        ({"unit_window_s": 0}, "unit_window_s"),
        ({"max_units": 0}, "max_units"),
        ({"features": ["amount", "age"]}, "does not take country"),
        ({"features": ["amount", "age", "country", "zip"]}, "lacks zip"),
        ({"features": ["age", "amount", "country"]}, "another order"),
        ({"reference": "/nowhere/at/all.json"}, "/nowhere/at/all.json"),
    ],
)
def test_what_does_not_fit_is_said_at_start(arguments, names):
    given = {"model": "fraud", "reference": reference(), **arguments}

    with pytest.raises(ConfigError, match=names):
        infermeter.monitor_drift(**given)
    with capture() as captured:
        assert captured.points(VALUES) == []
