"""References: what is built from data, what survives a file, and what a bad file says."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.unit.drift_counts import VALUES

import infermeter
from infermeter import ConfigError, DriftReference
from infermeter.drift.features import CategoricalFeature, NumericFeature

random = np.random.default_rng(5)


def made(**columns: object) -> DriftReference:
    return DriftReference.from_columns(columns)


def test_numbers_lie_in_tenths_of_the_data():
    values = random.normal(size=10_000)
    (feature,) = made(x=values).features

    assert isinstance(feature, NumericFeature)
    assert feature.edges == tuple(np.quantile(values, np.arange(1, 10) / 10))
    assert feature.counts == (*[1_000] * 10, 0)
    assert feature.bins == (*(f"{i:02d}" for i in range(10)), "missing")


def test_equal_quantiles_are_merged_and_every_value_is_in_its_bin():
    values = np.repeat([0.0, 1.0, 2.0], [80, 15, 5])
    (feature,) = made(x=values).features

    assert len(set(feature.edges)) == len(feature.edges) < 9
    counted = [0] * len(feature.bins)
    for value in values.tolist():
        counted[feature.index(value)] += 1
    assert tuple(counted) == feature.counts


@pytest.mark.parametrize("constant", [0.0, -3.5, 1e300, 5e-324])
def test_a_constant_tells_what_lies_below_and_above_it(constant):
    (feature,) = made(x=[constant] * 50).features

    below, at, above = (
        feature.index(v) for v in (math.nextafter(constant, -math.inf), constant, math.nextafter(constant, math.inf))
    )
    assert below < at < above
    assert feature.counts[at] == 50


def test_missing_numbers_have_a_bin_and_infinite_ones_none():
    (feature,) = made(x=[1.0, 2.0, None, math.nan, math.inf]).features

    assert feature.counts[feature.missing] == 2
    assert sum(feature.counts) == 4


def test_categories_beyond_the_most_frequent_are_other():
    values = ["a"] * 5 + ["b"] * 3 + ["c", "d", None]
    reference = DriftReference.from_columns({"x": values}, top_k=2)

    (feature,) = reference.features
    assert feature.bins == ("a", "b", "other", "missing")
    assert feature.counts == (5, 3, 2, 1)


def test_whole_numbers_are_numbers_unless_they_are_names():
    codes = [8001, 8002, 8001, None]
    as_number, as_name = made(x=codes), DriftReference.from_columns({"x": codes}, categorical=["x"])

    assert isinstance(as_number.features[0], NumericFeature)
    (feature,) = as_name.features
    assert isinstance(feature, CategoricalFeature)
    assert feature.categories == ("8001", "8002")
    assert feature.index(8001.0) == feature.index("8001") == 0


FRAME = {
    "amount": [1.0, 2.0, None, 4.0],
    "kind": ["a", "b", "a", None],
    "flag": [True, False, True, True],
    "said": ["x", "y", "x", "x"],
    "sure": [0.1, 0.9, 0.95, 1.0],
}


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(FRAME), pl.DataFrame(FRAME), pa.table(FRAME)], ids=["pandas", "polars", "arrow"]
)
def test_frames_of_all_libraries_give_the_same_reference(frame):
    reference = DriftReference.from_frame(frame, prediction="said", confidence="sure")

    expected = DriftReference.from_columns(
        {name: FRAME[name] for name in ("amount", "kind", "flag")}, prediction=FRAME["said"], confidence=FRAME["sure"]
    )
    assert reference.hash == expected.hash
    assert reference.feature_names == ("amount", "kind", "flag")
    assert reference.classes == ("x", "y")
    assert reference.samples == 4


def test_a_file_keeps_everything(tmp_path: Path):
    reference = DriftReference.from_columns(
        {"x": random.normal(size=500), "kind": random.choice(["ä", "b"], 500)},
        prediction=random.choice(["yes", "no"], 500),
        confidence=random.uniform(size=500),
    )
    reference.save(tmp_path / "fraud-3.json")
    again = DriftReference.load(tmp_path / "fraud-3.json")

    assert again.hash == reference.hash
    assert (again.samples, again.created, again.feature_names) == (500, reference.created, ("x", "kind"))
    assert [(f.name, f.bins, f.counts) for f in again.features] == [
        (f.name, f.bins, f.counts) for f in reference.features
    ]
    assert again.features[0].edges == reference.features[0].edges
    assert list(tmp_path.iterdir()) == [tmp_path / "fraud-3.json"]
    assert (tmp_path / "fraud-3.json").stat().st_size < 4_000


def changed(content: dict[str, object], **changes: object) -> str:
    return json.dumps({**content, **changes})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda c: json.dumps(c)[:-40], "damaged, it is no JSON"),
        (lambda c: "[]", "no drift reference"),
        (lambda c: "null", "no drift reference"),
        (lambda c: changed(c, format="other"), "no drift reference"),
        (lambda c: changed(c, format_version=2), "upgrade infermeter"),
        (lambda c: changed(c, format_version="1"), "format '1'"),
        (lambda c: changed(c, samples=501), "was edited"),
        (lambda c: changed(c, features=c["features"][:1]), "was edited"),
        (lambda c: changed(c, features=[{**c["features"][0], "counts": [1, 2]}]), "2 counts for 11 bins"),
        (lambda c: changed(c, features=[{**c["features"][0], "counts": [-1] * 11}]), "-1 is no count"),
        (lambda c: changed(c, features=[{**c["features"][0], "edges": [3, 1]}]), "do not ascend"),
        (lambda c: changed(c, features=[{**c["features"][0], "kind": "other"}]), "unknown kind"),
        (lambda c: changed(c, features=None), "damaged"),
    ],
)  # fmt: skip
def test_a_bad_file_says_what_is_wrong_and_where(tmp_path: Path, damage, says):
    path = tmp_path / "reference.json"
    made(x=random.normal(size=500), y=random.normal(size=500)).save(path)
    path.write_text(damage(json.loads(path.read_text())))

    with pytest.raises(ConfigError, match=says) as raised:
        DriftReference.load(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file"):
        DriftReference.load(tmp_path / "nothing.json")
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ConfigError, match="damaged"):
        DriftReference.load(tmp_path / "picture")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"columns": {}}, "at least one column"),
        ({"columns": {"x": []}}, "x is empty"),
        ({"columns": {"x": 5}}, "x must hold values"),
        ({"columns": {"x": [1.0, 2.0], "y": [1.0]}}, "x 2, y 1"),
        ({"columns": {"x": [math.nan, None]}}, "x holds no number"),
        ({"columns": {"x": [None, None], "y": ["a", "b"]}}, "x holds no number"),
        ({"columns": {"x": np.zeros((2, 2))}}, "one dimension"),
        ({"columns": {"x": [[1], [2]]}}, "holds a list"),
        ({"columns": {"prediction": [1.0, 2.0]}}, "reserved"),
        ({"columns": {"confidence": [1.0, 2.0]}}, "reserved"),
        ({"columns": {"x": [1.0, 2.0]}, "bins": 1}, "from 2 to 12"),
        ({"columns": {"x": [1.0, 2.0]}, "bins": 13}, "from 2 to 12"),
        ({"columns": {"x": [1.0, 2.0]}, "categorical": ["y"]}, "no column"),
        ({"columns": {"x": [1.0, 2.0]}, "confidence": [0.5, 1.5]}, "0 to 1"),
        ({"columns": {"x": [1.0, 2.0]}, "confidence": ["a", "b"]}, "column of numbers"),
    ],
)  # fmt: skip
def test_data_that_makes_no_reference_is_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        DriftReference.from_columns(**arguments)


def test_a_frame_without_the_column_says_which_it_has():
    with pytest.raises(ConfigError, match="no column said; it has x"):
        DriftReference.from_frame(pd.DataFrame({"x": [1.0]}), prediction="said")


def test_loading_and_counting_rows_need_no_numpy(tmp_path: Path):
    path = tmp_path / "reference.json"
    made(x=random.normal(size=500), kind=["a", "b"] * 250).save(path)
    program = f"""
import sys
sys.modules["numpy"] = None
import infermeter
from infermeter.testing import capture
monitor = infermeter.monitor_drift("fraud", {str(path)!r})
with capture() as captured:
    monitor.observe([0.5, "a"])
    monitor.observe({{"x": None, "kind": "zzz"}})
    monitor.observe_batch([[0.5, "a"]] * 3)
    print(captured.value("model_feature_values_total"))
try:
    infermeter.DriftReference.from_columns({{"x": [1.0]}})
except infermeter.MissingExtraError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ended.stdout.splitlines() == [
        "10",
        'Building a drift reference needs the extra "drift": pip install "infermeter[drift]"',
    ], ended.stderr


def test_columns_that_are_numbered_are_named_by_their_number():
    frame = pd.DataFrame({7: [1.0, 2.0, 3.0], 8: ["a", "b", "a"], 9: ["x", "x", "y"]})
    of_frame = DriftReference.from_frame(frame, prediction="9", categorical=["7"])
    of_columns = DriftReference.from_columns({7: frame[7], 8: frame[8]}, prediction=frame[9], categorical=["7"])

    assert [feature.name for feature in of_frame.features] == ["7", "8", "prediction"]
    assert of_frame.hash == of_columns.hash


def test_a_numbered_row_of_a_frame_finds_its_columns(captured_metrics):
    frame = pd.DataFrame({7: [1.0, 2.0, 3.0], 8: ["a", "b", "a"]})
    monitor = infermeter.monitor_drift("fraud", DriftReference.from_frame(frame, categorical=["7"]))
    monitor.observe(frame.iloc[0])
    monitor.observe_batch(frame[1:])

    seen = {(p.labels["feature"], p.labels["bin"]): p.value for p in captured_metrics.points(VALUES) if p.value}
    assert seen == {("7", "1"): 1, ("7", "2"): 1, ("7", "3"): 1, ("8", "a"): 2, ("8", "b"): 1}
