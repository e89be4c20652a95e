"""The decorator of the requirements: the model is named by the function's own arguments, however they are passed."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import infermeter
from infermeter.testing import CapturedMetrics


@infermeter.instrument_inference
def predict(model_name: str, model_version: str, features: object) -> dict[str, float]:
    if features == "broken":
        raise ValueError("broken features")
    return {"confidence": 0.93}


def requests(captured: CapturedMetrics) -> set[tuple[str, str, str, float]]:
    return {
        (point.labels["model_name"], point.labels["model_version"], point.labels["status"], point.value)
        for point in captured.points("model_inference_requests_total")
    }


def test_the_requirements_function_works_unchanged(captured_metrics: CapturedMetrics) -> None:
    assert predict("fraud", "3", [1.0]) == {"confidence": 0.93}
    with pytest.raises(ValueError, match="broken features"):
        predict("fraud", "3", "broken")

    assert requests(captured_metrics) == {("fraud", "3", "success", 1), ("fraud", "3", "error", 1)}
    assert captured_metrics.count("model_inference_latency_seconds", model_name="fraud", model_version="3") == 2
    assert captured_metrics.value("model_prediction_confidence", model_name="fraud") == 0.93


def test_arguments_by_position_keyword_and_default_name_the_model(captured_metrics: CapturedMetrics) -> None:
    @infermeter.instrument_inference
    def predict(features: object, model_name: str = "default", *, model_version: str = "9") -> None: ...

    predict([])
    predict([], "positional")
    predict([], model_name="keyword", model_version="2")
    predict(model_version="3", features=[])

    assert {(model, version) for model, version, _, _ in requests(captured_metrics)} == {
        ("default", "9"),
        ("positional", "9"),
        ("keyword", "2"),
        ("default", "3"),
    }


def test_methods_partials_and_keyword_dictionaries_name_the_model(captured_metrics: CapturedMetrics) -> None:
    class Service:
        @infermeter.instrument_inference
        def predict(self, model_name: str, model_version: str) -> None: ...

        @infermeter.instrument_inference
        @classmethod
        def of_class(cls, model_name: str) -> None: ...

        @infermeter.instrument_inference
        @staticmethod
        def of_static(model_name: str) -> None: ...

    def predict(features: object, model_name: str, model_version: str) -> None: ...

    @infermeter.instrument_inference
    def anything(**kwargs: Any) -> None: ...

    Service().predict("method", "1")
    Service.of_class("class")
    Service.of_static("static")
    infermeter.instrument_inference(functools.partial(predict, [], model_version="7"))("partial")
    anything(model_name="kwargs", model_version="4")
    anything()

    assert {(model, version) for model, version, _, _ in requests(captured_metrics)} == {
        ("method", "1"),
        ("class", ""),
        ("static", ""),
        ("partial", "7"),
        ("kwargs", "4"),
        ("unknown", ""),
    }


async def test_coroutines_and_generators_name_the_model(captured_metrics: CapturedMetrics) -> None:
    @infermeter.instrument_inference
    async def coroutine(model_name: str) -> None: ...

    @infermeter.instrument_inference
    def generator(model_name: str) -> Any:
        yield 1

    await coroutine("a")
    list(generator("b"))

    assert {(model, status) for model, _, status, value in requests(captured_metrics) if value} == {
        ("a", "success"),
        ("b", "success"),
    }


def test_extractors_can_be_given_without_a_model(captured_metrics: CapturedMetrics) -> None:
    @infermeter.instrument_inference(confidence="score", label=lambda result: result["top"][0])
    def predict(model_name: str) -> dict[str, Any]:
        return {"score": 0.5, "top": ["cat"]}

    predict("vision")

    assert captured_metrics.value("model_prediction_confidence", model_name="vision") == 0.5
    assert captured_metrics.value("model_feature_values_total", bin="cat") == 1


def test_argument_values_of_any_type_become_text(captured_metrics: CapturedMetrics) -> None:
    for name, version in [(7, 1), (7, "1"), (True, 1.0), (None, None), (["unhashable"], {}), ("7", 1)]:
        predict(name, version, [])  # type: ignore[arg-type]

    assert {(model, version, value) for model, version, status, value in requests(captured_metrics) if value} == {
        ("7", "1", 3),
        ("True", "1.0", 1),
        ("unknown", "", 1),
        ("['unhashable']", "{}", 1),
    }


def test_a_function_without_the_argument_is_refused_at_decoration() -> None:
    with pytest.raises(infermeter.ConfigError, match=r"model_name.*predict.*instrument_inference\(\"name\"\)"):

        @infermeter.instrument_inference
        def predict(features: object) -> None: ...


@pytest.mark.parametrize("target", [int, object(), 5, len])
def test_what_cannot_name_its_model_is_refused_at_decoration(target: Any) -> None:
    with pytest.raises(infermeter.ConfigError, match="instrument_inference"):
        infermeter.instrument_inference(target)


def test_wrong_arguments_raise_as_without_us(captured_metrics: CapturedMetrics) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        predict("fraud", "3")  # type: ignore[call-arg]

    assert captured_metrics.value("model_inference_in_flight") == 0


@pytest.mark.parametrize(
    "arguments",
    [{"version": "3"}, {"sla_s": 0.1}, {"latency_bounds_s": [0.1]}, {"classes": ["a"]}, {"framework": "torch"}],
)
def test_what_belongs_to_a_model_needs_its_name(arguments: dict[str, Any]) -> None:
    with pytest.raises(infermeter.ConfigError, match="needs the model they belong to"):
        infermeter.instrument_inference(**arguments)


@pytest.mark.parametrize("name", ["", "\n"[:0]])
def test_an_empty_name_is_refused(name: str) -> None:
    with pytest.raises(infermeter.ConfigError, match="at least one character"):
        infermeter.instrument_inference(name)
    with pytest.raises(infermeter.ConfigError, match="at least one character"):
        infermeter.register_model(name)


def test_names_from_arguments_cannot_explode(captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("declared", version="1")
    for i in range(3000):
        predict(f"attack-{i}", "1", [])
        predict("declared", "1", [])

    assert len(captured_metrics.points("model_inference_requests_total")) <= 2000
    assert captured_metrics.value("model_inference_requests_total", model_name="declared") == 3000
    assert captured_metrics.value("model_inference_requests_total", status="success") == 6000
    assert captured_metrics.value("model_inference_requests_total", model_name="other") > 2000
    assert captured_metrics.value("infermeter_dropped_total", reason="series_limit") > 0
