"""The committed dashboards through Grafana's own types. Their package needs Python 3.11: see conftest.py."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from tests.contract.dashboard_files import dashboards


@pytest.mark.parametrize("dashboard", dashboards().values(), ids=lambda dashboard: dashboard["uid"])
def test_grafanas_own_types_read_and_write_the_page_without_a_difference(dashboard: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # inside of the foundation SDK
        register_default_plugins()
    written = JSONEncoder(sort_keys=True, indent=2).encode(Dashboard.from_json(dashboard))
    assert written == json.dumps(dashboard, sort_keys=True, indent=2)
