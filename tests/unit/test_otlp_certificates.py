"""Which certificates an export over TLS believes; tests/kubernetes/test_mtls.py sends for real."""

from __future__ import annotations

import pytest

from infermeter.export.otlp import ObservedSession


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> ObservedSession:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/of-everything-else.pem")
    return ObservedSession(1.0)


def believed(session: ObservedSession, verify: bool | str | None = None) -> bool | str:
    believed: bool | str = session.merge_environment_settings("https://localhost", {}, None, verify, None)["verify"]
    return believed


def test_the_configured_certificate_wins_over_the_environments_bundle(session):
    session.verify = "ca.crt"
    assert believed(session) == "ca.crt"
    session.verify = True
    assert believed(session, "ca.crt") == "ca.crt", "as older exporters give it"


def test_without_one_the_environments_bundle_is_believed(session):
    session.verify = True
    assert believed(session) == "/etc/ssl/of-everything-else.pem"
