"""Confidence and class out of whatever a model returns: usable values are recorded, others dropped and counted."""

from __future__ import annotations

import enum
from collections import UserDict, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydantic
import pytest

import infermeter
from infermeter.testing import CapturedMetrics, capture

fraud = infermeter.instrument_inference("fraud", version="3")


@dataclass
class Answer:
    confidence: Any
    label: Any = "legit"


@dataclass(slots=True, frozen=True)
class Slotted:
    confidence: float
    label: str


class Typed(pydantic.BaseModel):
    confidence: float
    label: str


class TensorLike:
    """What a framework's tensor offers: it can become a float, slowly, with a copy from the device."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value

    def item(self) -> float:
        return self.value


class Colour(enum.Enum):
    RED = 1


class Animal(str, enum.Enum):
    CAT = "cat"


def confidences(captured: CapturedMetrics) -> tuple[int, float]:
    return captured.count("model_prediction_confidence"), captured.value("model_prediction_confidence")


def classes(captured: CapturedMetrics) -> dict[str, float]:
    points = captured.points("model_feature_values_total", feature="prediction", model_name="fraud")
    return {point.labels["bin"]: point.value for point in points}


@pytest.mark.parametrize(
    "result",
    [
        {"confidence": 0.5, "label": "legit"},
        UserDict(confidence=0.5, label="legit"),
        Answer(0.5),
        Slotted(0.5, "legit"),
        Typed(confidence=0.5, label="legit"),
        SimpleNamespace(confidence=0.5, label="legit"),
        namedtuple("Row", "confidence label")(0.5, "legit"),
        Answer(np.float32(0.5), np.str_("legit")),
        Answer(np.float64(0.5), np.array("legit")),
        Answer(np.array(0.5)),
        Answer(Fraction(1, 2)),
        Answer([0.5], ["legit"]),
        [Answer(0.5)],
        ({"confidence": 0.5, "label": "legit"},),
    ],
    ids=lambda result: type(result).__name__,
)
def test_confidence_and_class_are_found_in(result: object, captured_metrics: CapturedMetrics) -> None:
    assert fraud(lambda: result)() is result

    assert confidences(captured_metrics) == (1, 0.5)
    assert classes(captured_metrics) == {"legit": 1}
    assert captured_metrics.value("infermeter_dropped_total") == 0


@pytest.mark.parametrize("result", [None, 7, "text", [], (), object(), {"other": 1}, {}, b"", np.zeros(3), [1, 2], {1}])
def test_a_result_without_them_is_a_success_without_prediction(
    result: object, captured_metrics: CapturedMetrics
) -> None:
    fraud(lambda: result)()

    assert captured_metrics.value("model_inference_requests_total", status="success") == 1
    assert confidences(captured_metrics) == (0, 0)
    assert classes(captured_metrics) == {}
    assert captured_metrics.value("infermeter_dropped_total") == 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        float("inf"),
        -float("inf"),
        "0.5",
        True,
        np.bool_(True),
        np.nan,
        1.1,
        -0.1,
        10**400,
        0.5 + 0j,
        Decimal("0.5"),
        TensorLike(0.5),
        object(),
        b"0.5",
        {"a": 0.5},
        np.array([[0.5]]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("way", ["mapping", "attribute", "block", "function"])
def test_an_unusable_confidence_is_dropped_and_counted_once(
    value: object, way: str, captured_metrics: CapturedMetrics
) -> None:
    if way == "mapping":
        fraud(lambda: {"confidence": value})()
    elif way == "attribute":
        fraud(lambda: SimpleNamespace(confidence=value))()
    elif way == "block":
        with fraud as call:
            call.predicted(confidence=value)
    else:
        infermeter.record_prediction("fraud", confidence=value)

    assert confidences(captured_metrics) == (0, 0)
    left_out = value is None and way in ("block", "function")
    assert captured_metrics.value("infermeter_dropped_total", where="confidence") == (0 if left_out else 1)


@pytest.mark.parametrize(
    "value", [0, 1, 0.0, 1.0, 1 + 1e-9, -1e-9, np.int64(1), np.float16(0.5), np.float32(1.0000001)]
)
def test_the_ends_and_rounding_beyond_them_are_usable(value: Any, captured_metrics: CapturedMetrics) -> None:
    fraud(lambda: {"confidence": value})()

    count, total = confidences(captured_metrics)
    assert count == 1
    assert 0 <= total <= 1


@pytest.mark.parametrize(
    ("label", "counted"),
    [
        ("cat", {"cat": 1}),
        (1, {"1": 1}),
        (True, {"True": 1}),
        (2.5, {"2.5": 1}),
        (b"cat", {"cat": 1}),
        (Animal.CAT, {"cat": 1}),
        (np.int64(3), {"3": 1}),
        (np.bool_(True), {"True": 1}),
        ("", {"": 1}),
        ("\ud800", {"?": 1}),
        (["cat", "dog", "cat"], {"cat": 2, "dog": 1}),
        (np.array(["cat", "dog"]), {"cat": 1, "dog": 1}),
        (np.array([0, 1, 1]), {"0": 1, "1": 2}),
    ],
    ids=repr,
)
def test_classes_are_counted_as_text(label: object, counted: dict[str, int], captured_metrics: CapturedMetrics) -> None:
    infermeter.record_prediction("fraud", label=label)

    assert classes(captured_metrics) == counted


@pytest.mark.parametrize("label", [object(), {"a": 1}, {1, 2}, TensorLike(1), Colour.RED, np.zeros((2, 2))], ids=repr)
def test_what_is_no_class_is_dropped_and_counted(label: object, captured_metrics: CapturedMetrics) -> None:
    infermeter.record_prediction("fraud", label=label)

    assert classes(captured_metrics) == {}
    assert captured_metrics.value("infermeter_dropped_total", where="label") == 1


@pytest.mark.parametrize(
    "rows",
    [
        [{"confidence": 0.25, "label": "a"}, {"confidence": 0.75, "label": "b"}, {"confidence": None, "label": "a"}],
        {"confidence": [0.25, 0.75, None], "label": ["a", "b", "a"]},
        {"confidence": np.array([0.25, 0.75, np.nan]), "label": np.array(["a", "b", "a"])},
        Answer(np.array([0.25, 0.75, np.inf], dtype=np.float32), ("a", "b", "a")),
    ],
    ids=["list of rows", "lists", "arrays", "attributes"],
)
def test_a_batch_is_one_request_and_one_prediction_per_row(rows: object, captured_metrics: CapturedMetrics) -> None:
    fraud(lambda: rows)()

    assert captured_metrics.value("model_inference_requests_total", status="success") == 1
    assert captured_metrics.count("model_inference_latency_seconds") == 1
    assert confidences(captured_metrics) == (2, 1.0)
    assert classes(captured_metrics) == {"a": 2, "b": 1}
    assert captured_metrics.value("infermeter_dropped_total", where="confidence") == 1


def test_rows_that_are_bare_numbers_are_not_searched(captured_metrics: CapturedMetrics) -> None:
    class Searched:
        def __getattr__(self, name: str) -> object:
            raise AssertionError("an embedding of thousands of numbers was searched for predictions")

    fraud(lambda: [0.1, Searched()])()

    assert captured_metrics.value("model_inference_requests_total", status="success") == 1


def test_extractors_by_name_and_function(captured_metrics: CapturedMetrics) -> None:
    by_name = infermeter.instrument_inference("fraud", confidence="score", label="top")
    by_function = infermeter.instrument_inference(
        "fraud", confidence=max, label=lambda result: result.index(max(result))
    )

    by_name(lambda: {"score": 0.5, "top": "a", "confidence": 0.1, "label": "ignored"})()
    by_function(lambda: [0.25, 0.75])()

    assert confidences(captured_metrics) == (2, 1.25)
    assert classes(captured_metrics) == {"a": 1, "1": 1}


class Broken:
    @property
    def confidence(self) -> float:
        raise RuntimeError("property")


@pytest.mark.parametrize("argument", ["confidence", "label"])
def test_what_finds_nothing_in_any_result_is_refused_at_decoration(argument: str) -> None:
    with pytest.raises(infermeter.ConfigError, match=f"{argument} must be a name or a function of the result, got 1"):
        infermeter.instrument_inference("fraud", **{argument: 1})


@pytest.mark.parametrize("result", [Broken(), {"score": 1}], ids=["property", "extractor"])
def test_an_extractor_that_fails_costs_the_prediction_only(
    result: object, swallowed: list[tuple[str, Exception]]
) -> None:
    failing = infermeter.instrument_inference("fraud", confidence=lambda result: result.confidence, label="label")
    with capture(strict=False) as captured:
        assert failing(lambda: result)() is result

        assert captured.value("model_inference_requests_total", status="success") == 1
        assert captured.value("infermeter_dropped_total", where="prediction") == 1
        assert captured.value("model_inference_in_flight") == 0
    assert [where for where, _ in swallowed] == ["prediction"]


def test_an_interrupt_in_an_extractor_passes(captured_metrics: CapturedMetrics) -> None:
    def interrupted(_: object) -> float:
        raise KeyboardInterrupt

    failing = infermeter.instrument_inference("fraud", confidence=interrupted)
    with pytest.raises(KeyboardInterrupt):
        failing(lambda: 1)()

    assert captured_metrics.value("model_inference_in_flight") == 0


def test_undeclared_classes_are_capped_declared_ones_never(captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("fraud", version="3", classes=[f"declared-{i}" for i in range(60)])
    for i in range(60):
        with fraud as call:
            call.predicted(f"declared-{i}")
            call.predicted(f"new-{i}")

    counted = classes(captured_metrics)
    assert all(counted[f"declared-{i}"] == 1 for i in range(60))
    assert sum(counted.values()) == 120
    assert len(counted) <= 60 + 50 + 1
    assert captured_metrics.value("infermeter_dropped_total", reason="class_limit") == counted["other"] > 0


def test_declared_classes_are_exported_from_zero(captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("fraud", version="3", classes=["legit", "fraud", 1, True])

    assert classes(captured_metrics) == {"legit": 0, "fraud": 0, "1": 0, "True": 0}


def test_hostile_values_never_reach_the_caller(swallowed: list[tuple[str, Exception]]) -> None:
    class Hostile(float):
        def __float__(self) -> float:
            raise RuntimeError("float")

        def __le__(self, other: object) -> bool:
            raise RuntimeError("compare")

        __ge__ = __lt__ = __gt__ = __le__

        def __str__(self) -> str:
            raise RuntimeError("text")

        __repr__ = __str__

    with capture(strict=False) as captured:
        fraud(lambda: {"confidence": Hostile(0.5), "label": Hostile(1)})()
        infermeter.record_prediction(Hostile(1), confidence=0.5)  # type: ignore[arg-type]
        with fraud as call:
            call.failed(Hostile(1))  # type: ignore[arg-type]

        assert captured.value("model_inference_in_flight") == 0
        assert captured.value("model_inference_requests_total") == 2
