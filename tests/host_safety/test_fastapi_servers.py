"""The last interval survives the end of a real server, with and without a change to the application's code."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.host_safety.scripts import environment
from tests.host_safety.servers import PYTHON, serving

import infermeter

REQUESTS = "model_inference_requests_total"
UVICORN = (PYTHON, "-m", "uvicorn", "service:app", "--uds", "{socket}", "--log-level", "warning", "--app-dir", ".")
GUNICORN = (
    *(PYTHON, "-m", "gunicorn", "service:app", "--bind", "unix:{socket}", "--workers", "2", "--chdir", "."),
    *("--worker-class", "uvicorn.workers.UvicornWorker"),
)
RUN = (PYTHON, "-m", "infermeter.cli", "run", "--")

INSTRUMENTED = """
import infermeter
from fastapi import FastAPI
from infermeter.fastapi import instrument_app

infermeter.configure(service_name="scoring")
app = FastAPI()
instrument_app(app)

@app.post("/predict/{model}")
async def predict(model: str, row: dict) -> dict:
    return row
"""

PLAIN = """
from fastapi import FastAPI

app = FastAPI()

@app.post("/predict/{model}")
def predict(model: str, row: dict) -> dict:
    return row
"""


def counted(sink) -> float:
    return sink.total(REQUESTS, model_name="fraud", status="success")


def reporting(sink) -> int:
    """Return how many processes have reported requests."""
    return sum(1 for request in sink.latest().values() if request.value(REQUESTS) is not None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_uvicorn_delivers_the_last_interval_and_ends_as_without_us(tmp_path, sink, number):
    with serving(INSTRUMENTED, UVICORN, tmp_path, endpoint=sink.endpoint) as server:
        for _ in range(20):
            assert server.post("/predict/fraud") == 200
        assert server.stop(number) in (-number, 0)

    assert counted(sink) == 20
    assert {request.resource["service.name"] for request in sink.received} == {"scoring"}


@pytest.mark.parametrize("server_command", [(*UVICORN, "--workers", "2"), GUNICORN, (*GUNICORN, "--preload")])
def test_workers_deliver_their_last_interval(tmp_path, sink, server_command):
    with serving(INSTRUMENTED, server_command, tmp_path, endpoint=sink.endpoint) as server:
        for _ in range(60):
            assert server.post("/predict/fraud") == 200
        server.stop()

    assert counted(sink) == 60, server.log


@pytest.mark.parametrize("server_command", [(*UVICORN, "--workers", "2"), GUNICORN, (*GUNICORN, "--preload")])
def test_workers_that_share_an_instance_id_through_the_environment_do_not_overwrite_each_other(
    tmp_path, sink, server_command
):
    pod = {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-7", "OTEL_METRIC_EXPORT_INTERVAL": "200"}
    with serving(INSTRUMENTED, server_command, tmp_path, endpoint=sink.endpoint, **pod) as server:
        answered = 0
        while reporting(sink) < 2 and answered < 4000:
            assert server.post("/predict/fraud") == 200
            answered += 1
        server.stop()

    assert counted(sink) == answered, server.log


def test_workers_that_are_replaced_lose_nothing(tmp_path, sink):
    command = (*GUNICORN, "--preload", "--max-requests", "10")
    answered = 0
    with serving(INSTRUMENTED, command, tmp_path, endpoint=sink.endpoint) as server:
        while reporting(sink) < 4:
            with suppress(OSError):  # a worker on its way out resets connections that it has not answered
                assert server.post("/predict/fraud") == 200
                answered += 1
        server.stop()

    assert counted(sink) == answered, server.log


@pytest.mark.parametrize("server_command", [UVICORN, (*GUNICORN, "--preload")], ids=["uvicorn", "gunicorn-preload"])
def test_http_metrics_of_every_process_arrive_once(tmp_path, sink, server_command):
    application = INSTRUMENTED.replace("instrument_app(app)", "instrument_app(app, http=True)")
    with serving(application, server_command, tmp_path, endpoint=sink.endpoint) as server:
        for _ in range(40):
            assert server.post("/predict/fraud") == 200
        server.stop()

    assert sink.total("http.server.request.duration", **{"http.route": "/predict/{model}"}) == 40, server.log
    assert counted(sink) == 40, server.log


def test_a_receiver_that_never_answers_delays_the_end_by_a_bounded_time_only(tmp_path, sink):
    sink.swallow()
    with serving(INSTRUMENTED, UVICORN, tmp_path, endpoint=sink.endpoint) as server:
        assert server.post("/predict/fraud") == 200
        asked_s = time.monotonic()
        assert server.stop() in (-signal.SIGTERM, 0)
        assert time.monotonic() - asked_s < 15, "3 s at the end of the lifespan, 3 s at the end of the process"


@pytest.mark.parametrize(
    "server_command",
    [UVICORN, (*UVICORN, "--workers", "2"), GUNICORN, (*GUNICORN, "--preload")],
    ids=["uvicorn", "uvicorn-workers", "gunicorn", "gunicorn-preload"],
)
def test_infermeter_run_measures_a_service_whose_code_does_not_mention_us(tmp_path, sink, server_command):
    command = (*RUN, *server_command)
    with serving(PLAIN, command, tmp_path, endpoint=sink.endpoint, OTEL_SERVICE_NAME="scoring") as server:
        for _ in range(40):
            assert server.post("/predict/fraud") == 200
        server.stop()

    assert counted(sink) == 40, server.log
    assert {request.resource["service.name"] for request in sink.received} == {"scoring"}
    assert "infermeter" not in server.log


def test_a_process_that_only_starts_workers_reports_nothing_by_the_clock(tmp_path, sink):
    command = (*RUN, *UVICORN, "--workers", "2")
    with serving(PLAIN, command, tmp_path, endpoint=sink.endpoint, OTEL_METRIC_EXPORT_INTERVAL="50") as server:
        for _ in range(40):
            server.post("/predict/fraud")
        sink.await_total(40, REQUESTS, model_name="fraud", status="success")
        silent = [r for r in sink.latest().values() if r.value(REQUESTS) is None]
        # A worker may not have been asked yet; the process above the two never speaks.
        assert len(sink.latest()) <= 2, [sorted({name for name, _, _ in r.points()}) for r in silent]


def test_opentelemetry_instrument_measures_the_same(tmp_path, sink):
    from importlib.metadata import entry_points

    found = [entry.name for entry in entry_points(group="opentelemetry_instrumentor")]
    assert "infermeter" in found, "install the package (make does): its entry point is what is tested"
    program = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    command = (PYTHON, "-c", program, *UVICORN)
    with serving(PLAIN, command, tmp_path, endpoint=sink.endpoint) as server:
        for _ in range(20):
            assert server.post("/predict/fraud") == 200
        server.stop()

    assert counted(sink) == 20, server.log


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infermeter.cli", "run", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(OTEL_METRICS_EXPORTER="none", **variables),
        check=False,
    )


def test_a_script_under_run_is_configured_and_keeps_its_arguments_output_and_status():
    program = "import sys, infermeter; print(infermeter.is_configured(), sys.argv[1:]); sys.exit(7)"
    done = run("--", sys.executable, "-W", "error", "-c", program, "--workers", "4", "--help")

    assert (done.stdout, done.stderr, done.returncode) == ("True ['--workers', '4', '--help']\n", "", 7)


def test_a_helper_process_below_run_is_left_alone():
    child = "import infermeter; print(infermeter.is_configured())"
    program = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {child!r}], text=True))"
    done = run("--", sys.executable, "-c", program)

    assert done.stdout.split() == ["False"], done.stderr


def test_a_worker_of_multiprocessing_below_run_is_configured():
    program = """
import multiprocessing
if __name__ == "__main__":
    import infermeter
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(infermeter.is_configured))
"""
    done = run("--", sys.executable, "-c", program)

    assert done.stdout.split() == ["True"], done.stderr


def test_a_sitecustomize_that_was_there_before_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    path = environment()["PYTHONPATH"]
    done = run("--", sys.executable, "-c", "print('program')", PYTHONPATH=f"{tmp_path}:{path}")

    # Once in the command line itself, once in the program.
    assert done.stdout.split() == ["mine", "mine", "program"], done.stderr


def test_a_python_without_infermeter_below_run_starts_as_ever():
    first = Path(infermeter.__file__).parent / "cli" / "autoload" / "sitecustomize.py"
    program = f"import runpy; runpy.run_path({str(first)!r}); print('alone')"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**environment(), "PYTHONPATH": ""},
        check=False,
    )

    assert (done.stdout, done.stderr) == ("alone\n", "")


@pytest.mark.parametrize("arguments", [(), ("--",)])
def test_no_command_is_a_usage_error(arguments):
    done = run(*arguments)

    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_an_unknown_option_is_a_usage_error():
    done = run("--wrokers", "4", "uvicorn")

    assert done.returncode == 2
    assert "No such option: --wrokers" in done.stderr


def test_a_command_that_does_not_exist_is_said_clearly():
    done = run("--", "uvicron", "app:app")

    assert (done.stdout, done.returncode) == ("", 127)
    assert done.stderr == "Error: uvicron was not found; is it installed here, and on PATH?\n"


def test_a_command_that_cannot_be_run_is_said_clearly(tmp_path):
    done = run("--", str(tmp_path))

    assert done.returncode == 126
    assert "cannot be run" in done.stderr


def test_a_wrong_setting_is_said_before_anything_starts():
    done = run("--", sys.executable, "-c", "print('started')", OTEL_METRIC_EXPORT_INTERVAL="soon")

    assert (done.stdout, done.returncode) == ("", 2)
    assert "OTEL_METRIC_EXPORT_INTERVAL / export_interval_s" in done.stderr


def test_help_shows_examples():
    done = run("--help")

    assert done.returncode == 0
    assert "infermeter run -- uvicorn app:app --workers 4" in done.stdout
