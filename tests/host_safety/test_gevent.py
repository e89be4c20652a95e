"""Under gevent threads are greenlets: nothing is lost and nothing waits for ever.

gevent may take over before or after our import. It refuses itself to do so after ``configure()``, which loads ``ssl``;
where gunicorn preloads, it does so nevertheless, in workers.
"""

from __future__ import annotations

import signal

import pytest
from tests.host_safety.scripts import PREAMBLE, run, started
from tests.host_safety.servers import PYTHON, serving
from tests.otlp_sink import OtlpSink

REQUESTS = "model_inference_requests_total"
PATCH = "from gevent import monkey; monkey.patch_all()\n"
TAKES_OVER = pytest.mark.parametrize("takes_over", ["first", "after the import"])


def preamble(takes_over: str, interval_s: float = 3600) -> str:
    """Return the beginning of a program: our import and gevent's patches in some order, then configure."""
    steps = [PATCH, PREAMBLE] if takes_over == "first" else [PREAMBLE, PATCH]
    return "".join([*steps, f"import gevent\ninfermeter.configure(export_interval_s={interval_s})\n"])


@TAKES_OVER
def test_calls_of_greenlets_that_overlap_are_counted_to_the_unit(takes_over: str, sink: OtlpSink) -> None:
    ended = run(
        """
        @fraud
        def predict(n):
            time.sleep(0.001 * (n % 5))
            return {"confidence": 0.5}

        def block(n):
            with fraud as call:
                gevent.sleep(0.001 * (n % 3))
                call.predicted("legit", confidence=0.5)

        gevent.joinall([gevent.spawn((predict, block)[n % 2], n) for n in range(500)], raise_error=True)
        assert infermeter.force_flush()
        """,
        preamble=preamble(takes_over),
        endpoint=sink.endpoint,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.total(REQUESTS, status="success") == 500
    assert sink.total("model_prediction_confidence") == 500
    assert sink.total("model_inference_in_flight") == 0


@TAKES_OVER
def test_exports_leave_by_the_clock_while_greenlets_work(takes_over: str, sink: OtlpSink) -> None:
    ended = run(
        """
        for _ in range(40):
            fraud.record(0.1)
            time.sleep(0.02)
        os._exit(0)  # without a last export
        """,
        preamble=preamble(takes_over, interval_s=0.05),
        endpoint=sink.endpoint,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.total(REQUESTS) > 0


@TAKES_OVER
def test_the_end_of_a_script_delivers(takes_over: str, sink: OtlpSink) -> None:
    ended = run("for _ in range(7): fraud.record(0.1)", preamble=preamble(takes_over), endpoint=sink.endpoint)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.total(REQUESTS) == 7


@TAKES_OVER
@pytest.mark.parametrize(
    "waits", ["time.sleep(30)", "gevent.spawn(time.sleep, 30).join()", "for _ in iter(int, 1): pass"]
)
def test_sigterm_delivers_and_the_process_dies_by_the_signal(takes_over: str, waits: str, sink: OtlpSink) -> None:
    program = f"""
        for _ in range(7): fraud.record(0.1)
        print("ready")
        {waits}
        """
    with started(program, preamble=preamble(takes_over), endpoint=sink.endpoint) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
        assert process.stderr is not None
        assert process.stderr.read() == ""

    assert sink.total(REQUESTS) == 7


@TAKES_OVER
def test_gpus_are_not_read_where_each_call_of_the_driver_would_stop_every_greenlet(
    takes_over: str, sink: OtlpSink
) -> None:
    ended = run(
        """
        from infermeter.gpu.simulated import SimulatedReader

        asked = []
        class Reader(SimulatedReader):
            def devices(self):
                asked.append("devices")
                return super().devices()

        infermeter.observe_gpus(Reader(), interval_s=0.05)
        time.sleep(0.3)
        fraud.record(0.1)
        assert infermeter.force_flush()
        assert asked == []
        """,
        preamble=preamble(takes_over),
        endpoint=sink.endpoint,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("infermeter gpu agent") == 1
    assert sink.total(REQUESTS) == 1


SERVICE = """
import time

import infermeter

infermeter.configure(service_name="scoring")

@infermeter.instrument_inference("fraud")
def predict():
    time.sleep(0.001)

def app(environ, start_response):
    environ["wsgi.input"].read()
    found = environ["PATH_INFO"] == "/predict"
    if found:
        predict()
    start_response("200 OK" if found else "404 Not Found", [("Content-Length", "0")])
    return [b""]
"""


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_gunicorns_gevent_worker_answers_and_delivers_its_last_interval(
    tmp_path, sink: OtlpSink, preload: tuple[str, ...]
) -> None:
    # One worker, so that it has started when it is stopped: gunicorn waits 30 s for one that hears of it too early.
    command = (PYTHON, "-m", "gunicorn", "service:app", "--bind", "unix:{socket}", "--workers", "1", "--chdir", ".")
    with serving(SERVICE, (*command, "--worker-class", "gevent", *preload), tmp_path, endpoint=sink.endpoint) as server:
        for _ in range(60):
            assert server.post("/predict") == 200
        server.stop()

    assert sink.total(REQUESTS, status="success") == 60, server.log
