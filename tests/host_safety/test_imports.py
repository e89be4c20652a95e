"""What importing costs, what is never loaded or set without being asked, and what a missing extra says."""

from __future__ import annotations

import json

import pytest
from tests.host_safety.scripts import run

PUBLIC = """
import sys
import infermeter
for name in infermeter.__all__: getattr(infermeter, name)
"""
REPORT = """
import json
print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})))
"""


@pytest.mark.parametrize("program", ["import sys, infermeter", PUBLIC])
def test_importing_loads_no_opentelemetry_no_asyncio_no_framework(program: str) -> None:
    ended = run(program + "\n" + REPORT, preamble="")

    loaded = set(json.loads(ended.stdout))
    assert not loaded & {
        "opentelemetry",
        "asyncio",
        "requests",
        "fastapi",
        "starlette",
        "numpy",
        "grpc",
        "pytest",
        "yaml",
    }


def test_recording_while_nothing_is_configured_loads_no_opentelemetry() -> None:
    ended = run(
        """
        fraud(lambda: {"confidence": 0.5})()
        with fraud as call: call.predicted("legit", confidence=0.5)
        infermeter.register_model("fraud", sla_s=0.1)
        infermeter.record_prediction("fraud", confidence=0.5)
        print(infermeter.force_flush(), infermeter.shutdown(), infermeter.is_configured())
        print("opentelemetry" in sys.modules, threading.active_count())
        """
    )

    assert ended.stdout == "True True False\nFalse 1\n", ended.stderr


def test_every_public_name_exists_and_shows_up_in_dir() -> None:
    ended = run(
        """
        from infermeter import *
        missing = [name for name in infermeter.__all__ if not hasattr(infermeter, name) or name not in dir(infermeter)]
        print(missing, hasattr(infermeter, "no_such_name"), callable(configure))
        """
    )

    assert ended.stdout == "[] False True\n", ended.stderr


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == blocked or name.startswith(blocked + "."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
blocked = BLOCKED
sys.meta_path.insert(0, Blocker())
import infermeter
"""


@pytest.mark.parametrize(
    ("blocked", "program", "extra"),
    [
        ("prometheus_client", "infermeter.configure(exporter='prometheus')", "prometheus"),
        ("opentelemetry.exporter.prometheus", "infermeter.configure(exporter='prometheus')", "prometheus"),
        ("grpc", "infermeter.configure(protocol='grpc')", "grpc"),
        ("opentelemetry.exporter.otlp.proto.grpc", "infermeter.configure(protocol='grpc')", "grpc"),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_brings_it(blocked: str, program: str, extra: str) -> None:
    ended = run(
        f"""
        try:
            {program}
        except infermeter.MissingExtraError as error:
            print(error, isinstance(error, ImportError), error.extra, infermeter.is_configured())
        """,
        preamble=BLOCKER.replace("BLOCKED", repr(blocked)),
    )

    assert f'pip install "infermeter[{extra}]" True {extra} False' in ended.stdout, ended.stderr


@pytest.mark.parametrize("absent", ["prometheus_client", "grpc", "fastapi", "numpy", "pydantic", "pytest", "click"])
def test_without_an_extra_everything_else_works(absent: str) -> None:
    ended = run(
        """
        infermeter.configure(exporter="console", export_interval_s=3600)
        infermeter.instrument_inference("fraud")(lambda: {"confidence": 0.5, "label": "legit"})()
        print(infermeter.shutdown())
        """,
        preamble=BLOCKER.replace("BLOCKED", repr(absent)),
    )

    assert ended.stdout.endswith("True\n"), ended.stderr
    assert "model_prediction_confidence" in ended.stdout


def test_no_global_provider_is_set_and_no_warning_shown() -> None:
    ended = run(
        """
        infermeter.configure(exporter="none")
        fraud.record(0.1)
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        print(isinstance(metrics.get_meter_provider(), MeterProvider))
        infermeter.shutdown()
        metrics.set_meter_provider(MeterProvider())
        print(isinstance(metrics.get_meter_provider(), MeterProvider))
        """
    )

    assert (ended.stdout, ended.stderr) == ("False\nTrue\n", "")


def test_a_disabled_sdk_starts_nothing_and_records_nothing() -> None:
    ended = run(
        """
        telemetry = infermeter.configure(exporter="otlp,prometheus", prometheus_port=0)
        fraud(lambda: {"confidence": 0.5})()
        print(infermeter.is_configured(), threading.active_count(), telemetry.metrics_url, infermeter.shutdown())
        print(telemetry.force_flush(), telemetry.shutdown(), threading.active_count())
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """,
        OTEL_SDK_DISABLED="true",
    )

    assert ended.stdout == "False 1 None True\nTrue True 1\nTrue\n", ended.stderr


def test_a_disabled_configuration_replaces_a_live_one() -> None:
    ended = run(
        """
        infermeter.configure(exporter="none")
        infermeter.configure(disabled=True)
        print(infermeter.is_configured())
        """
    )

    assert ended.stdout == "False\n", ended.stderr
