"""examples/gpus.py runs as its first lines say, and leaves the series that they promise."""

from __future__ import annotations

from tests.otlp_sink import OtlpSink
from tests.pipeline.example_processes import run_script

from infermeter.assets import asset
from infermeter.gpu.simulated import MODEL, uuid_of


def test_the_example_joins_its_model_to_a_device_and_tells_what_that_does(sink: OtlpSink, fake_environment) -> None:
    env = {**fake_environment, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_SERVICE_NAME": "news-api"}

    printed = run_script(asset("examples") / "gpus.py", env)

    last = sink.received[-1]
    assert printed == "200 rankings made\n"
    assert last.value("model_inference_requests_total", model_name="news", status="success") == 200
    assert last.value("model_gpu_info", model_name="news", model_version="1", UUID=uuid_of(0)) == 1
    assert last.value("DCGM_FI_DEV_GPU_UTIL", modelName=MODEL) > 50
    assert last.value("DCGM_FI_DEV_POWER_USAGE", modelName=MODEL) > 100
