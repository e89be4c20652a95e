"""Builds promtool before the first test that needs it: a build takes minutes, a test may not."""

from __future__ import annotations

import pytest

from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.failures import StackError
from infermeter.cli.terminal import TerminalReporter, make_console


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build it unless it is there."""
    if session.config.option.collectonly or not any("test_rules" in item.nodeid for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            find_or_build(["promtool"], TerminalReporter(make_console()))
        except StackError as failure:
            raise pytest.UsageError(f"{failure}\n{failure.log_tail}") from None
