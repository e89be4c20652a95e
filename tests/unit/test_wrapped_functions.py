"""A wrapped function is what it was: same kind, same signature, same results and exceptions; each call is counted."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.conftest import FakeClock

import infermeter
from infermeter.testing import CapturedMetrics

fraud = infermeter.instrument_inference("fraud", version="3")


def plain(model_name: str, features: list[float], *, explain: bool = False) -> str:
    """Say something."""
    return "plain"


async def coroutine(model_name: str, features: list[float]) -> str:
    return "coroutine"


def generator(model_name: str) -> Iterator[int]:
    yield 1


async def async_generator(model_name: str) -> AsyncIterator[int]:
    yield 1


KINDS: list[Callable[[Any], bool]] = [
    inspect.iscoroutinefunction,
    asyncio.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isfunction,
]


@pytest.mark.parametrize("func", [plain, coroutine, generator, async_generator])
@pytest.mark.parametrize("decorate", [fraud, infermeter.instrument_inference], ids=["named", "bare"])
def test_kind_signature_and_names_stay(decorate: Any, func: Callable[..., Any]) -> None:
    wrapped = decorate(func)

    assert [kind(wrapped) for kind in KINDS] == [kind(func) for kind in KINDS]
    assert inspect.signature(wrapped) == inspect.signature(func)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__) == (func.__name__, func.__doc__, func)
    assert inspect.get_annotations(wrapped) == inspect.get_annotations(func)


picklable = fraud(plain)
plain_function = plain


def test_a_module_level_function_can_still_be_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "plain", picklable)

    assert pickle.loads(pickle.dumps(picklable)) is picklable


class Model:
    @fraud
    def method(self, x: int) -> tuple[object, int]:
        return self, x

    @fraud
    @staticmethod
    def inner_static(x: int) -> int:
        return x

    @staticmethod
    @fraud
    def outer_static(x: int) -> int:
        return x

    @fraud
    @classmethod
    def inner_class(cls, x: int) -> tuple[object, int]:
        return cls, x

    @classmethod
    @fraud
    def outer_class(cls, x: int) -> tuple[object, int]:
        return cls, x

    def __call__(self, x: int) -> int:
        return x

    async def arrive(self, x: int) -> int:
        return x


class AsyncModel:
    async def __call__(self, x: int) -> int:
        return x


def test_methods_of_every_sort_get_their_arguments_and_are_counted(captured_metrics: CapturedMetrics) -> None:
    model = Model()

    assert model.method(1) == (model, 1)
    assert Model.method(model, 1) == (model, 1)
    assert Model.inner_static(1) == model.inner_static(1) == 1
    assert Model.outer_static(1) == model.outer_static(1) == 1
    assert Model.inner_class(1) == model.inner_class(1) == (Model, 1)
    assert Model.outer_class(1) == model.outer_class(1) == (Model, 1)
    assert captured_metrics.value("model_inference_requests_total", model_name="fraud", status="success") == 10


def test_partials_bound_methods_and_callable_objects_are_wrapped(captured_metrics: CapturedMetrics) -> None:
    model = Model()

    assert fraud(functools.partial(plain, "m"))([1.0], explain=True) == "plain"
    assert fraud(model.method)(2) == (model, 2)
    assert fraud(model)(3) == 3
    assert fraud(len)([1, 2]) == 2
    assert inspect.signature(fraud(model)) == inspect.signature(model)
    assert captured_metrics.count("model_inference_latency_seconds") == 5


def test_an_object_whose_call_is_async_becomes_a_coroutine_function(captured_metrics: CapturedMetrics) -> None:
    for wrapped in (fraud(AsyncModel()), fraud(functools.partial(coroutine, "m", [])), fraud(Model().arrive)):
        assert inspect.iscoroutinefunction(wrapped)

    assert asyncio.run(fraud(AsyncModel())(4)) == 4
    assert captured_metrics.count("model_inference_latency_seconds") == 1


@pytest.mark.parametrize("not_callable", [Model, 7, property(lambda self: 1), functools.partialmethod(plain)])
def test_what_cannot_be_measured_per_call_is_refused_at_decoration(not_callable: Any) -> None:
    with pytest.raises(infermeter.ConfigError, match="wraps functions and methods"):
        fraud(not_callable)


def test_a_decorated_function_runs_unchanged_while_nothing_is_configured() -> None:
    assert fraud(plain)("m", []) == "plain"
    assert asyncio.run(fraud(coroutine)("m", [])) == "coroutine"
    assert list(fraud(generator)("m")) == [1]
    with fraud as call:
        call.predicted("legit", confidence=0.5)
        call.failed("Whatever")
    fraud.record(0.1)
    infermeter.record_prediction("fraud", confidence=0.5)


def test_a_function_decorated_before_configure_records_after_it(captured_metrics: CapturedMetrics) -> None:
    picklable("m", [])

    assert captured_metrics.count("model_inference_latency_seconds", model_name="fraud") == 1


def test_latency_is_the_time_of_the_call(captured_metrics: CapturedMetrics, fake_clock: FakeClock) -> None:
    fraud(fake_clock.advance)(0.2)

    (point,) = captured_metrics.points("model_inference_latency_seconds")
    assert point.value == pytest.approx(0.2)
    assert point.counts == (0, 0, 0, 0, 1, 0, 0, 0, 0)


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error_class", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration])
def test_the_models_exception_passes_as_it_is(
    error_class: type[BaseException], captured_metrics: CapturedMetrics
) -> None:
    error = error_class("model")

    with pytest.raises(error_class) as caught:
        fraud(fail)(error)

    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"
    assert captured_metrics.value("model_inference_in_flight") == 0
    assert captured_metrics.value("model_inference_requests_total") == 1


def test_an_exception_raised_while_another_is_handled_keeps_its_context(captured_metrics: CapturedMetrics) -> None:
    outer, inner = KeyError("outer"), ValueError("inner")

    def handle() -> None:
        try:
            raise outer
        except KeyError:
            fraud(fail)(inner)

    with pytest.raises(ValueError, match="inner"):
        handle()

    assert inner.__context__ is outer


def test_calls_within_calls_are_in_flight_until_they_end(captured_metrics: CapturedMetrics) -> None:
    seen = []

    @fraud
    def recurse(depth: int) -> None:
        seen.append(captured_metrics.value("model_inference_in_flight"))
        if depth > 1:
            recurse(depth - 1)

    recurse(3)

    assert seen == [1, 2, 3]
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_one_instrument_measures_many_functions_at_once(captured_metrics: CapturedMetrics) -> None:
    fraud(plain)("m", [])
    fraud(lambda: 1)()

    assert captured_metrics.value("model_inference_requests_total", status="success") == 2
