"""The README's first program is run as it stands there, and what it promises is seen arriving."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.otlp_sink import OtlpSink

from infermeter.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def _first_program() -> str:
    found = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found, "the README shows a program on its first screen"
    return found.group(1)


def test_the_first_program_has_twelve_lines():
    assert len([line for line in _first_program().splitlines() if line.strip()]) <= 12


def test_the_first_program_delivers_what_it_records(sink: OtlpSink):
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}

    ran = subprocess.run(
        [sys.executable, "-c", _first_program()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "delivered: True" in ran.stdout
    assert sink.received[-1].value("model_inference_requests_total", status="success") == 100


def test_the_settings_table_names_every_setting():
    table = README.read_text(encoding="utf-8")
    missing = [name for name in Settings._fields if f"`{name}`" not in table]

    assert missing == []
