"""`infermeter doctor` as a user runs it, and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.pipeline.live_stack import LiveStack

from infermeter.cli.exit_codes import ExitCode

_NAMESPACE = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"}


class Diagnosis:
    """What the doctor said: its findings by hop, and its exit status."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.stdout, done.stderr
        self.answer: dict[str, Any] = json.loads(done.stdout)
        self.status = done.returncode

    def of(self, verdict: str) -> dict[str, tuple[str, str]]:
        """Return what was found and its remedy by hop, of one verdict."""
        found = [one for one in self.answer["findings"] if one["verdict"] == verdict]
        return {one["hop"]: (one["found"], one["remedy"]) for one in found}


def ask_doctor(*arguments: str, **environment: str) -> Diagnosis:
    """Run the command as a user would, with nothing of this process's settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "INFERMETER_"))}
    command = [sys.executable, "-m", "infermeter.cli", "doctor", "--json", "--data-dir", "/nonexistent", *arguments]
    done = subprocess.run(
        command, env={**plain, **_NAMESPACE, **environment}, capture_output=True, text=True, check=False
    )
    return Diagnosis(done)


def addresses(stack: LiveStack, *, endpoint: str | None = None, prometheus: str | None = None) -> list[str]:
    return ["--endpoint", endpoint or stack.otlp_http_url, "--prometheus", prometheus or stack.prometheus_url]


def expect_failure(diagnosis: Diagnosis, hop: str, code: ExitCode, *words: str) -> None:
    """Check that one hop alone failed, in these words, and that the exit status says its class."""
    failed = diagnosis.of("failed")
    assert set(failed) == {hop}, diagnosis.answer
    text = " ".join(failed[hop])
    assert failed[hop][1], "no remedy"
    for word in words:
        assert word in text
    assert diagnosis.status == diagnosis.answer["exit_code"] == code
