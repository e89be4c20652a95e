"""`infermeter baseline`: builds drift references from files of data, shows them and compares two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.terminal import make_console
from infermeter.drift import scores
from infermeter.drift.features import Feature, NumericFeature
from infermeter.drift.reference import DEFAULT_BINS, DEFAULT_TOP_K, DriftReference
from infermeter.errors import ConfigError, InfermeterError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LARGE, _SIGNIFICANT, _ENOUGH = 0.2, 6.0, 200

_EXAMPLES = f"""\b
A reference is one small JSON file: the bins of each feature and how often each occurred in the data the model was
trained on. Ship it with the model; infermeter.monitor_drift counts against it.

\b
Exit status: {ExitCode.OK:d} done; {ExitCode.FAILED:d} a file cannot be read or does not fit; \
{ExitCode.USAGE:d} an option is wrong.

\b
Examples:
  infermeter baseline build train.parquet --out fraud-3.json --prediction label --confidence score
  infermeter baseline build train.csv --out fraud-3.json --categorical zip --drop id
  infermeter baseline show fraud-3.json
  infermeter baseline compare fraud-2.json fraud-3.json --json
"""


@click.group(name="baseline", epilog=_EXAMPLES)
def baseline() -> None:
    """Build, show and compare drift references."""


@baseline.command(epilog=_EXAMPLES)
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@click.option("--prediction", help="Column with the class that the model predicted.")
@click.option("--confidence", help="Column with its confidence, 0 to 1.")
@click.option("--feature", "features", multiple=True, help="Column that is an input, in order; default: all others.")
@click.option("--categorical", multiple=True, help="Column of numbers that are names, such as a postal code.")
@click.option("--drop", multiple=True, help="Column to leave out, such as an id or the label.")
@click.option("--bins", type=click.IntRange(2, 12), default=DEFAULT_BINS, show_default=True, help="Bins of a number.")
@click.option(
    "--top-k", type=click.IntRange(1), default=DEFAULT_TOP_K, show_default=True, help="Categories kept apart."
)
def build(
    data: Path,
    out: Path,
    *,
    prediction: str | None,
    confidence: str | None,
    features: tuple[str, ...],
    categorical: tuple[str, ...],
    drop: tuple[str, ...],
    bins: int,
    top_k: int,
) -> None:
    """Build the reference of a model version from DATA, a CSV or Parquet file with one row per prediction."""
    console = make_console()
    try:
        table = _table(data)
        names = list(table.column_names)
        unknown = [name for name in (*features, *categorical, *drop) if name not in names]
        if unknown:
            raise ConfigError(f"{data} has no column {', '.join(unknown)}; it has {', '.join(names)}")
        wanted = features or tuple(name for name in names if name not in (*drop, prediction, confidence))
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bar:
            task = bar.add_task("features", total=len(wanted) + (prediction is not None) + (confidence is not None))

            def done(name: str) -> None:
                bar.update(task, advance=1, description=name)

            reference = DriftReference.from_frame(
                table,
                prediction=prediction,
                confidence=confidence,
                features=wanted,
                bins=bins,
                top_k=top_k,
                categorical=categorical,
                on_feature=done,
            )
        reference.save(out)
    except (InfermeterError, OSError, ValueError) as error:
        _fail(error)
    console.print(
        f"Wrote {escape(str(out))}: {len(reference.features)} features of {reference.samples} rows, "
        f"reference {reference.hash}",
        soft_wrap=True,
    )


@baseline.command(epilog=_EXAMPLES)
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def show(reference: Path, *, as_json: bool) -> None:
    """Show the features of a REFERENCE, their bins and how full they are."""
    loaded = _load(reference)
    rows: list[dict[str, Any]] = [
        {
            "feature": feature.name,
            "kind": feature.kind,
            "values": sum(feature.counts),
            "missing": _missing(feature),
            "bins": len(feature.bins),
            "range": _range(feature),
        }
        for feature in loaded.features
    ]
    if as_json:
        about = {"hash": loaded.hash, "created": loaded.created, "samples": loaded.samples, "features": rows}
        click.echo(json.dumps(about, indent=2))
        return
    console = make_console()
    console.print(
        f"Reference {loaded.hash} of {loaded.samples} rows, built {loaded.created}", highlight=False, soft_wrap=True
    )
    _print(rows, {"values": str, "missing": lambda share: f"{share:.1%}", "bins": str})


@baseline.command(epilog=_EXAMPLES)
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def compare(before: Path, after: Path, *, as_json: bool) -> None:
    """Say how far AFTER is from BEFORE, feature by feature; both need the same bins.

    Large is a PSI of 0.2 above what chance gives; sure is a chi-square score above 6. Both make a feature drifted, from
    200 values on. Features in other bins cannot be compared and are listed as such.
    """
    old, new = _load(before), _load(after)
    by_name = {feature.name: feature for feature in new.features}
    rows: list[dict[str, Any]] = []
    for feature in old.features:
        other = by_name.get(feature.name)
        rows.append(_compared(feature, other))
    rows += [
        {"feature": name, "verdict": "only in the second"}
        for name in by_name
        if name not in {feature.name for feature in old.features}
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    _print(rows, dict.fromkeys(("psi", "psi_by_chance", "js_distance", "ks_distance", "z"), lambda x: f"{x:.3f}"))


def _compared(old: Feature, new: Feature | None) -> dict[str, Any]:
    if new is None:
        return {"feature": old.name, "verdict": "only in the first"}
    if old.bins != new.bins or getattr(old, "edges", None) != getattr(new, "edges", None):
        return {"feature": old.name, "verdict": "other bins: not comparable"}
    live, reference = new.counts, old.counts
    psi, null, z = (score(live, reference) for score in (scores.psi, scores.psi_null, scores.chi_square_z))
    enough = min(sum(live), sum(reference)) >= _ENOUGH
    drifted = enough and psi - null > _LARGE and z > _SIGNIFICANT
    return {
        "feature": old.name,
        "psi": psi,
        "psi_by_chance": null,
        "js_distance": scores.js_distance(live, reference),
        "ks_distance": scores.ks_distance(live, reference, ordered_bins=old.ordered_bins) if old.ordered_bins else None,
        "z": z,
        "verdict": "drifted" if drifted else "same" if enough else "too few values",
    }


def _table(data: Path) -> Any:
    """Read a file as an Arrow table."""
    try:
        import pyarrow.csv as arrow_csv
        import pyarrow.parquet as arrow_parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError("Building a reference from a file", "baseline") from error
    with data.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    read: Any = cast("Any", arrow_parquet).read_table if is_parquet else cast("Any", arrow_csv).read_csv
    return read(data)


def _load(path: Path) -> DriftReference:
    try:
        return DriftReference.load(path)
    except ConfigError as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    click.echo(f"error: {error}", err=True)
    raise SystemExit(ExitCode.FAILED)


def _missing(feature: Feature) -> float:
    total = sum(feature.counts)
    return feature.counts[-1] / total if feature.kind != "confidence" and total else 0.0


def _range(feature: Feature) -> str:
    if isinstance(feature, NumericFeature):
        return f"{feature.edges[0]:.6g} to {feature.edges[-1]:.6g}"
    if feature.kind == "confidence":
        return "0 to 1"
    names = [name for name in feature.bins if name not in ("other", "missing")]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _print(rows: Sequence[dict[str, Any]], formats: dict[str, Callable[[Any], str]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if "verdict" in columns:
        columns.remove("verdict")
        columns.append("verdict")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right" if name in formats else "left", overflow="fold")
    for row in rows:
        shown = ("" if row.get(name) is None else formats.get(name, str)(row[name]) for name in columns)
        table.add_row(*map(escape, shown))
    make_console().print(table)
