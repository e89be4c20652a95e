"""Gets the promtools before the first test that needs them: a build takes minutes, a test may not."""

from __future__ import annotations

import sys

import pytest
from tests.contract.debian_promtool import NoDebianPromtoolError, debian_promtool

from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.failures import StackError
from infermeter.cli.terminal import TerminalReporter, make_console

# No release of grafana-foundation-sdk installs on Python 3.10, where everything else is checked all the same.
collect_ignore = ["test_dashboard_types.py"] if sys.version_info < (3, 11) else []

RUN_PROMTOOL = {
    "test_alert_matrix.py",
    "test_check_command.py",
    "test_deployments.py",
    "test_numbers.py",
    "test_planted_faults.py",
    "test_rules.py",
    "test_rules_export.py",
}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build or download what is not there."""
    wanted = any(item.path.name in RUN_PROMTOOL for item in session.items)
    if session.config.option.collectonly or not wanted:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            find_or_build(["promtool"], TerminalReporter(make_console()))
        except StackError as failure:
            raise pytest.UsageError(f"{failure}\n{failure.log_tail}") from None
        try:
            debian_promtool()
        except NoDebianPromtoolError as failure:
            raise pytest.UsageError(str(failure)) from None
