"""What is counted of the rows a model is asked: every value once, whatever its form, and nothing raised."""

from __future__ import annotations

import inspect
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pydantic import BaseModel
from tests.conftest import Errors, FakeClock

import infermeter
from infermeter import ConfigError, DriftMonitor, DriftReference, runtime
from infermeter.testing import CapturedMetrics, capture

VALUES, DROPPED = "model_feature_values_total", "infermeter_dropped_total"


def reference() -> DriftReference:
    """Three features: ``amount`` in bins 00 (below 10), 01 (below 20), 02; ``age``, the same; ``country``."""
    numbers = [*[5.0] * 10, *[10.0] * 10, *[20.0] * 10]
    return DriftReference.from_columns(
        {"amount": numbers, "age": numbers, "country": ["AT", "CH", "DE"] * 10}, bins=3, top_k=2
    )


@pytest.fixture
def monitor() -> DriftMonitor:
    return infermeter.monitor_drift("fraud", reference(), version="3", ignore=["id"])


def bins(captured: CapturedMetrics) -> dict[str, float]:
    """Return what was counted, without zeros, as ``feature/bin``."""
    return {
        f"{point.labels['feature']}/{point.labels['bin']}": point.value
        for point in captured.points(VALUES)
        if point.value
    }


def dropped(captured: CapturedMetrics) -> dict[str, float]:
    return {point.labels["reason"]: point.value for point in captured.points(DROPPED, where="drift")}


@dataclass
class Record:
    amount: float
    age: float
    country: str


class Model(BaseModel):
    amount: float
    age: float
    country: str


ONE_ROW = {"amount/00": 1, "age/02": 1, "country/CH": 1}


@pytest.mark.parametrize(
    "row",
    [
        [5.0, 25.0, "CH"],
        (5, 25, "CH"),
        {"age": 25.0, "country": "CH", "amount": 5.0},
        OrderedDict(country="CH", amount=5.0, age=25.0),
        {"id": 7, "amount": 5.0, "age": 25.0, "country": "CH"},
        np.array([5.0, 25.0, "CH"], dtype=object),
        [np.float32(5.0), np.int64(25), np.str_("CH")],
        [Decimal("5.5"), Fraction(51, 2), "CH"],
        [True, 25, "CH"],
        [np.array(5.0), 25.0, b"CH"],
        Record(5.0, 25.0, "CH"),
        Model(amount=5.0, age=25.0, country="CH"),
        pd.Series({"amount": 5.0, "age": 25.0, "country": "CH"}),
        pd.Series([5.0, 25.0, "CH"]),
        np.array([(5.0, 25.0, "CH")], dtype=[("amount", float), ("age", float), ("country", "U2")])[0],
        pd.DataFrame({"amount": [5.0], "age": [25.0], "country": ["CH"]}),
        np.array([[5.0, 25.0, "CH"]], dtype=object),
    ],
    ids=lambda row: type(row).__name__,
)
def test_a_row_counts_once_in_whatever_form(captured_metrics, monitor, row):
    monitor.observe(row)

    assert bins(captured_metrics) == ONE_ROW
    assert dropped(captured_metrics) == {}


NAMES = ("amount", "age", "country")
TWO_ROWS = {"amount/00": 1, "amount/missing": 1, "age/02": 2, "country/CH": 1, "country/other": 1}


@pytest.mark.parametrize(
    "rows",
    [
        [[5.0, 25.0, "CH"], [None, 25.0, "XX"]],
        [{"amount": 5.0, "age": 25.0, "country": "CH"}, {"age": 25, "country": "XX"}],
        np.array([[5.0, 25.0, "CH"], [None, 25.0, "XX"]], dtype=object),
        {"amount": [5.0, math.nan], "age": np.array([25, 25]), "country": ["CH", "XX"]},
        pd.DataFrame({"amount": [5.0, None], "age": [25, 25], "country": ["CH", "XX"]}),
        pd.DataFrame({"amount": [5.0, None], "age": [25, 25], "country": ["CH", "XX"]}).astype(
            {"amount": "Float64", "age": "Int64", "country": "category"}
        ),
        pd.DataFrame([[5.0, 25.0, "CH"], [None, 25.0, "XX"]]),
        pl.DataFrame({"country": ["CH", "XX"], "amount": [5.0, None], "age": [25, 25], "id": [1, 2]}),
        pa.table({"country": ["CH", "XX"], "amount": [5.0, None], "age": [25, 25]}),
        np.array([(5.0, 25, "CH"), (math.nan, 25, "XX")], dtype=[("amount", float), ("age", int), ("country", "U2")]),
    ],
    ids=["lists", "dicts", "objects", "columns", "pandas", "nullable", "unnamed", "polars", "arrow", "structured"],
)
def test_many_rows_count_the_same_in_whatever_form(captured_metrics, monitor, rows):
    monitor.observe_batch(rows)

    assert bins(captured_metrics) == TWO_ROWS
    assert dropped(captured_metrics) == {}


FINE = {"age/02": 1, "country/CH": 1}


@pytest.mark.parametrize(
    ("row", "reason", "counted"),
    [
        ({"age": 25.0, "country": "CH"}, None, {"amount/missing": 1}),
        ({"amount": None, "age": 25.0, "country": "CH"}, None, {"amount/missing": 1}),
        ([math.nan, 25.0, "CH"], None, {"amount/missing": 1}),
        ([np.float32("nan"), 25.0, "CH"], None, {"amount/missing": 1}),
        ([pd.NA, 25.0, "CH"], None, {"amount/missing": 1}),
        ([pd.NaT, 25.0, "CH"], None, {"amount/missing": 1}),
        ([np.ma.masked, 25.0, "CH"], None, {"amount/missing": 1}),
        ([Decimal("NaN"), 25.0, "CH"], None, {"amount/missing": 1}),
        ({"amount": 5.0, "age": 25.0, "country": "CH", "what": 1, "else": 2}, "unknown_feature", {"amount/00": 1}),
        ([math.inf, 25.0, "CH"], "not_finite", {}),
        ([-math.inf, 25.0, "CH"], "not_finite", {}),
        ([10**400, 25.0, "CH"], "not_finite", {}),
        ([np.float32("inf"), 25.0, "CH"], "not_finite", {}),
        (["5.0", 25.0, "CH"], "type", {}),
        ([b"5", 25.0, "CH"], "type", {}),
        (["x" * 10_000_000, 25.0, "CH"], "type", {}),
        ([1 + 2j, 25.0, "CH"], "type", {}),
        ([[5.0], 25.0, "CH"], "type", {}),
        ([{"a": 1}, 25.0, "CH"], "type", {}),
        ([object(), 25.0, "CH"], "type", {}),
        ([np.array([5.0]), 25.0, "CH"], "type", {}),
        ([np.datetime64("2026-01-01"), 25.0, "CH"], "type", {}),
    ],
)  # fmt: skip
def test_a_bad_value_leaves_the_rest_of_its_row(captured_metrics, monitor, row, reason, counted):
    monitor.observe(row)

    assert bins(captured_metrics) == FINE | counted
    assert set(dropped(captured_metrics)) == ({reason} if reason else set())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([5.0, 25.0], "width"),
        ([5.0, 25.0, "CH", 1.0], "width"),
        ([], "width"),
        (np.array([]), "width"),
        (np.zeros(1_000_000), "width"),
        (np.zeros((1, 2)), "width"),
        (np.float64(3.0), "row_type"),
        (np.array(3.0), "shape"),
        (np.zeros((2, 3, 4)), "shape"),
        (None, "row_type"),
        ("abc", "row_type"),
        (5, "row_type"),
        (object(), "row_type"),
        (Record, "row_type"),
        ({1, 2, 3}, "row_type"),
    ],
    ids=repr,
)
def test_what_is_no_row_of_the_model_is_dropped_whole(captured_metrics, monitor, row, reason):
    monitor.observe(row)

    assert bins(captured_metrics) == {}
    assert set(dropped(captured_metrics)) <= {reason, "shape"}
    assert sum(dropped(captured_metrics).values()) == 1


@pytest.mark.parametrize(
    ("rows", "counted", "lost"),
    [
        (np.zeros((0, 3)), {}, {}),
        (np.zeros((4, 2)), {}, {"width": 4}),
        (np.array(1.0), {}, {"shape": 1}),
        (np.zeros(3), {}, {"shape": 1}),
        ("abc", {}, {"row_type": 1}),
        (None, {}, {"row_type": 1}),
        ([], {}, {}),
        ([5.0, 25.0], {}, {"row_type": 2}),
        ({"amount": [5.0, 5.0], "age": [25.0], "country": ["CH", "CH"]},
         {"amount/00": 2, "country/CH": 2}, {"shape": 2}),
        ({"amount": [5.0], "age": [25.0], "country": ["CH"], "what": [1]}, ONE_ROW, {"unknown_feature": 1}),
        ({}, {}, {}),
        (pd.DataFrame(), {}, {}),
        (pd.DataFrame({"amount": ["a", "b"]}), {"age/missing": 2, "country/missing": 2}, {"type": 2}),
        (pd.DataFrame({"amount": pd.Categorical([5.0, 25.0])}),
         {"amount/00": 1, "amount/02": 1, "age/missing": 2, "country/missing": 2}, {}),
        (pd.DataFrame({"amount": [math.inf, 5.0]}),
         {"amount/00": 1, "age/missing": 2, "country/missing": 2}, {"not_finite": 1}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_bad_batches_count_what_is_good_in_them(captured_metrics, monitor, rows, counted, lost):
    monitor.observe_batch(rows)

    assert bins(captured_metrics) == counted
    assert dropped(captured_metrics) == lost


def test_a_value_that_raises_is_kept_from_the_host(monitor, swallowed: Errors):
    class Trap:
        def __float__(self) -> float:
            raise RuntimeError("not today")

    with capture(strict=False) as captured:
        monitor.observe([Trap(), 25.0, "CH"])

        assert bins(captured) == FINE
        assert dropped(captured) == {"RuntimeError": 1}
    assert len(swallowed) == 1


def test_categories_count_as_text_and_in_the_length_of_a_label(captured_metrics):
    names = ["x" * 200, "7", "True"]
    made = DriftReference.from_columns({"kind": names * 3})
    monitor = infermeter.monitor_drift("kinds", made)

    for value in (
        "x" * 200,
        "x" * 128,
        7,
        7.0,
        np.int8(7),
        True,
        np.bool_(True),
        "other",
        "missing",
        "ÿ",
        "\ud800",
        7.5,
    ):
        monitor.observe([value])

    counted = bins(captured_metrics)
    assert counted == {f"kind/{'x' * 128}": 2, "kind/7": 3, "kind/True": 2, "kind/other": 5}


def test_a_matrix_counts_as_its_rows_do(captured_metrics):
    random = np.random.default_rng(11)
    rows = random.normal(size=(3_000, 12)).round(1)  # values that lie on edges, too
    rows[random.random(rows.shape) < 0.02] = math.nan
    rows[random.random(rows.shape) < 0.01] = math.inf
    names = [f"f{i}" for i in range(12)]
    made = DriftReference.from_columns(dict(zip(names, random.normal(size=(12, 500)).round(1), strict=True)))
    one, many, by_name = (infermeter.monitor_drift(name, made) for name in ("one", "many", "by_name"))

    for row in rows.tolist():
        one.observe(row)
    many.observe_batch(rows[:1_000])
    many.observe_batch(rows[1_000:].astype(np.float64, order="F"))
    by_name.observe_batch(pd.DataFrame(rows, columns=names))

    def counts(model: str) -> dict[tuple[str, str], float]:
        return {
            (point.labels["feature"], point.labels["bin"]): point.value
            for point in captured_metrics.points(VALUES, model_name=model)
        }

    assert counts("one") == counts("many") == counts("by_name")
    infinite = int(np.isinf(rows).sum())
    assert sum(counts("one").values()) == rows.size - infinite
    assert dropped(captured_metrics) == {"not_finite": 3 * infinite}


def test_single_precision_falls_into_the_bin_of_its_exact_value(captured_metrics):
    made = DriftReference.from_columns({"x": [0.1, 0.1, 0.3]}, bins=2)
    row, batch = infermeter.monitor_drift("row", made), infermeter.monitor_drift("batch", made)
    values = np.array([[0.1], [0.3]], dtype=np.float32)

    for value in values:
        row.observe(value)
    batch.observe_batch(values)

    counts = [
        [point.value for point in captured_metrics.points(VALUES, model_name=model)] for model in ("row", "batch")
    ]
    assert counts[0] == counts[1]


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
    for feature in NAMES:
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
