"""One control plane for all tests of the chart; binaries are built before the first test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kubernetes.cluster import Cluster, control_plane, controllers
from tests.kubernetes.tools import build_all, operator_crds

from infermeter.cli.stack.binaries import COLLECTOR, find_or_build
from infermeter.cli.stack.failures import StackError
from infermeter.cli.terminal import TerminalReporter, make_console


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the tests need now: a build takes minutes, a test may not."""
    if session.config.option.collectonly or not any(item.get_closest_marker("kubernetes") for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            reporter = TerminalReporter(make_console())
            build_all(reporter)
            find_or_build([COLLECTOR], reporter)
        except StackError as failure:
            raise pytest.UsageError(f"{failure}\n{failure.log_tail}") from None


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server without controllers: what is applied stays as it is. It knows the operator's resources."""
    with control_plane(tmp_path_factory.mktemp("cluster")) as running:
        running.kubectl("apply", "--server-side", *(word for file in operator_crds() for word in ("-f", file)))
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield running


@pytest.fixture(scope="session")
def whole_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another one, with controllers, a scheduler and simulated nodes, and without the operator's resources."""
    with control_plane(tmp_path_factory.mktemp("whole_cluster")) as running, controllers(running):
        yield running
