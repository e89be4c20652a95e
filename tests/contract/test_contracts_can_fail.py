"""Each contract is shown its fault: a copy of the repository gets all of them at once, and each must be named.

The lints have their own list (planted.py). A fault here is an edit, the test that must fail, and what it must say.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
RULES, TESTS, PAGES = "deploy/prometheus/rules", "deploy/prometheus/rule_tests", "deploy/grafana/dashboards"


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        test: Name of the test that must fail.
        says: Part of what it must say.
        file: Where it is planted.
        old: What stands there; empty removes the file.
        new: What stands there instead.
        case: Part of the test's parameter, where it has one.
    """

    test: str
    says: str
    file: str
    old: str = ""
    new: str = ""
    case: str = ""


FAULTS = {
    "a rule reads a series that is not there": Fault(
        "test_the_expression_has_none_of_the_known_mistakes",
        "nothing exports or records model_version:model_inference_error:ratio_rate5m",
        f"{RULES}/inference.rules.yml",
        "model_version:model_inference_errors:ratio_rate5m > 0.01",
        "model_version:model_inference_error:ratio_rate5m > 0.01",
        "HighPredictionErrorRate",
    ),
    "a rule that no longer does what its scenario says": Fault(
        "test_scenarios_of_the_file_come_out_as_written",
        "alertname: HighInferenceLatency",
        f"{RULES}/inference.rules.yml",
        "sqrt(0.01 * 0.99 / model_version:model_inference_latency_seconds_count",
        "sqrt(99 / model_version:model_inference_latency_seconds_count",
        "HighInferenceLatency",
    ),
    "an alert of the requirements with another severity": Fault(
        "test_the_alerts_of_the_requirements_keep_their_name_severity_and_duration",
        "'LowGPUUtilization': ('info', '15m')",
        f"{RULES}/gpu.rules.yml",
        "for: 15m\n        labels:\n          severity: warning",
        "for: 15m\n        labels:\n          severity: info",
    ),
    "an alert that reads raw series": Fault(
        "test_alerts_on_models_read_the_recording_layer_only",
        "('SLANotABucketBoundary', 'model_inference_sla_seconds')",
        f"{RULES}/inference.rules.yml",
        "            model:model_inference_sla_seconds:max\n          unless",
        "            max by (namespace, model_name) (model_inference_sla_seconds)\n          unless",
    ),
    "a number that the table of thresholds does not find": Fault(
        "test_a_number_stands_wherever_the_table_says_and_nowhere_else_changes",
        "ThresholdPlaceError: HighPredictionErrorRate does not say",
        f"{RULES}/inference.rules.yml",
        "sqrt(0.01 * 0.99 / model_version:model_inference_valid",
        "sqrt(0.0099 / model_version:model_inference_valid",
        "error_ratio",
    ),
    "a recorded series that nobody reads": Fault(
        "test_every_recorded_series_is_read_by_a_rule_or_a_panel",
        "model:requests_of_nobody:rate5m",
        f"{RULES}/base.rules.yml",
        "      - record: model:model_inference_requests:rate5m\n",
        "      - record: model:requests_of_nobody:rate5m\n        expr: sum(up)\n"
        "      - record: model:model_inference_requests:rate5m\n",
    ),
    "a text with a label that the expression removes": Fault(
        "test_labels_in_the_texts_survive_the_expression",
        "replica",
        f"{RULES}/meta.rules.yml",
        "summary: Model {{ $labels.model_name }}",
        "summary: Model {{ $labels.model_name }} of {{ $labels.replica }}",
        "ModelTelemetryMissing",
    ),
    "an alert without a runbook": Fault(
        "test_every_alert_has_a_runbook_and_every_runbook_an_alert",
        "CollectorMissing",
        "deploy/runbooks/CollectorMissing.md",
    ),
    "an alert without tests": Fault(
        "test_every_alert_has_a_test_file_and_every_test_file_an_alert",
        "CollectorMissing",
        f"{TESTS}/CollectorMissing.test.yml",
    ),
    "an alert without a test of missing data": Fault(
        "test_the_alert_is_tested_firing_silent_and_without_data",
        "missing data",
        f"{TESTS}/SLANotABucketBoundary.test.yml",
        "missing data",
        "silent",
        "SLANotABucketBoundary",
    ),
    "a runbook whose query asks for a label that is not there": Fault(
        "test_the_runbook_has_three_queries_and_each_works",
        "model_inference_in_flight has no label replica",
        "deploy/runbooks/HighInferenceLatency.md",
        "model_inference_in_flight{namespace=",
        "model_inference_in_flight{replica=",
        "HighInferenceLatency",
    ),
    "a dashboard edited by hand": Fault(
        "test_committed_dashboards_equal_what_their_source_gives",
        "run python -m deploy.grafana.source.build",
        f"{PAGES}/gpu-fleet.json",
        '"refresh": "30s"',
        '"refresh": "31s"',
    ),
    "a title that is no question": Fault(
        "test_the_panel_says_what_it_shows",
        "a title is a question",
        f"{PAGES}/overview.json",
        '"title": "Which share of the requests fails?"',
        '"title": "Errors"',
    ),
    "a panel that the requirements ask for and that is gone": Fault(
        "test_the_overview_has_the_four_rows_and_thirteen_panels_asked_for_in_order",
        "Errors",
        f"{PAGES}/overview.json",
        '"title": "Errors"',
        '"title": "Errors "',
    ),
    "a panel whose query reads a series that is not there": Fault(
        "test_the_query_has_none_of_the_known_mistakes",
        "nothing exports or records model_inference_request_total",
        f"{PAGES}/overview.json",
        '"expr": "sum(rate(model_inference_requests_total{',
        '"expr": "sum(rate(model_inference_request_total{',
    ),
    "a colour without a meaning": Fault(
        "test_every_colour_of_the_panel_has_a_meaning_in_words",
        "assert 0 == 2",
        f"{PAGES}/telemetry-health.json",
        " on: ",
        " on ",
    ),
    "a link to the runbook of an alert that does not exist": Fault(
        "test_alerts_that_the_panel_names_exist_and_are_linked_to_their_runbooks",
        "HighPredictionErrorRates",
        f"{PAGES}/overview.json",
        '"title": "Runbook HighPredictionErrorRate"',
        '"title": "Runbook HighPredictionErrorRates"',
    ),
    "an alert that no panel shows": Fault(
        "test_every_alert_has_a_panel_that_shows_what_it_watches_and_links_to_its_runbook",
        "TelemetryMeasurementsDropped",
        f"{PAGES}/telemetry-health.json",
        '"title": "Runbook TelemetryMeasurementsDropped"',
        '"title": "Runbook CollectorMissing"',
    ),
    "a field that Grafana does not have": Fault(
        "test_grafanas_own_types_read_and_write_the_page_without_a_difference",
        "grafTooltip",
        f"{PAGES}/model.json",
        '"graphTooltip": 1',
        '"graphTooltip": 1, "grafTooltip": 1',
        "infermeter-model",
    ),
    "a series that is recorded for nobody": Fault(
        "test_what_is_recorded_about_models_is_read_by_a_rule_a_panel_or_a_runbook",
        "record it for somebody",
        "sdk/infermeter/catalog.py",
        'INFO = Metric(\n    "model_info",',
        'INFO = Metric(\n    "model_information",',
        "model_information",
    ),
    "a page of metrics that is not the catalogue": Fault(
        "test_the_metric_reference_equals_the_catalogue",
        "run: python sdk/write_metrics_md.py",
        "sdk/METRICS.md",
        "Total inference requests",
        "All inference requests",
    ),
    "a manifest with a mistyped field": Fault(
        "test_the_manifest_is_what_kubernetes_accepts_without_a_field_it_does_not_know",
        "nodeSelektor",
        "deploy/kubernetes/manifests/gpu.yaml",
        "nodeSelector:",
        "nodeSelektor:",
        "dcgm-exporter",
    ),
    "a collector in the cluster without a token": Fault(
        "test_the_collector_is_reached_from_outside_only_with_a_token",
        "auth",
        "deploy/kubernetes/manifests/collector.yaml",
        "            - --config=/etc/infermeter-collector/auth.yaml\n",
        "",
    ),
}

if sys.version_info < (3, 11):
    del FAULTS["a field that Grafana does not have"]  # conftest.py says why


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Name and message of each test that fails in a copy with all faults."""
    copy = tmp_path_factory.mktemp("faulty") / "copy"
    copy.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "_assets", "node_modules", "*.pyc")
    for folder in ("collector", "deploy", "examples", "sdk", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    for name, fault in FAULTS.items():
        _plant(name, fault, copy / fault.file)
    report = copy / "report.xml"
    chosen = sorted({f"({fault.test} and {fault.case})" if fault.case else fault.test for fault in FAULTS.values()})
    tests = [str(file.relative_to(ROOT)) for file in Path(__file__).parent.glob("test_*.py") if file != Path(__file__)]
    command = [sys.executable, "-m", "pytest", "-vv", f"--junitxml={report}", "-k", " or ".join(chosen), *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy / "sdk"), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    cases = ET.parse(report).iter("testcase")
    failed = [(case.get("name", ""), case.find("failure")) for case in cases]
    return [(name, f"{node.get('message')}\n{node.text}") for name, node in failed if node is not None]


def _plant(name: str, fault: Fault, file: Path) -> None:
    if not fault.old:
        file.unlink()
        return
    text = file.read_text(encoding="utf-8")
    assert fault.old in text, f"{name}: {fault.file} does not say {fault.old!r} any more; plant it elsewhere"
    file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_contract_fails_for_its_fault_and_says_why(fault, failures):
    said = [text for name, text in failures if re.match(rf"{fault.test}(\[|$)", name)]
    assert said, f"{fault.test} did not fail"
    assert any(fault.says in text for text in said), said[0][:2000]
