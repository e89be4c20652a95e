"""Wraps what serves predictions without changing what it is: function, coroutine, generator or async generator.

Frameworks look at the kind and the signature of a handler, so both stay. Knows nothing of models or labels.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar, cast

from infermeter import clock, requests_seen
from infermeter.errors import ConfigError
from infermeter.inference.calls import InferenceCall, Lookup, failed, succeeded
from infermeter.inference.predictions import Reading

F = TypeVar("F", bound=Callable[..., Any])


def wrap(func: F, lookup: Lookup, reading: Reading) -> F:
    """Return a function of the same kind and signature that measures each call.

    Args:
        func: Function, coroutine function, generator or async generator function, method, static or class method.
        lookup: Finds the cell of a call.
        reading: Where results hold confidence and label.

    Raises:
        ConfigError: It is a class, or cannot be called.
    """
    import inspect  # at decoration: it would double the import time of the package

    kind: type[Any] = type(func)
    if issubclass(kind, (staticmethod, classmethod)):
        return cast("F", kind(wrap(cast("Any", func).__func__, lookup, reading)))
    if issubclass(kind, type) or not callable(func):
        raise ConfigError(f"instrument_inference wraps functions and methods, got {func!r}; decorate its method")
    plain = inspect.isroutine(func) or issubclass(kind, functools.partial)
    probe = func if plain else cast("Any", func).__call__  # an object that can be called: its method has the kind
    target = cast("Callable[..., Any]", func)
    if inspect.isasyncgenfunction(probe):
        wrapper = _async_generator(target, lookup)
    elif inspect.iscoroutinefunction(probe):
        wrapper = _coroutine(target, lookup, reading)
    elif inspect.isgeneratorfunction(probe):
        wrapper = _generator(target, lookup, reading)
    else:
        wrapper = _function(target, lookup, reading)
    return cast("F", functools.update_wrapper(wrapper, target))


def _function(func: Callable[..., Any], lookup: Lookup, reading: Reading) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        cell = lookup(args, kwargs)
        if cell is None:
            return func(*args, **kwargs)
        if requests_seen.watching:
            requests_seen.mark()
        shard = cell.enter()
        started_s = clock.monotonic_s()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            failed(cell, shard, clock.monotonic_s() - started_s, error)
            raise
        succeeded(cell, shard, clock.monotonic_s() - started_s, result, reading)
        return result

    return call


def _coroutine(func: Callable[..., Any], lookup: Lookup, reading: Reading) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        cell = lookup(args, kwargs)
        if cell is None:
            return await func(*args, **kwargs)
        measured = InferenceCall(cell)
        measured.start()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            measured.end(error)
            raise
        measured.end(result=result, reading=reading)
        return result

    return call


def _generator(func: Callable[..., Generator[Any, Any, Any]], lookup: Lookup, reading: Reading) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        cell = lookup(args, kwargs)
        if cell is None:
            return (yield from func(*args, **kwargs))
        measured = InferenceCall(cell)
        measured.start()
        try:
            result = yield from func(*args, **kwargs)
        except BaseException as error:
            measured.end(error)
            raise
        measured.end(result=result, reading=reading)
        return result

    return call


def _async_generator(func: Callable[..., Any], lookup: Lookup) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = func(*args, **kwargs)  # raises for wrong arguments, before anything is in flight
        measured = InferenceCall(lookup(args, kwargs))
        measured.start()
        step = inner.__anext__()
        try:
            # What ``yield from`` does for generators (PEP 380), which async generators do not have.
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    break
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as thrown:  # noqa: BLE001  handed to the inner generator, which decides
                    step = inner.athrow(thrown)
                else:
                    step = inner.asend(sent)
        except BaseException as error:
            measured.end(error)
            await inner.aclose()
            raise
        measured.end()

    return call
