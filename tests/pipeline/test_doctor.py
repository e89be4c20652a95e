"""`infermeter doctor` on faults planted in a real stack: each is named at its hop, with a remedy and its own status."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.fake_nvml.control import FakeNvml, compile_library
from tests.pipeline.asked_doctor import addresses, ask_doctor, expect_failure
from tests.pipeline.conftest import StartStack
from tests.pipeline.live_stack import LiveStack, eventually
from tests.pipeline.otlp_payloads import metric, request, resource
from tests.pipeline.second_prometheus import Config, scrape_job, second_prometheus

from infermeter.cli.exit_codes import ExitCode

pytestmark = pytest.mark.pipeline

ChangedPrometheus = Callable[[Callable[[Config], None]], str]


@pytest.fixture
def changed_prometheus(binaries: dict[str, Path], live_stack: LiveStack, tmp_path: Path) -> Iterator[ChangedPrometheus]:
    """Start another Prometheus for the shared stack, with an edited configuration."""
    running: list[AbstractContextManager[str]] = []

    def start(change: Callable[[Config], None]) -> str:
        running.append(second_prometheus(binaries["prometheus"], live_stack, tmp_path / "other", change))
        return running[-1].__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


def test_a_healthy_stack_is_all_well_from_the_sdk_to_alertmanager(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(*addresses(live_stack))

    assert set(diagnosis.of("ok")) >= {"versions", "settings", "endpoint", "export", "Prometheus", "clock", "arrival",
                                       "rules", "alert", "Alertmanager", "copies"}  # fmt: skip
    assert diagnosis.of("failed") == diagnosis.of("not checked") == {}
    assert diagnosis.status == ExitCode.OK


def test_a_missing_namespace_is_a_warning(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(*addresses(live_stack), OTEL_RESOURCE_ATTRIBUTES="")

    assert "without a namespace" in diagnosis.of("warning")["arrival"][0]
    assert diagnosis.status == ExitCode.OK


def test_nobody_at_the_endpoint_is_named_and_what_comes_behind_is_not_checked(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(*addresses(live_stack, endpoint="http://127.0.0.1:9"))

    expect_failure(diagnosis, "endpoint", ExitCode.DOCTOR_ENDPOINT, "127.0.0.1:9", "infermeter status")
    assert set(diagnosis.of("not checked")) == {"export", "arrival", "alert", "Alertmanager"}


def test_the_port_of_grpc_under_the_protocol_http_is_named(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(*addresses(live_stack, endpoint=live_stack.otlp_grpc_url))

    expect_failure(diagnosis, "endpoint", ExitCode.DOCTOR_ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")


def test_grpc_is_followed_as_well(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(
        *addresses(live_stack, endpoint=live_stack.otlp_grpc_url), OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
    )

    assert diagnosis.status == ExitCode.OK, diagnosis.answer


def test_a_path_that_is_unknown_there_is_named(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(*addresses(live_stack, endpoint=f"{live_stack.otlp_http_url}/otlp"))

    expect_failure(diagnosis, "endpoint", ExitCode.DOCTOR_ENDPOINT, "404", "base address")


def test_https_to_a_plain_port_is_named(live_stack: LiveStack) -> None:
    endpoint = live_stack.otlp_http_url.replace("http://", "https://")

    expect_failure(ask_doctor(*addresses(live_stack, endpoint=endpoint)), "endpoint", ExitCode.DOCTOR_TLS,
                   "plain HTTP", "http://")  # fmt: skip


class _Forwarder(http.server.BaseHTTPRequestHandler):
    """Passes requests on to `target`; its clock is wrong by `ahead_s`."""

    target = ""
    ahead_s = 0.0

    def do_GET(self) -> None:
        with urllib.request.urlopen(self.target + self.path) as answer:
            body = answer.read()
        self.send_response_only(200)
        self.send_header("Date", formatdate(time.time() + self.ahead_s, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Say nothing."""


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve a handler class on a free port, with TLS if wanted."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(tls: ssl.SSLContext | None = None, **settings: Any) -> str:
        handler = type("Handler", (_Forwarder,), settings)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a refused handshake is what we want
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def tls() -> ssl.SSLContext:
    """Return the server side of a certificate that nobody here trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_plain_http_to_a_port_with_tls_is_named(
    live_stack: LiveStack, serve: Callable[..., str], tls: ssl.SSLContext
) -> None:
    endpoint = serve(tls).replace("https://", "http://")

    expect_failure(ask_doctor(*addresses(live_stack, endpoint=endpoint)), "endpoint", ExitCode.DOCTOR_TLS,
                   "speaks TLS", "https://")  # fmt: skip


def test_a_certificate_that_is_not_trusted_is_named(
    live_stack: LiveStack, serve: Callable[..., str], tls: ssl.SSLContext
) -> None:
    diagnosis = ask_doctor(*addresses(live_stack, endpoint=serve(tls)))

    expect_failure(diagnosis, "endpoint", ExitCode.DOCTOR_TLS, "not trusted", "OTEL_EXPORTER_OTLP_CERTIFICATE")


def test_a_missing_and_a_wrong_token_are_told_apart_and_the_right_one_passes(start_stack: StartStack) -> None:
    stack = start_stack(bearer_token="correct-horse")

    expect_failure(ask_doctor(*addresses(stack)), "endpoint", ExitCode.DOCTOR_TOKEN, "without a token", "Bearer%20")
    expect_failure(
        ask_doctor(*addresses(stack), OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20wrong"),
        "endpoint", ExitCode.DOCTOR_TOKEN, "this token",
    )  # fmt: skip
    assert ask_doctor(*addresses(stack), OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20correct-horse").status == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_METRIC_EXPORT_INTERVAL", "soon"), ("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "none")],
)
def test_a_setting_that_stops_everything_is_named(live_stack: LiveStack, variable: str, value: str) -> None:
    expect_failure(ask_doctor(*addresses(live_stack), **{variable: value}), "settings", ExitCode.DOCTOR_SETTINGS,
                   variable)  # fmt: skip


def test_a_dead_prometheus_is_named(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(*addresses(live_stack, prometheus="http://127.0.0.1:9"))

    expect_failure(diagnosis, "Prometheus", ExitCode.DOCTOR_PROMETHEUS, "--prometheus")


def test_something_else_in_the_place_of_prometheus_is_named(live_stack: LiveStack) -> None:
    diagnosis = ask_doctor(*addresses(live_stack, prometheus=live_stack.alertmanager_url))

    expect_failure(diagnosis, "Prometheus", ExitCode.DOCTOR_PROMETHEUS, "answers")


def test_clocks_that_disagree_are_named_with_their_distance(live_stack: LiveStack, serve: Callable[..., str]) -> None:
    prometheus = serve(target=live_stack.prometheus_url, ahead_s=-3600.0)

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=prometheus))

    expect_failure(diagnosis, "clock", ExitCode.DOCTOR_CLOCK, "360", "s behind", "NTP")


def test_a_missing_honor_labels_is_named(live_stack: LiveStack, changed_prometheus: ChangedPrometheus) -> None:
    prometheus = changed_prometheus(lambda config: scrape_job(config, "infermeter-collector").pop("honor_labels"))

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=prometheus))

    expect_failure(diagnosis, "arrival", ExitCode.DOCTOR_LABELS, "exported_job", "honor_labels: true")


def test_a_collector_that_nobody_scrapes_is_named(live_stack: LiveStack, changed_prometheus: ChangedPrometheus) -> None:
    prometheus = changed_prometheus(
        lambda config: config["scrape_configs"].remove(scrape_job(config, "infermeter-collector"))
    )

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=prometheus), "--timeout", "2")

    expect_failure(diagnosis, "arrival", ExitCode.DOCTOR_SCRAPE, "no scrape job", "9464")


def test_a_scrape_of_the_wrong_port_is_named_with_its_error(
    live_stack: LiveStack, changed_prometheus: ChangedPrometheus
) -> None:
    def change(config: Config) -> None:
        scrape_job(config, "infermeter-collector")["static_configs"] = [{"targets": ["127.0.0.1:9"]}]

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=changed_prometheus(change)), "--timeout", "4")

    expect_failure(diagnosis, "arrival", ExitCode.DOCTOR_SCRAPE, "127.0.0.1:9/metrics", "connection refused")


def test_a_scrape_beyond_its_limit_is_named(live_stack: LiveStack, changed_prometheus: ChangedPrometheus) -> None:
    prometheus = changed_prometheus(
        lambda config: scrape_job(config, "infermeter-collector").update({"sample_limit": 1})
    )

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=prometheus), "--timeout", "4")

    expect_failure(diagnosis, "arrival", ExitCode.DOCTOR_SCRAPE, "exceeds a limit", "sample_limit")


def test_two_ways_into_prometheus_are_named(live_stack: LiveStack, changed_prometheus: ChangedPrometheus) -> None:
    def change(config: Config) -> None:
        again = {**scrape_job(config, "infermeter-collector"), "job_name": "again"}
        again["static_configs"] = [{**again["static_configs"][0], "labels": {"path": "second"}}]
        config["scrape_configs"].append(again)

    prometheus = changed_prometheus(change)
    eventually("both scrapes", lambda: _up(prometheus) >= {"again", "infermeter-collector"})

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=prometheus))

    expect_failure(diagnosis, "copies", ExitCode.DOCTOR_DOUBLE, "arrived 2 times", "path")


def _up(prometheus: str) -> set[str]:
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?query=up%3D%3D1") as answer:
        return {row["metric"]["job"] for row in json.load(answer)["data"]["result"]}


def test_rules_that_are_not_loaded_are_named(live_stack: LiveStack, changed_prometheus: ChangedPrometheus) -> None:
    def change(config: Config) -> None:
        config["rule_files"] = [file for file in config["rule_files"] if "inference" not in file]

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=changed_prometheus(change)))

    expect_failure(diagnosis, "rules", ExitCode.DOCTOR_RULES, "not loaded", "rule_files")
    assert set(diagnosis.of("not checked")) == {"alert", "Alertmanager"}


def test_a_rule_that_fails_is_named_with_its_error(
    live_stack: LiveStack, changed_prometheus: ChangedPrometheus, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "groups: [{name: theirs, interval: 1s, rules: [{record: broken, expr: 'up / on() group_left() up'}]}]\n"
    )
    prometheus = changed_prometheus(lambda config: config["rule_files"].append(str(broken)))
    eventually("the rule to fail", lambda: b"lastError" in _get(f"{prometheus}/api/v1/rules"))

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=prometheus))

    expect_failure(diagnosis, "rules", ExitCode.DOCTOR_RULES, "The rule broken fails", "many-to-many")


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        content: bytes = answer.read()
        return content


def test_a_prometheus_without_alertmanager_is_named(
    live_stack: LiveStack, changed_prometheus: ChangedPrometheus
) -> None:
    diagnosis = ask_doctor(*addresses(live_stack, prometheus=changed_prometheus(lambda config: config.pop("alerting"))))

    expect_failure(diagnosis, "Alertmanager", ExitCode.DOCTOR_ALERTMANAGER, "knows no Alertmanager", "alerting")


def test_a_dead_alertmanager_is_named(live_stack: LiveStack, changed_prometheus: ChangedPrometheus) -> None:
    def change(config: Config) -> None:
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = ["127.0.0.1:9"]

    diagnosis = ask_doctor(*addresses(live_stack, prometheus=changed_prometheus(change)))

    expect_failure(diagnosis, "Alertmanager", ExitCode.DOCTOR_ALERTMANAGER, "127.0.0.1:9", "does not answer")


def test_a_collector_that_cannot_push_to_prometheus_is_named(
    start_stack: StartStack, binaries: dict[str, Path], tmp_path: Path
) -> None:
    """Profile 2, and the Prometheus has its OTLP receiver switched off: the collector takes everything and loses it."""
    stack = start_stack(profile="otlp")
    stack.stack.stop_part("prometheus")
    port = stack.stack.ports["prometheus"]
    with second_prometheus(binaries["prometheus"], stack, tmp_path / "other", lambda _: None, port=port) as prometheus:
        assert stack.send(request(resource(service__name="any"), metric("model_info", "gauge", 1, {}))) == 200
        failures = f"{prometheus}/api/v1/query?query=otelcol_exporter_send_failed_metric_points"
        eventually("the collector to report its failure", lambda: json.loads(_get(failures))["data"]["result"])

        diagnosis = ask_doctor(*addresses(stack, prometheus=prometheus), "--timeout", "2")

    expect_failure(diagnosis, "arrival", ExitCode.DOCTOR_COLLECTOR, "cannot deliver", "--web.enable-otlp-receiver")


def test_a_gpu_driver_that_cannot_be_used_is_named_though_all_else_is_well(
    live_stack: LiveStack, tmp_path: Path
) -> None:
    fake = FakeNvml(tmp_path / "state")
    fake.rule("nvmlInitWithFlags", ret=18)
    environment = {"FAKE_NVML_STATE": str(fake.path), "LD_LIBRARY_PATH": str(compile_library(tmp_path).parent)}

    diagnosis = ask_doctor(*addresses(live_stack), **environment)

    expect_failure(diagnosis, "GPU", ExitCode.DOCTOR_GPU, "version_mismatch", "reboot")


def test_what_services_do_wrong_is_named_for_each(start_stack: StartStack) -> None:
    stack = start_stack()
    labels = {"http.route": "/predict", "http.request.method": "POST", "http.response.status_code": "200"}
    twice = [
        metric("http.server.request.duration", "histogram", 3, labels, unit="s"),
        metric("http.server.duration", "histogram", 3, {"http.method": "POST"}, unit="ms"),
    ]
    old = resource(service__name="old", service__instance__id="1", telemetry__sdk__language="python",
                   telemetry__sdk__version="1.20.0")  # fmt: skip
    early = metric("pipeline_last_success_timestamp_seconds", "gauge", time.time() + 500, {"pipeline": "nightly"})
    dropped = metric("infermeter_dropped_total", "counter", 5, {"where": "confidence", "reason": "nan"})
    assert stack.send(request(resource(service__name="twice", service__instance__id="1"), *twice)) == 200
    assert stack.send(request(old, metric("model_info", "gauge", 1, {"model_name": "m"}))) == 200
    assert stack.send(request(resource(service__name="job", service__instance__id="1"), early)) == 200
    assert stack.send(request(resource(service__name="loss", service__instance__id="1"), dropped)) == 200
    eventually("all four to arrive", lambda: len(stack.query('count by (job) ({job=~"twice|old|job|loss"})')) == 4)

    diagnosis = ask_doctor(*addresses(stack))

    found = [(one["verdict"], one["found"]) for one in diagnosis.answer["findings"] if one["hop"] == "services"]
    said = "\n".join(text for _, text in found)
    assert "twice counts its HTTP requests twice" in said
    assert "old runs opentelemetry-sdk 1.20.0" in said
    assert "Without a namespace: old" in said
    assert "pipeline nightly's host is" in said
    assert diagnosis.status == ExitCode.DOCTOR_VERSIONS
