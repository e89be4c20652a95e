"""Real stacks for tests: one for the session, and a way to start more; binaries are built before the first test.

A stack listens on free ports of this machine and keeps its files in a temporary directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.live_stack import LiveStack

from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.options import StackOptions
from infermeter.cli.stack.recipes import recipes
from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.stack.stack import Stack
from infermeter.cli.terminal import TerminalReporter, make_console

StartStack = Callable[..., LiveStack]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the tests need now: a build takes minutes, a test may not."""
    if session.config.option.collectonly or not any(item.get_closest_marker("pipeline") for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            find_or_build(recipes(), TerminalReporter(make_console()))
        except StackError as failure:
            raise pytest.UsageError(f"{failure}\n{failure.log_tail}") from None


@pytest.fixture(scope="session")
def binaries() -> dict[str, Path]:
    """Paths of collector, Prometheus, promtool, Alertmanager and amtool, by name."""
    return find_or_build(recipes(), SilentReporter())


@pytest.fixture(scope="session")
def live_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A stack without the example that scrapes every second; shared, so tests use service names of their own."""
    yield from _running(StackOptions(data_dir=tmp_path_factory.mktemp("stack"), **_FOR_TESTS))


@pytest.fixture
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartStack]:
    """Start a stack of this test's own; takes the fields of StackOptions."""
    started: list[Iterator[LiveStack]] = []

    def start(**options: Any) -> LiveStack:
        chosen = StackOptions(**{"data_dir": tmp_path_factory.mktemp("stack"), **_FOR_TESTS, **options})
        started.append(_running(chosen))
        return next(started[-1])

    yield start
    for stack in started:
        next(stack, None)


_FOR_TESTS: dict[str, Any] = {"port_policy": "any", "example": False, "console": False}


def _running(options: StackOptions) -> Iterator[LiveStack]:
    stack = Stack(options)
    stack.start()
    try:
        yield LiveStack(stack)
    finally:
        stack.stop()
