"""Instruments applications whose code does not mention infermeter: ``infermeter run``, ``opentelemetry-instrument``.

Knows how to get hold of FastAPI before it is imported, and when a process should report; knows nothing of requests.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from infermeter import guard, runtime

if TYPE_CHECKING:
    from fastapi import FastAPI

    class _Instrumentor:
        """What the entry point group ``opentelemetry_instrumentor`` asks for."""

        def instrument(self, **options: Any) -> None:
            """Instrument."""

        def uninstrument(self, **options: Any) -> None:
            """Undo it."""

else:
    try:
        from opentelemetry.instrumentation.instrumentor import BaseInstrumentor as _Instrumentor
    except ModuleNotFoundError:  # `infermeter run` does without
        _Instrumentor = object

MAIN_PROCESS = "INFERMETER_MAIN_PROCESS"
"""Set by ``infermeter run`` for everything below it: id of the process that became the command."""

_FASTAPI = "fastapi.applications"
_BUILD = "build_middleware_stack"

_original: Callable[[FastAPI], Any] | None = None
_finder: _AfterImport | None = None


class InfermeterInstrumentor(_Instrumentor):
    """Configures from the environment and instruments every FastAPI application of the process.

    ``opentelemetry-instrument`` finds it by its entry point; ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=infermeter`` keeps
    it out.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: without FastAPI there is nothing to instrument, and nothing in the way."""
        return ()

    def _instrument(self, **_: Any) -> None:
        configure_from_environment()
        instrument_applications()

    def _uninstrument(self, **_: Any) -> None:
        restore_applications()


def begin() -> None:
    """Begin in a process below ``infermeter run``.

    The command and its multiprocessing workers may also record in other ways than through an application, so they are
    configured at once. Whatever else they start is configured if it turns out to serve an application.

    Raises:
        ConfigError: A variable has a value that is not allowed.
    """
    if os.environ.get(MAIN_PROCESS) == str(os.getpid()) or "--multiprocessing-fork" in sys.orig_argv:
        configure_from_environment()
    instrument_applications()


def configure_from_environment() -> None:
    """Configure unless the process has done so; exports begin with the first record or application.

    A process that only starts others, such as a server's supervisor, then reports nothing by the clock.

    Raises:
        ConfigError: A variable has a value that is not allowed.
    """
    if runtime.is_configured():
        return
    runtime.starts_parked = True
    runtime.configure()


def instrument_applications() -> None:
    """Instrument every FastAPI application when it starts, also one made before, unless its code has done so."""
    global _finder
    if sys.modules.get(_FASTAPI) is not None:
        _patch()
    elif _finder is None:
        _finder = _AfterImport(_FASTAPI, _patch)
        sys.meta_path.insert(0, _finder)


def restore_applications() -> None:
    """Leave applications that start from now on alone."""
    global _original, _finder
    if _finder is not None and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    if _original is not None:
        from fastapi import FastAPI

        setattr(FastAPI, _BUILD, _original)
    _original = _finder = None


def _patch() -> None:
    """Instrument an application in the moment in which it puts its middleware together: after all of its own code."""
    global _original
    if _original is not None:
        return
    applications = importlib.import_module(_FASTAPI)
    kind: type[FastAPI] = applications.FastAPI
    _original = original = kind.build_middleware_stack

    def build_middleware_stack(self: FastAPI) -> Any:
        with guard.guard("autoinstrument"):
            from infermeter.fastapi import instrument_unless_instrumented

            configure_from_environment()
            instrument_unless_instrumented(self)
        return original(self)

    setattr(kind, _BUILD, build_middleware_stack)


class _AfterImport(MetaPathFinder):
    """Calls a function once a module has been imported, by whomever.

    Args:
        name: Full name of the module.
        then: What to call; what it raises is kept from the importer.
    """

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name, self._then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module as everybody else would, and watch it being loaded."""
        if fullname != self._name:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _WatchedLoader(spec.loader, self._then)
                return spec
        return None


class _WatchedLoader(Loader):
    """A loader that says when it has loaded."""

    def __init__(self, loader: Loader, then: Callable[[], None]) -> None:
        self._loader, self._then = loader, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # sources, resources and the like, for tracebacks and packages

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        with guard.guard("autoinstrument"):
            self._then()
