"""Fixtures of all rooms: nothing configured or declared, no swallowed error, an OTLP receiver."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from weakref import WeakSet

import pytest
from tests.otlp_sink import OtlpSink

from infermeter import Telemetry, clock, configure, guard, models, runtime, shutdown
from infermeter.drift import room as drift_room
from infermeter.gpu import room as gpu_room
from infermeter.inference import load

Errors = list[tuple[str, Exception]]


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Errors]:
    """Start and leave each test unconfigured; an error kept from the host fails it unless it asked for them."""
    for name in [name for name in os.environ if name.startswith(("OTEL_", "INFERMETER_"))]:
        monkeypatch.delenv(name)
    sigterm = signal.getsignal(signal.SIGTERM)
    forget_declarations()
    guard.forget()
    errors: Errors = []
    monkeypatch.setattr(guard, "on_swallowed", lambda where, error: errors.append((where, error)))
    yield errors
    shutdown(timeout_s=0.0)
    signal.signal(signal.SIGTERM, sigterm)
    forget_declarations()
    if "swallowed" not in request.fixturenames:
        assert errors == [], "errors were kept from the host; ask for the fixture `swallowed` if the test is about that"


def forget_declarations() -> None:
    """Forget what the code of a test has said about its models."""
    models.forget()
    load.forget()
    gpu_room.forget()
    drift_room.forget()
    runtime.forget_rooms()


@pytest.fixture
def swallowed(unconfigured: Errors) -> Errors:
    """Place and error of everything kept from the host; asking for it says that the test is about swallowing."""
    return unconfigured


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    """A receiver for OTLP/HTTP."""
    sink = OtlpSink()
    yield sink
    sink.close()


@pytest.fixture
def connect(sink: OtlpSink) -> Iterator[Callable[..., Telemetry]]:
    """Configure with the receiver as endpoint; every export has ended before the receiver closes."""

    def connect(**settings: object) -> Telemetry:
        return configure(**{"endpoint": sink.endpoint, "export_interval_s": 3600, **settings})

    yield connect
    sink.released.set()
    sink.accept()
    shutdown()
    await_export_threads()


_left_behind: WeakSet[threading.Thread] = WeakSet()


def await_export_threads(timeout_s: float = 5.0) -> None:
    """Let last exports end, also of configurations that are no longer live.

    A late failure would be logged into the next test. A thread that waits for a host that never answers is left behind,
    as is one that a test has forgotten as a fork would; each is waited for once.
    """
    for thread in threading.enumerate():
        if thread.name == "infermeter" and thread not in _left_behind:
            thread.join(timeout_s)
            if thread.is_alive():
                _left_behind.add(thread)


class FakeClock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ns(self) -> int:
        return int(self.now_s * 1e9)

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Replace both names of ``infermeter.clock``."""
    fake = FakeClock()
    monkeypatch.setattr(clock, "monotonic_s", fake.monotonic_s)
    monkeypatch.setattr(clock, "unix_ns", fake.unix_ns)
    return fake
