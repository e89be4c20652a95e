"""Rows in whatever form callers have them, good and bad: every value counts once, nothing is raised."""

from __future__ import annotations

import math
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
from tests.conftest import Errors
from tests.unit.drift_counts import ONE_ROW, VALUES, bins, dropped, reference

import infermeter
from infermeter import DriftMonitor, DriftReference
from infermeter.testing import capture


@pytest.fixture
def monitor() -> DriftMonitor:
    return infermeter.monitor_drift("fraud", reference(), version="3", ignore=["id"])


@dataclass
class Record:
    amount: float
    age: float
    country: str


class Model(BaseModel):
    amount: float
    age: float
    country: str


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


@pytest.mark.parametrize("rows", [1, 2, 10, 11, 85, 86, 200])
@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, pl.DataFrame], ids=["array", "pandas", "polars"])
def test_few_rows_count_as_many_do(captured_metrics, form, rows):
    random = np.random.default_rng(rows)
    values = random.normal(size=(rows, 12)).round(1)
    values[random.random(values.shape) < 0.05] = math.nan
    values[random.random(values.shape) < 0.05] = math.inf
    names = [f"f{i}" for i in range(12)]
    made = DriftReference.from_columns(dict(zip(names, random.normal(size=(12, 500)).round(1), strict=True)))
    one, many = (infermeter.monitor_drift(name, made) for name in ("one", "many"))

    for row in values.tolist():
        one.observe(row)
    many.observe_batch(values if form is np.asarray else form(dict(zip(names, values.T, strict=True))))

    counts = [[p.value for p in captured_metrics.points(VALUES, model_name=model)] for model in ("one", "many")]
    assert counts[0] == counts[1]
    assert sum(dropped(captured_metrics).values()) == 2 * np.isinf(values).sum()


@pytest.mark.parametrize("rows", [1, 100, 1_000])
def test_a_category_in_a_frame_of_numbers_stays_the_same(captured_metrics, rows):
    merchants = [2**53 + 1, 2**53 + 2]
    made = DriftReference.from_columns({"x": [0.1, 0.2], "merchant": merchants}, categorical=["merchant"], bins=2)
    monitor = infermeter.monitor_drift("merchants", made)

    monitor.observe_batch(pd.DataFrame({"x": [0.1] * rows, "merchant": merchants[:1] * rows}))
    monitor.observe_batch(pl.DataFrame({"x": [0.1] * rows, "merchant": merchants[:1] * rows}))

    assert bins(captured_metrics) == {"x/00": 2 * rows, f"merchant/{2**53 + 1}": 2 * rows}


@pytest.mark.parametrize("times", [1, 100])
def test_single_precision_falls_into_the_bin_of_its_exact_value(captured_metrics, times):
    made = DriftReference.from_columns({"x": [0.1, 0.1, 0.3]}, bins=2)
    row, batch = infermeter.monitor_drift("row", made), infermeter.monitor_drift("batch", made)
    values = np.array([[0.1], [0.3]] * times, dtype=np.float32)

    for value in values:
        row.observe(value)
    batch.observe_batch(values)

    counts = [
        [point.value for point in captured_metrics.points(VALUES, model_name=model)] for model in ("row", "batch")
    ]
    assert counts[0] == counts[1]
