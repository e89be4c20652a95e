"""``observe_gpus``: what leaves through the SDK, from where, and what it costs an export."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.otlp_sink import OtlpSink
from tests.waiting import until

import infermeter
from infermeter import runtime
from infermeter.errors import ConfigError
from infermeter.gpu.reader import NvmlReader


@pytest.fixture(autouse=True)
def _locks(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERMETER_GPU_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setenv("INFERMETER_GPU_EXPORTER_URL", "http://127.0.0.1:9/metrics")


def values(name: str, **labels: str) -> list[float]:
    assert runtime.live is not None
    return [
        point.value
        for family in runtime.live.families()
        if family.metric.name == name
        for point in family.points
        if labels.items() <= dict(point.labels).items()
    ]


def test_series_show_once_the_owner_thread_has_read(nvml: FakeNvml, captured_metrics) -> None:
    devices.eight_h200(nvml)

    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)

    until(lambda: values("DCGM_FI_DEV_GPU_UTIL") == [100, 0] * 4, "all GPUs")
    assert values("infermeter_gpu_nvml_up") == [1]
    assert values("infermeter_gpu_publisher", state="publishing") == [1]
    assert values("DCGM_FI_DEV_GPU_UTIL", gpu="2", Hostname=socket.gethostname()) == [100]


def test_a_collection_makes_no_call_of_the_driver(nvml: FakeNvml, captured_metrics) -> None:
    devices.eight_h200(nvml)
    infermeter.observe_gpus(NvmlReader(), interval_s=3600)
    until(lambda: values("DCGM_FI_DEV_GPU_UTIL"), "the first reading")
    nvml.forget_calls()

    for _ in range(10):
        assert values("DCGM_FI_DEV_GPU_UTIL")

    called = nvml.called()
    called.pop("nvmlEventSetWait_v2", None)  # the owner thread waits for errors of the GPUs
    assert called == {}


@pytest.mark.parametrize("wrong", [{"publisher": "me"}, {"profile": "dcgm-3"}, {"interval_s": 0}, {"interval_s": "x"}])
def test_a_wrong_value_is_refused_with_what_is_allowed(wrong) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be"):
        infermeter.observe_gpus(NvmlReader(), **wrong)


def test_the_driver_is_not_asked_more_often_than_every_5_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERMETER_GPU_INTERVAL_S", "1")

    with pytest.raises(ConfigError, match="at least 5"):
        infermeter.observe_gpus()


def test_the_driver_is_released_when_the_configuration_ends(nvml: FakeNvml, captured_metrics) -> None:
    devices.h200(nvml, 0)
    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)
    until(lambda: values("DCGM_FI_DEV_GPU_UTIL"), "the first reading")

    infermeter.shutdown()

    until(lambda: nvml.calls("nvmlShutdown") == nvml.calls("nvmlInitWithFlags") > 0, "as many shutdowns as starts")


def test_asking_again_replaces_what_was_asked_first(nvml: FakeNvml, captured_metrics) -> None:
    devices.h200(nvml, 0)
    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)
    until(lambda: values("DCGM_FI_DEV_GPU_UTIL"), "the first reading")

    infermeter.observe_gpus(NvmlReader(), interval_s=0.05, profile="dcgm-4.9")

    until(lambda: values("DCGM_FI_DEV_GPU_UTIL_RATIO") == [1.0], "the new names")
    assert values("DCGM_FI_DEV_GPU_UTIL") == []


def test_a_new_configuration_goes_on_observing(nvml: FakeNvml, connect, sink: OtlpSink) -> None:
    devices.h200(nvml, 0)
    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)
    connect()
    until(lambda: values("DCGM_FI_DEV_GPU_UTIL"), "the first reading")

    connect()

    until(lambda: values("DCGM_FI_DEV_GPU_UTIL"), "a reading of the second configuration")


def test_off_reports_which_models_use_which_gpus_and_nothing_else(
    nvml: FakeNvml, captured_metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices.eight_h200(nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    infermeter.register_model("fraud", version="3")

    infermeter.observe_gpus(NvmlReader(), publisher="off", interval_s=0.05)

    until(lambda: values("model_gpu_info"), "the join")
    points = captured_metrics.points("model_gpu_info", model_name="fraud", model_version="3")
    assert [point.labels["UUID"] for point in points] == [devices.uuid(3), devices.uuid(1)]
    assert values("DCGM_FI_DEV_GPU_UTIL") == []
    assert nvml.calls("nvmlDeviceGetFieldValues") == 0


def test_a_dcgm_exporter_on_the_machine_is_left_alone(
    nvml: FakeNvml, captured_metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices.h200(nvml, 0)
    server = HTTPServer(("127.0.0.1", 0), _Exporter)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("INFERMETER_GPU_EXPORTER_URL", f"http://127.0.0.1:{server.server_port}/metrics")

    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)

    until(lambda: values("infermeter_gpu_publisher", state="yielding") == [1], "the exporter to be noticed")
    assert values("DCGM_FI_DEV_GPU_UTIL") == []
    server.shutdown()
    server.server_close()
    thread.join()


class _Exporter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'DCGM_FI_DEV_GPU_TEMP{gpu="0"} 40')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_devices_leave_under_the_identity_of_the_host(nvml: FakeNvml, connect, sink: OtlpSink, recorder: str) -> None:
    devices.h200(nvml, 0)
    connect(recorder=recorder, service_name="fraud-api", resource_attributes={"host.name": "node-1", "pid": "7"})
    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)
    until(lambda: values("DCGM_FI_DEV_GPU_UTIL"), "the first reading")

    infermeter.force_flush()

    resources = [
        (
            {a.key: a.value.string_value for a in rm.resource.attributes},
            {m.name for s in rm.scope_metrics for m in s.metrics},
        )
        for rm in sink.received[-1].message.resource_metrics
    ]
    (host,) = [(attributes, names) for attributes, names in resources if "DCGM_FI_DEV_GPU_UTIL" in names]
    assert host[0] == {"service.name": "nvidia-gpu", "service.instance.id": "node-1", "host.name": "node-1"}
    assert not any("infermeter_gpu_nvml_up" in names for attributes, names in resources if attributes == host[0])
    assert any("infermeter_gpu_nvml_up" in names for _, names in resources)


def test_no_dcgm_series_is_a_counter_or_has_a_unit(nvml: FakeNvml, connect, sink: OtlpSink) -> None:
    devices.h200(nvml, 0)
    connect()
    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)
    until(lambda: values("DCGM_FI_DEV_GPU_UTIL"), "the first reading")

    infermeter.force_flush()

    dcgm = [
        m
        for rm in sink.received[-1].message.resource_metrics
        for s in rm.scope_metrics
        for m in s.metrics
        if m.name.startswith("DCGM_")
    ]
    assert len(dcgm) > 30
    assert [m.name for m in dcgm if m.unit or m.WhichOneof("data") != "gauge"] == []
