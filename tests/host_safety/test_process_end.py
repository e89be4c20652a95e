"""However a process ends, its last interval arrives, and it ends as it would have without us."""

from __future__ import annotations

import signal

import pytest
from tests.host_safety.scripts import run, started
from tests.otlp_sink import OtlpSink

REQUESTS = "model_inference_requests_total"


def test_a_script_that_ends_delivers_at_exit(sink: OtlpSink) -> None:
    ended = run(
        "infermeter.configure(export_interval_s=3600)\nfor _ in range(7): fraud.record(0.1)", endpoint=sink.endpoint
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert sink.total(REQUESTS, status="success") == 7


@pytest.mark.parametrize(
    ("ending", "status", "says"),
    [("sys.exit(5)", 5, ""), ("raise ValueError('host')", 1, "ValueError: host"), ("1/0", 1, "ZeroDivisionError")],
)
def test_a_script_that_fails_delivers_and_keeps_its_status(ending: str, status: int, says: str, sink: OtlpSink) -> None:
    ended = run(f"infermeter.configure(export_interval_s=3600)\nfraud.record(0.1)\n{ending}", endpoint=sink.endpoint)

    assert ended.returncode == status
    assert says in ended.stderr
    assert sink.total(REQUESTS) == 1


LOOP = """
infermeter.configure(export_interval_s=3600)
for _ in range(7): fraud.record(0.1)
print("ready")
while True: time.sleep(1)
"""


def test_sigterm_delivers_and_the_process_dies_by_the_signal(sink: OtlpSink) -> None:
    with started(LOOP, endpoint=sink.endpoint) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
        assert process.stderr is not None
        assert process.stderr.read() == ""

    assert sink.total(REQUESTS, status="success") == 7


def test_sigterm_with_nobody_listening_ends_within_the_bound() -> None:
    with started(LOOP, endpoint="http://127.0.0.1:9") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM


def test_sigint_delivers_as_an_ordinary_end(sink: OtlpSink) -> None:
    # A process started in the background inherits an ignored SIGINT.
    program = "signal.signal(signal.SIGINT, signal.default_int_handler)\n" + LOOP
    with started(program, endpoint=sink.endpoint) as process:
        process.send_signal(signal.SIGINT)
        process.wait(30)

    assert sink.total(REQUESTS, status="success") == 7


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_hosts_own_sigterm_handler_is_the_only_one(when: str, sink: OtlpSink) -> None:
    handler = "signal.signal(signal.SIGTERM, lambda *_: (print('host'), os._exit(3)))"
    configure = "infermeter.configure(export_interval_s=3600)"
    first, second = (handler, configure) if when == "before" else (configure, handler)
    program = f"{first}\n{second}\nfraud.record(0.1)\nprint('ready')\nwhile True: time.sleep(1)"

    with started(program, endpoint=sink.endpoint) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 3
        assert process.stdout is not None
        assert process.stdout.read() == "host\n"


def test_an_ignored_sigterm_stays_ignored() -> None:
    ended = run(
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        infermeter.configure(exporter="none")
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
        """
    )

    assert (ended.returncode, ended.stdout) == (0, "True\n")


def test_sigterm_is_left_alone_on_request_and_off_the_main_thread() -> None:
    ended = run(
        """
        infermeter.configure(exporter="none", handle_sigterm=False)
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        infermeter.shutdown()
        thread = threading.Thread(target=infermeter.configure, kwargs={"exporter": "none"})
        thread.start(); thread.join()
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """
    )

    assert ended.stdout == "True\nTrue\n", ended.stderr


def test_sigterm_while_the_main_thread_registers_and_flushes_never_hangs(sink: OtlpSink) -> None:
    program = """
    infermeter.configure(export_interval_s=3600)
    fraud.record(0.1)
    print("ready")
    i = 0
    while True:
        infermeter.register_model(f"m{i % 50}")
        infermeter.force_flush(0)
        i += 1
    """
    for _ in range(5):
        with started(program, endpoint=sink.endpoint) as process:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == -signal.SIGTERM


def test_flushing_from_a_signal_handler_never_deadlocks(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        def on_alarm(*_):
            infermeter.register_model("alarm")
            infermeter.force_flush(0)
            fraud.record(0.1)
            global handled
            handled += 1
        handled = armed = 0
        signal.signal(signal.SIGALRM, on_alarm)
        i = 0
        while handled < 1500:
            infermeter.register_model(f"m{i % 50}")
            infermeter.force_flush(0)
            i += 1
            if armed == handled:
                armed += 1
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + i % 17 * 0.00003)
        signal.setitimer(signal.ITIMER_REAL, 0)
        recorded = handled
        print(infermeter.shutdown(), recorded)
        """,
        endpoint=sink.endpoint,
    )

    assert ended.stdout.startswith("True "), ended.stderr
    assert sink.total(REQUESTS, model_name="fraud", status="success") == int(ended.stdout.split()[1])
