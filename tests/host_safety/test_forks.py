"""A fork at any moment: parent and child both report their own calls, once, and neither ever hangs."""

from __future__ import annotations

import json

import pytest
from tests.host_safety.scripts import run
from tests.otlp_sink import OtlpSink

REQUESTS = "model_inference_requests_total"


def per_process(sink: OtlpSink) -> list[float]:
    return sorted(request.value(REQUESTS, model_name="fraud") or 0 for request in sink.latest().values())


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_a_child_starts_from_zero_with_its_own_instance_id(recorder: str, sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600, resource_attributes={"service.instance.id": "mine"})
        for _ in range(10): fraud.record(0.1)
        child = os.fork()
        fraud.record(0.1)
        if child == 0:
            os._exit(0 if infermeter.shutdown() else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        endpoint=sink.endpoint,
        INFERMETER_RECORDER=recorder,
    )

    assert (ended.stdout, ended.stderr) == ("0\n", "")
    assert per_process(sink) == [1, 11]
    assert "mine" in sink.latest()


def test_a_childs_series_start_after_its_birth(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        fraud.record(0.1)
        infermeter.force_flush()
        born = time.time_ns()
        child = os.fork()
        if child == 0:
            fraud.record(0.1)
            infermeter.shutdown()
            os._exit(0)
        os.waitpid(child, 0)
        print(born)
        """,
        endpoint=sink.endpoint,
    )

    born_ns = int(ended.stdout)
    by_age = [
        {p.start_time_unix_nano > born_ns for name, _, p in request.points() if name in (REQUESTS, LATENCY)}
        for request in sink.latest().values()
    ]
    assert sorted(by_age, key=str) == [{False}, {True}]


LATENCY = "model_inference_latency_seconds"


@pytest.mark.parametrize("recorder", ["cells", "otel"])
@pytest.mark.parametrize("exporter", ["otlp", "none"])
def test_forks_during_exports_and_recordings_never_hang(recorder: str, exporter: str, sink: OtlpSink) -> None:
    forks = 25 if recorder == "cells" else 12
    ended = run(
        """
        infermeter.configure(export_interval_s=0.01)
        stop = False
        def busy():
            while not stop:
                infermeter.force_flush(1)
                time.sleep(0.002)
        def recording():
            i = 0
            while not stop:
                fraud.record(0.1)
                infermeter.record_prediction(f"m{(i := i + 1) % 30}", confidence=0.5)
        threads = [threading.Thread(target=target, daemon=True) for target in (busy, recording)]
        for thread in threads: thread.start()
        hung = 0
        for _ in range(int(os.environ["FORKS"])):
            time.sleep(0.002)
            child = os.fork()
            if child == 0:
                signal.alarm(0)
                other = infermeter.instrument_inference("of-child")
                other.record(0.1)
                with other: pass
                os._exit(0 if infermeter.shutdown(30) else 1)
            deadline = time.monotonic() + 45
            while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
                if time.monotonic() > deadline:
                    hung += 1
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    break
                time.sleep(0.002)
            else:
                hung += os.waitstatus_to_exitcode(ended[1]) != 0
        stop = True
        print("hung or failed:", hung)
        """,
        endpoint=sink.endpoint,
        INFERMETER_RECORDER=recorder,
        OTEL_METRICS_EXPORTER=exporter,
        FORKS=str(forks),
    )

    assert ended.stdout == "hung or failed: 0\n", ended.stderr
    if exporter == "otlp":
        children = [r for r in sink.latest().values() if r.value(REQUESTS, model_name="of-child")]
        assert [r.value(REQUESTS, model_name="of-child") for r in children] == [2] * forks
        assert [r.value(REQUESTS, model_name="fraud") or 0 for r in children] == [0] * forks


def test_children_of_multiprocessing_deliver_at_their_end(sink: OtlpSink) -> None:
    ended = run(
        """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        infermeter.configure(export_interval_s=3600)
        fraud.record(0.1)
        def work(count):
            for _ in range(count): fraud.record(0.1)
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=work, args=(count,)) for count in (2, 3)]
        for process in processes: process.start()
        for process in processes: process.join()
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            list(pool.map(work, [4, 4]))
        print([process.exitcode for process in processes])
        """,
        endpoint=sink.endpoint,
    )

    assert (ended.stdout, ended.stderr) == ("[0, 0]\n", "")
    assert per_process(sink) == [1, 2, 3, 8]


def test_a_child_that_leaves_by_os_exit_ends_at_once_and_costs_its_last_interval_only(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        child = os.fork()
        if child == 0:
            fraud.record(0.1)
            infermeter.force_flush()
            fraud.record(0.1)
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        endpoint=sink.endpoint,
    )

    assert ended.stdout == "7\n"
    assert sink.total(REQUESTS, model_name="fraud") == 1


@pytest.mark.parametrize("form", ["block", "function", "generator"])
@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_a_fork_within_a_call_leaves_the_call_to_the_parent(form: str, recorder: str, sink: OtlpSink) -> None:
    ended = run(
        f"""
        infermeter.configure(export_interval_s=3600)
        child = None
        def predict():
            global child
            child = os.fork()
        def chunks():
            predict()
            yield 1
        if {form!r} == "block":
            with fraud: predict()
        elif {form!r} == "function":
            fraud(predict)()
        else:
            list(fraud(chunks)())
        fraud.record(0.1)
        if child: print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        endpoint=sink.endpoint,
        INFERMETER_RECORDER=recorder,
    )

    assert (ended.stdout, ended.stderr) == ("0\n", "")
    assert per_process(sink) == [1, 2]
    assert [r.value("model_inference_in_flight", model_name="fraud") for r in sink.latest().values()] == [0, 0]


def test_a_child_drops_what_was_counted_before_a_models_bounds_changed(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        fraud.record(0.1, confidence=0.5)
        infermeter.register_model("fraud", version="3", sla_s=0.123)
        child = os.fork()
        fraud.record(0.1, confidence=0.5)
        if child: os.waitpid(child, 0)
        """,
        endpoint=sink.endpoint,
    )

    assert "Traceback" not in ended.stderr
    assert per_process(sink) == [1, 2]
    assert sorted(r.value("model_prediction_confidence") or 0 for r in sink.latest().values()) == [1, 2]


def test_forking_before_configure_gives_each_its_own_life(sink: OtlpSink) -> None:
    ended = run(
        """
        child = os.fork()
        infermeter.configure(export_interval_s=3600)
        fraud.record(0.1)
        if child: print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        endpoint=sink.endpoint,
        OTEL_RESOURCE_ATTRIBUTES="service.name=forked",
    )

    assert (ended.stdout, ended.stderr) == ("0\n", "")
    assert per_process(sink) == [1, 1]


def test_grandchildren_report_as_themselves(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        for generation in range(3):
            fraud.record(0.1)
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                break
        fraud.record(0.1)
        """,
        endpoint=sink.endpoint,
    )

    assert ended.stderr == ""
    assert per_process(sink) == [1, 2, 2, 2]


def test_sigterm_of_a_forked_child_delivers_its_part_only(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        fraud.record(0.1)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            for _ in range(5): fraud.record(0.1)
            os.write(writing, b"x")
            while True: time.sleep(1)
        os.read(reading, 1)
        os.kill(child, signal.SIGTERM)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        endpoint=sink.endpoint,
    )

    assert ended.stdout == "-15\n", ended.stderr
    assert per_process(sink) == [1, 5]


def test_a_child_without_our_use_sends_nothing(sink: OtlpSink) -> None:
    ended = run(
        """
        import subprocess
        infermeter.configure(export_interval_s=3600)
        fraud.record(0.1)
        subprocess.run(["true"], check=True)
        child = os.fork()
        if child == 0: os.execvp("true", ["true"])
        os.waitpid(child, 0)
        print(json.dumps(True)) if "json" in dir() else print("true")
        """,
        endpoint=sink.endpoint,
    )

    assert json.loads(ended.stdout) is True
    assert per_process(sink) == [1]


@pytest.mark.parametrize("exporter", ["otlp", "console"])
@pytest.mark.parametrize("answer", ["ok", "503", "nobody", "not TLS"])
def test_exporting_imports_nothing_that_a_fork_could_catch_half_loaded(
    exporter: str, answer: str, sink: OtlpSink
) -> None:
    # A child inherits the lock of a module that was being imported, and nobody to release it.
    if answer == "503":
        sink.refuse(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    endpoints = {"nobody": "http://localhost:9", "not TLS": sink.endpoint.replace("http", "https")}
    ended = run(
        """
        imported = []
        def hook(event, args):
            if event == "import" and threading.current_thread().name == "infermeter":
                imported.append(args[0])
        sys.addaudithook(hook)
        infermeter.configure(export_interval_s=3600, export_timeout_s=0.2)
        for _ in range(2):
            fraud.record(0.1, confidence=2)
            infermeter.force_flush()
        infermeter.shutdown()
        print(imported, file=sys.stderr)
        """,
        endpoint=endpoints.get(answer, sink.endpoint),
        OTEL_METRICS_EXPORTER=exporter,
    )

    assert ended.stderr.splitlines()[-1] == "[]"
