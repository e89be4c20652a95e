"""``DriftReference``: what a model was trained on, as counts per bin, in one small JSON file beside the model.

Knows bins and the file; building one from data is the business of ``columns``, loaded only then (it needs numpy).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from infermeter.catalog import CONFIDENCE_FEATURE, PREDICTION
from infermeter.drift.features import (
    MAX_NUMERIC_BINS,
    CategoricalFeature,
    ConfidenceFeature,
    Feature,
    NumericFeature,
)
from infermeter.errors import ConfigError

FORMAT = "infermeter-drift-reference"
FORMAT_VERSION = 1
DEFAULT_BINS = 10
DEFAULT_TOP_K = 20


class DriftReference:
    """Counts per bin of each feature, of the predicted classes and of the confidence.

    Made by ``from_columns``, ``from_frame`` or ``load``.

    Attributes:
        features: Every feature in the order of the model's input; the reserved ones come last.
        samples: Rows it was built from.
        created: When, in ISO 8601, UTC.
        hash: First 12 hexadecimal digits of the SHA-256 of bins and counts; shown by ``model_info``.
    """

    def __init__(self, features: Sequence[Feature], *, samples: int, created: str) -> None:
        self.features: tuple[Feature, ...] = tuple(features)
        self.samples, self.created = samples, created
        self.hash = _hash(self.features, samples)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the model's inputs, in order, without the reserved ones."""
        return tuple(feature.name for feature in self.inputs)

    @property
    def inputs(self) -> tuple[NumericFeature | CategoricalFeature, ...]:
        """The model's inputs, without the reserved features."""
        return tuple(
            feature
            for feature in self.features
            if not isinstance(feature, ConfidenceFeature) and feature.name != PREDICTION
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The predicted classes that the reference knows; empty if it was built without predictions."""
        for feature in self.features:
            if isinstance(feature, CategoricalFeature) and feature.name == PREDICTION:
                return feature.categories
        return ()

    @classmethod
    def from_columns(
        cls,
        columns: Mapping[str, Any],
        *,
        prediction: Any = None,
        confidence: Any = None,
        bins: int = DEFAULT_BINS,
        top_k: int = DEFAULT_TOP_K,
        categorical: Sequence[str] = (),
        on_feature: Callable[[str], None] = lambda _: None,
    ) -> DriftReference:
        """Build a reference from values by feature.

        Args:
            columns: Values by name, in the order of the model's input: numpy arrays, lists, columns of a frame; all of
                one length. Numbers become quantile bins, everything else categories.
            prediction: Classes the model predicted for the same rows, if known.
            confidence: Its confidence in them, 0 to 1, if known.
            bins: Bins of a number, 2 to 12; equal quantiles are merged.
            top_k: Categories kept apart; the rest is ``other``.
            categorical: Numbers that are names, such as a postal code.
            on_feature: Called with the name of each feature when it is done.

        Raises:
            ConfigError: A column is empty, of another length or of no usable type, a name is reserved, or a number of
                bins is not allowed.
            MissingExtraError: numpy is not installed.
        """
        from infermeter.drift.columns import feature_of, length_of

        if not (isinstance(bins, int) and 2 <= bins <= MAX_NUMERIC_BINS):  # pyright: ignore[reportUnnecessaryIsInstance]  # users without a checker
            raise ConfigError(f"bins must be a whole number from 2 to {MAX_NUMERIC_BINS}, got {bins!r}")
        columns = {str(name): column for name, column in columns.items()}
        reserved = {PREDICTION, CONFIDENCE_FEATURE} & set(columns)
        if reserved:
            raise ConfigError(
                f"the name {', '.join(sorted(reserved))} is reserved: rename the column, or hand it over as the "
                "argument of that name if it is what the model predicted"
            )
        unknown = set(categorical) - set(columns)
        if unknown:
            raise ConfigError(f"categorical names {', '.join(sorted(unknown))}, which is no column")
        given = {**columns}
        if prediction is not None:
            given[PREDICTION] = prediction
        if confidence is not None:
            given[CONFIDENCE_FEATURE] = confidence
        lengths = {name: length_of(name, column) for name, column in given.items()}
        if not lengths:
            raise ConfigError("a reference needs at least one column")
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ConfigError(f"columns must have one length, got {listed}")
        samples = next(iter(lengths.values()))
        features: list[Feature] = []
        for name, column in given.items():
            as_name = name in categorical or name == PREDICTION
            features.append(feature_of(name, column, bins=bins, top_k=top_k, categorical=as_name))
            on_feature(name)
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return cls(features, samples=samples, created=created)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        prediction: str | None = None,
        confidence: str | None = None,
        features: Sequence[str] | None = None,
        bins: int = DEFAULT_BINS,
        top_k: int = DEFAULT_TOP_K,
        categorical: Sequence[str] = (),
        on_feature: Callable[[str], None] = lambda _: None,
    ) -> DriftReference:
        """Build a reference from a frame of pandas or polars, or an Arrow table.

        Args:
            frame: One row per prediction.
            prediction: Name of the column with the predicted class, if there is one.
            confidence: Name of the column with the confidence, if there is one.
            features: Columns that are the model's input, in its order; all others by default.
            bins: As for ``from_columns``.
            top_k: As for ``from_columns``.
            categorical: As for ``from_columns``.
            on_feature: As for ``from_columns``.

        Raises:
            ConfigError: As for ``from_columns``, or a column is not there.
            MissingExtraError: numpy is not installed.
        """
        names: Any = getattr(frame, "column_names", frame.columns)  # Arrow, else pandas and polars
        there = {str(name): name for name in names}
        named = [name for name in (prediction, confidence) if name is not None]
        wanted = list(features) if features is not None else [name for name in there if name not in named]
        missing = [name for name in (*wanted, *named) if name not in there]
        if missing:
            raise ConfigError(f"the frame has no column {', '.join(missing)}; it has {', '.join(there)}")
        return cls.from_columns(
            {name: frame[there[name]] for name in wanted},
            prediction=None if prediction is None else frame[there[prediction]],
            confidence=None if confidence is None else frame[there[confidence]],
            bins=bins,
            top_k=top_k,
            categorical=categorical,
            on_feature=on_feature,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the reference as JSON, whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """
        target = Path(path)
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": self.created,
            "samples": self.samples,
            "hash": self.hash,
            "features": [_as_json(feature) for feature in self.features],
        }
        half = target.with_name(f".{target.name}.{os.getpid()}")
        half.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        half.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DriftReference:
        """Read a reference.

        Raises:
            ConfigError: The file is not there, was damaged or changed, or is of a newer format.
        """
        try:
            content: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: the drift reference cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise ConfigError(f"{path}: the drift reference is damaged, it is no JSON ({error})") from error
        fields = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
        if fields.get("format") != FORMAT:
            raise ConfigError(f"{path}: this is no drift reference (infermeter baseline build makes one)")
        version = fields.get("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise ConfigError(
                f"{path}: the drift reference has format {version!r}, this version of infermeter reads up to "
                f"{FORMAT_VERSION}: upgrade infermeter, or build the reference with this version"
            )
        try:
            features = [_from_json(one) for one in fields["features"]]
            found = cls(features, samples=int(fields["samples"]), created=str(fields["created"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: the drift reference is damaged ({type(error).__name__}: {error})") from error
        if found.hash != fields.get("hash"):
            raise ConfigError(
                f"{path}: the drift reference is damaged or was edited: its hash is {fields.get('hash')!r}, its "
                f"content says {found.hash!r}; build it again"
            )
        return found


def _as_json(feature: Feature) -> dict[str, object]:
    known: dict[str, object] = {"name": feature.name, "kind": feature.kind, "counts": list(feature.counts)}
    if isinstance(feature, NumericFeature):
        known["edges"] = list(feature.edges)
    if isinstance(feature, CategoricalFeature):
        known["categories"] = list(feature.categories)
    return known


def _from_json(content: Any) -> Feature:
    kind, counts = content["kind"], [_count(value) for value in content["counts"]]
    feature: Feature
    if kind == "numeric":
        edges = [float(edge) for edge in content["edges"]]
        if edges != sorted(set(edges)):
            raise ValueError(f"edges of {content['name']} do not ascend")
        feature = NumericFeature(str(content["name"]), edges, counts)
    elif kind == "categorical":
        feature = CategoricalFeature(str(content["name"]), [str(one) for one in content["categories"]], counts)
    elif kind == "confidence":
        feature = ConfidenceFeature(counts)
    else:
        raise ValueError(f"unknown kind {kind!r}")
    if len(counts) != len(feature.bins):
        raise ValueError(f"{feature.name} has {len(counts)} counts for {len(feature.bins)} bins")
    return feature


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _hash(features: Sequence[Feature], samples: int) -> str:
    content = json.dumps([samples, *map(_as_json, features)], sort_keys=True)
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:12]


def fitting(reference: DriftReference, features: Sequence[str] | None) -> None:
    """Check that a reference is about the features that a model takes.

    Raises:
        ConfigError: It is not; names what is missing and what is too much.
    """
    if features is None:
        return
    wanted, known = list(features), list(reference.feature_names)
    missing, more = [f for f in wanted if f not in known], [f for f in known if f not in wanted]
    if missing or more:
        parts = [f"it lacks {', '.join(missing)}"] if missing else []
        parts += [f"the model does not take {', '.join(more)}"] if more else []
        raise ConfigError(f"the drift reference {reference.hash} does not fit the model: {'; '.join(parts)}")
    if wanted != known:
        raise ConfigError(
            f"the drift reference {reference.hash} has the model's features in another order: {', '.join(known)}"
        )
