"""The /metrics endpoint of a process without a collector: the same series, names and values as through OTLP."""

from __future__ import annotations

import gzip
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client.parser import text_string_to_metric_families
from tests.otlp_sink import OtlpSink

import infermeter
from infermeter.catalog import CATALOG

Connect = Callable[..., infermeter.Telemetry]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
ABOUT_EXPORTS = ("infermeter_exports_total", "infermeter_export_duration_seconds")


def scrape(url: str | None) -> tuple[Series, dict[str, str]]:
    assert url is not None
    text = urllib.request.urlopen(url).read().decode()
    families = list(text_string_to_metric_families(text))
    series: Series = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in series, f"one label set twice: {key}"
            series[key] = sample.value
    return series, {family.name: family.type for family in families}


def record() -> None:
    infermeter.register_model("fraud", version="3", sla_s=0.2, classes=["legit"], framework="sklearn")
    fraud = infermeter.instrument_inference("fraud", version="3")
    for i in range(10):
        fraud.record(i / 20, confidence=i / 10, status="error" if i == 5 else "success")
    infermeter.record_prediction("fraud", version="3", label='quote " backslash \\ newline \n 🦀', confidence="no")


def as_prometheus(sink: OtlpSink, extra: dict[str, str]) -> Series:
    """Translate what OTLP carried by the rules of the text format."""
    series: Series = {}
    for name, labels, point in sink.received[-1].points():
        labels = {key: value for key, value in {**extra, **labels}.items() if value}
        if hasattr(point, "bucket_counts"):
            total = 0
            for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True):
                total += count
                le = "+Inf" if bound == float("inf") else str(bound)
                series[f"{name}_bucket", frozenset({**labels, "le": le}.items())] = total
            series[f"{name}_count", frozenset(labels.items())] = point.count
            series[f"{name}_sum", frozenset(labels.items())] = point.sum
        else:
            series[name, frozenset(labels.items())] = point.as_double or point.as_int
    return series


def comparable(series: Series) -> Series:
    return {
        (name, frozenset((key, value) for key, value in labels if value)): value
        for (name, labels), value in series.items()
        if name not in ABOUT_EXPORTS and name != "target_info"
    }


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_the_endpoint_shows_what_otlp_carries(recorder: str, sink: OtlpSink, connect: Connect) -> None:
    attributes = {"k8s.namespace.name": "ml", "k8s.pod.name": "pod-1", "host.name": "node-1"}
    telemetry = connect(
        exporter="otlp,prometheus", prometheus_port=0, recorder=recorder, resource_attributes=attributes
    )
    record()
    assert infermeter.force_flush()
    scraped, kinds = scrape(telemetry.metrics_url)

    promoted = {"namespace": "ml", "pod": "pod-1", "host_name": "node-1"}
    assert comparable(scraped) == pytest.approx(comparable(as_prometheus(sink, promoted)))
    assert not [labels for _, labels in scraped if any(key.startswith("otel_") for key, _ in labels)]
    for metric in CATALOG:
        shown = kinds.get(metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name)
        assert shown in (None, metric.kind)
    infermeter.shutdown()


def test_the_endpoint_of_an_ipv6_address_has_it_in_brackets() -> None:
    telemetry = infermeter.configure(
        exporter="prometheus", prometheus_host="::ffff:127.0.0.1", prometheus_port=0, handle_sigterm=False
    )
    assert telemetry.metrics_url is not None
    assert telemetry.metrics_url.startswith("http://[::ffff:127.0.0.1]:")
    scrape(telemetry.metrics_url)


def test_the_endpoint_is_gone_after_shutdown() -> None:
    telemetry = infermeter.configure(exporter="prometheus", prometheus_port=0, handle_sigterm=False)
    url = telemetry.metrics_url
    scrape(url)
    assert infermeter.shutdown()

    with pytest.raises(OSError, match=r"refused|reset"):
        scrape(url)


def test_the_applications_own_registry_is_left_alone() -> None:
    from prometheus_client import REGISTRY, generate_latest

    before = generate_latest(REGISTRY)
    infermeter.configure(exporter="prometheus", prometheus_port=0, handle_sigterm=False)
    record()

    assert b"model_inference" not in generate_latest(REGISTRY)
    assert len(generate_latest(REGISTRY).splitlines()) == len(before.splitlines())
    infermeter.shutdown()


def test_each_scrape_is_of_now() -> None:
    telemetry = infermeter.configure(exporter="prometheus", prometheus_port=0, handle_sigterm=False)
    fraud = infermeter.instrument_inference("fraud")
    for count in (1, 2, 3):
        fraud.record(0.1)
        scraped, _ = scrape(telemetry.metrics_url)
        values = [value for (name, labels), value in scraped.items() if name == "model_inference_requests_total"]
        assert sorted(values) == [0, count]
    infermeter.shutdown()


TEXT, OPEN_METRICS = "text/plain;version=0.0.4", "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize("accept", [TEXT, OPEN_METRICS])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_our_own_text_is_that_of_prometheus_client_line_by_line(
    accept: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.namespace.name=50% ml,service.version=2")
    provider = MeterProvider(resource=Resource({"service.name": "svc", "host.name": "h"}))
    telemetry = infermeter.configure(
        exporter="prometheus", prometheus_host="127.0.0.1", prometheus_port=0, meter_provider=provider
    )
    assert telemetry.metrics_url is not None
    headers = {"Accept": accept, "Accept-Encoding": encoding}
    provider.get_meter("app").create_counter("app_things_total", description="Of the host").add(2, {"kind": "a"})
    # With a query prometheus_client answers alone.
    for big in (0, 3, 2_000_000):
        record()
        for _ in range(min(big, 3)):
            infermeter.record_prediction("100 % sure", version="1", confidence=0.5, label="%s")
        if big > 3:
            cell = telemetry.slot("fraud", "3").cell
            cell.shards.mine()[3:] = [count + big for count in cell.shards.mine()[3:]]
        own, theirs = (asked(telemetry.metrics_url + query, headers) for query in ("", "?x=1"))

        assert set(own) ^ set(theirs) == set()
        assert len(own) == len(theirs)
        assert own[-1] == theirs[-1] or accept == TEXT
        if hasattr(provider, "add_metric_reader"):  # OpenTelemetry 1.43 and newer
            assert any("app_things_total" in line for line in own)
    provider.shutdown()


def asked(url: str, headers: dict[str, str]) -> list[str]:
    answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers))
    body = answer.read()
    assert answer.headers["Content-Type"].startswith(headers["Accept"].partition(";")[0])
    if headers["Accept-Encoding"] == "gzip":
        body = gzip.decompress(body)
    return body.decode().splitlines()


def test_scrapes_at_once_all_see_everything() -> None:
    telemetry = infermeter.configure(exporter="prometheus", prometheus_host="127.0.0.1", prometheus_port=0)
    record()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: scrape(telemetry.metrics_url)[0], range(40)))

    assert {len(answer) for answer in answers} == {len(answers[0])}
