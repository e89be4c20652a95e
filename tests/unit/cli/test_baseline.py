"""`infermeter baseline`: from files of data to a reference, and what two references say of each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from infermeter import DriftReference
from infermeter.cli.baseline import baseline
from infermeter.cli.exit_codes import ExitCode
from infermeter.drift.features import NumericFeature

random = np.random.default_rng(3)
DATA = pd.DataFrame(
    {
        "id": range(2_000),
        "amount": random.normal(size=2_000),
        "zip": random.choice([8001, 8002, 8003], 2_000),
        "label": random.choice(["fraud", "legitimate"], 2_000),
        "score": random.uniform(size=2_000),
    }
)
OPTIONS = ("--prediction", "label", "--confidence", "score", "--categorical", "zip", "--drop", "id")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(baseline, [str(argument) for argument in arguments])


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    DATA.to_parquet(tmp_path / "train.parquet")
    return tmp_path / "train.parquet"


def test_csv_and_parquet_give_the_same_reference(tmp_path: Path, parquet: Path):
    DATA.to_csv(tmp_path / "train.csv", index=False)
    for data in (parquet, tmp_path / "train.csv"):
        result = run("build", data, "--out", data.with_suffix(f"{data.suffix}.json"), *OPTIONS)
        assert result.exit_code == ExitCode.OK, result.output
        assert "4 features of 2000 rows" in result.output

    one, other = (DriftReference.load(tmp_path / f"train.{kind}.json") for kind in ("csv", "parquet"))
    assert one.hash == other.hash
    assert one.feature_names == ("amount", "zip")
    assert set(one.classes) == {"fraud", "legitimate"}


def test_show_lists_every_feature(tmp_path: Path, parquet: Path):
    run("build", parquet, "--out", tmp_path / "r.json", *OPTIONS)

    shown = json.loads(run("show", tmp_path / "r.json", "--json").output)
    assert [row["feature"] for row in shown["features"]] == ["amount", "zip", "prediction", "confidence"]
    text = run("show", tmp_path / "r.json").output
    assert shown["hash"] in text
    assert all(code in text for code in ("8001", "8002", "8003"))


def test_compare_tells_drift_from_chance(tmp_path: Path):
    before = DriftReference.from_columns({name: random.normal(size=5_000) for name in ("calm", "moved", "gone")})
    calm, moved, _ = before.inputs
    ramp = [100, 200, 300, 400, 500, 500, 600, 700, 800, 900, 0]
    after = DriftReference([calm, NumericFeature("moved", moved.edges, ramp)], samples=5_000, created="later")
    before.save(tmp_path / "before.json")
    after.save(tmp_path / "after.json")

    compared = json.loads(run("compare", tmp_path / "before.json", tmp_path / "after.json", "--json").output)
    rows = {row["feature"]: row for row in compared}
    assert rows["calm"]["verdict"] == "same"
    assert rows["calm"]["psi"] == 0
    assert rows["moved"]["verdict"] == "drifted"
    assert rows["moved"]["psi"] > 0.2
    assert rows["gone"]["verdict"] == "only in the first"
    assert "drifted" in run("compare", tmp_path / "before.json", tmp_path / "after.json").output


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (("build", "{data}", "--out", "{dir}/r.json", "--drop", "x"), "no column x; it has id", ExitCode.FAILED),
        (("build", "{data}", "--out", "{dir}/r.json", "--confidence", "amount"), "0 to 1", ExitCode.FAILED),
        (("build", "{data}", "--out", "{dir}/no/r.json", "--drop", "id"), "No such file", ExitCode.FAILED),
        (("build", "{data}", "--out", "{dir}/r.json", "--bins", "40"), "2<=x<=12", ExitCode.USAGE),
        (("build", "{dir}/none.csv", "--out", "{dir}/r.json"), "does not exist", ExitCode.USAGE),
        (("show", "{data}"), "damaged", ExitCode.FAILED),
        (("compare", "{dir}/a.json", "{dir}/b.json"), "a.json", ExitCode.FAILED),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(tmp_path: Path, parquet: Path, arguments, says, code):
    result = run(*(argument.format(data=parquet, dir=tmp_path) for argument in arguments))

    assert result.exit_code == code
    assert says in result.output
    assert not (tmp_path / "r.json").exists()
