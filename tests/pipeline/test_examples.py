"""Every example runs as its first lines say, and leaves the series that they promise in Prometheus."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.pipeline.example_processes import (
    UVICORN,
    await_next_scrape,
    environment,
    requests_in_prometheus,
    run_script,
    send_all,
    serving,
)
from tests.pipeline.live_stack import LiveStack, eventually

from infermeter.assets import asset

pytestmark = pytest.mark.pipeline

Expected = dict[str, float]

REQUESTS = "model_inference_requests_total"
SCRIPT: Expected = {
    f'{REQUESTS}{{model_name="churn",model_version="1",status="success"}}': 297,
    f'{REQUESTS}{{model_name="churn",model_version="1",status="error"}}': 3,
    'model_inference_exceptions_total{model_name="churn",model_version="1",error_type="IndexError"}': 3,
    'model_inference_latency_seconds_bucket{model_name="churn",model_version="1",le="0.05"}': 300,
    'model_inference_latency_seconds_bucket{model_name="churn",model_version="1",le="+Inf"}': 300,
    'model_inference_sla_seconds{model_name="churn"}': 0.05,
    'model_prediction_confidence_count{model_name="churn"}': 297,
    'sum(model_feature_values_total{model_name="churn",model_version="1",feature="prediction"})': 297,
}
STREAMING: Expected = {
    f'{REQUESTS}{{model_name="assistant",model_version="1",status="success"}}': 20,
    f'{REQUESTS}{{model_name="assistant",model_version="1",status="cancelled"}}': 8,
    f'{REQUESTS}{{model_name="assistant",model_version="1",status="error"}}': 2,
    'model_inference_exceptions_total{model_name="assistant",model_version="1",error_type="ArithmeticError"}': 2,
    'model_inference_latency_seconds_count{model_name="assistant",model_version="1"}': 22,  # the cancelled have none
    'model_tokens_total{model_name="assistant",model_version="1",direction="output"}': 20 * 8 + 8 * 3 + 2 * 4,
    'model_time_to_first_token_seconds_count{model_name="assistant",model_version="1"}': 30,
    'model_time_per_output_token_seconds_count{model_name="assistant",model_version="1"}': 30,
    'sum(model_inference_in_flight{model_name="assistant"})': 0,
    # Time runs to the last token: none of those that were read to the end took less than eight waits of 10 ms.
    'model_inference_latency_seconds_bucket{model_name="assistant",model_version="1",le="0.01"}': 0,
}
BATCHES, SIZE = "model_inference_batches_total", "model_inference_batch_size_bucket"
BATCHING: Expected = {
    f'{BATCHES}{{model_name="embedder",model_version="1",reason="full"}}': 20,
    f'{BATCHES}{{model_name="embedder",model_version="1",reason="timeout"}}': 0,
    f'{BATCHES}{{model_name="reranker",model_version="1",reason="full"}}': 0,
    f'{BATCHES}{{model_name="reranker",model_version="1",reason="timeout"}}': 20,
    f'{SIZE}{{model_name="embedder",model_version="1",le="8.0"}}': 0,
    f'{SIZE}{{model_name="embedder",model_version="1",le="16.0"}}': 20,
    f'{SIZE}{{model_name="reranker",model_version="1",le="1.0"}}': 20,
    'model_inference_batch_limit{model_name="embedder",model_version="1"}': 16,
    'model_inference_batch_limit{model_name="reranker",model_version="1"}': 16,
    'model_inference_queue_depth{model_name="reranker",model_version="1"}': 0,
    'model_inference_queue_time_seconds_count{model_name="reranker",model_version="1"}': 20,
}
REQUIREMENTS: Expected = {
    f'{REQUESTS}{{model_name="ranker",model_version="1",status="success"}}': 40,
    f'{REQUESTS}{{model_name="ranker",model_version="1",status="error"}}': 0,
    f'{REQUESTS}{{model_name="ranker",model_version="2",status="success"}}': 40,
    f'{REQUESTS}{{model_name="spam",model_version="1",status="success"}}': 9,
    f'{REQUESTS}{{model_name="spam",model_version="1",status="error"}}': 1,
    'model_prediction_confidence_count{model_name="ranker"}': 80,
    'model_prediction_confidence_count{model_name="spam"}': 9,
    'model_inference_latency_seconds_count{model_name="spam",model_version="1"}': 10,
}


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        pytest.param("script", SCRIPT, id="script"),
        pytest.param("streaming", STREAMING, id="streaming"),
        pytest.param("batching", BATCHING, id="batching"),
        pytest.param("requirements_decorator", REQUIREMENTS, id="requirements_decorator"),
    ],
)
def test_an_example_leaves_the_series_it_promises(live_stack: LiveStack, example: str, expected: Expected) -> None:
    service = f"example-{example}"
    # An hour between exports: everything must arrive because the script ends.
    run_script(asset("examples") / f"{example}.py", environment(live_stack, service, interval_s=3600))
    await_next_scrape(live_stack)

    assert values(live_stack, service, expected) == expected


def test_the_nightly_job_counts_its_runs_and_keeps_the_time_of_its_last_success(live_stack: LiveStack) -> None:
    runs, success = "pipeline_runs_total", "pipeline_last_success_timestamp_seconds"
    pipeline = 'pipeline="customer-features"'
    script = asset("examples") / "nightly_pipeline.py"
    env = environment(live_stack, "example-nightly", interval_s=3600)

    def counted() -> dict[str, float | None]:
        return {status: live_stack.value(f'{runs}{{{pipeline},status="{status}"}}') for status in ("success", "error")}

    run_script(script, env)
    eventually("the first run", lambda: counted() == {"success": 1, "error": 0})
    first = live_stack.value(f"{success}{{{pipeline}}}")
    age_s = live_stack.value(f"time() - pipeline_data_timestamp_seconds{{{pipeline}}}")
    assert age_s is not None
    assert 1800 <= age_s < 1900
    failed = subprocess.run(
        [sys.executable, str(script), "--empty-source"],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (failed.returncode, failed.stdout) == (1, "")
    assert "the source is empty" in failed.stderr
    eventually("the run that failed", lambda: counted() == {"success": 1, "error": 1})
    assert live_stack.value(f"{success}{{{pipeline}}}") == first


def test_the_fraud_example_counts_each_version_and_how_its_requests_ended(
    live_stack: LiveStack, tmp_path: Path
) -> None:
    env = environment(live_stack, "example-fraud")
    with serving(UVICORN, env, tmp_path / "server.log") as url:
        log = send_all(url, tmp_path / "sent.csv", 400, "--errors", "0.05", "--slow", "0.02", "--malformed", "0.05")
    counted = requests_in_prometheus(live_stack, "example-fraud")
    labels = 'model_name="fraud",model_version=~"1|2"'

    assert counted == log.answered()
    assert {status for _, _, status in counted} == {"success", "error", "rejected"}
    judged = sum(count for (_, _, status), count in counted.items() if status != "rejected")
    latencies: Expected = {
        f"sum(model_inference_latency_seconds_count{{{labels}}})": judged,
        f'sum(model_inference_latency_seconds_bucket{{{labels},le="+Inf"}})': judged,
    }
    assert values(live_stack, "example-fraud", latencies) == latencies
    # The SLA is a bucket bound, and slow requests are beyond it.
    within_sla = f'sum(model_inference_latency_seconds_bucket{{{labels},le="0.2"}})'
    assert 0 < (values(live_stack, "example-fraud", {within_sla: 0})[within_sla] or 0) < judged


def test_a_client_that_hangs_up_on_a_streamed_answer_is_counted_as_cancelled(
    live_stack: LiveStack, tmp_path: Path
) -> None:
    env = environment(live_stack, "example-streamed", interval_s=0.2)
    with serving(
        (*UVICORN[:2], "streaming:app", *UVICORN[3:]), env, tmp_path / "server.log", ready_path="/docs"
    ) as url:
        assert len(stream(url, None).split()) == 8
        stream(url, 10)
        expected = {
            f'{REQUESTS}{{model_name="assistant",model_version="1",status="success"}}': 1.0,
            f'{REQUESTS}{{model_name="assistant",model_version="1",status="cancelled"}}': 1.0,
        }
        eventually(
            "one whole and one abandoned answer", lambda: values(live_stack, "example-streamed", expected) == expected
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--help"], "an error burst", id="help shows examples"),
        pytest.param(["--url", "http://192.0.2.1:80"], "not http:// on this machine", id="other machines"),
        pytest.param(["--url", "http://127.0.0.1:1", "--errors", "2"], "not a share", id="share above 1"),
        pytest.param(
            ["--url", "http://127.0.0.1:1", "--errors", "0.7", "--slow", "0.7"], "together", id="shares above 1"
        ),
    ],
)
def test_the_traffic_says_what_it_takes(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fraud_api.traffic", *arguments],
        cwd=asset("examples"), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert said in " ".join((done.stdout + done.stderr).split())
    assert done.returncode == (0 if arguments == ["--help"] else 2)


def stream(url: str, read_bytes: int | None) -> str:
    """Read a streamed answer, or only its first bytes, and hang up."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("POST", "/generate?prompt=hello")
        return connection.getresponse().read(read_bytes).decode()
    finally:
        connection.close()


def values(live: LiveStack, service: str, expected: Expected) -> dict[str, float | None]:
    """Return what Prometheus says of each series of a service; None where it knows none."""
    return {series: live.value(series.replace("{", f'{{job="{service}",', 1)) for series in expected}
