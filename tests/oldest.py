"""Runs the tests that touch OpenTelemetry with the oldest versions that are supported, in an environment of their own.

The environment lives in the user's cache, one per Python version and text of constraints-oldest.txt; the first run
installs it, later runs take no time. Arguments go to pytest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints-oldest.txt"
# Left out: what needs packages that this environment does not have (the command line, the stack, servers, gevent,
# frames and statistics) and knows nothing of OpenTelemetry's versions.
TESTS = (
    *("tests/unit", "--ignore=tests/unit/cli", "--ignore-glob=tests/unit/test_drift_*.py"),
    *(
        "tests/host_safety",
        "--ignore=tests/host_safety/test_fastapi_servers.py",
        "--ignore=tests/host_safety/test_gevent.py",
    ),
)


def environment() -> Path:
    """Return the interpreter of the environment, installed if it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infermeter"
    key = hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    ready = cache / f"oldest-{key}"
    python = ready / "bin" / "python"
    if python.exists():
        return python
    cache.mkdir(parents=True, exist_ok=True)
    building = cache / f"oldest-{key}.{os.getpid()}"
    print(f"installing the oldest supported packages into {ready}", flush=True)
    venv.create(building, with_pip=True)
    install = [building / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", CONSTRAINTS], check=True)
    try:
        building.rename(ready)  # whole or not at all; only the interpreter is used, whose own path may change
    except OSError:  # somebody else was faster
        shutil.rmtree(building)
    return python


def main() -> int:
    """Run pytest in the environment and return its status."""
    python = environment()
    command = [python, "-m", "pytest", "-p", "infermeter.testing", *(sys.argv[1:] or TESTS)]
    sources = {**os.environ, "PYTHONPATH": str(ROOT / "sdk"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=ROOT, env=sources, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
