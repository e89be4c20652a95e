"""The demonstration's fleet as a part of the stack, and the file by which it hears what to get wrong.

The other side of that file is examples/fleet/control.py.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

from infermeter.assets import asset
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infermeter.cli.stack.options import StackOptions
    from infermeter.cli.stack.places import Places

FLEET = "fleet"
_NEEDS = ("sklearn",)
_EXPORT_INTERVAL_MS = 1000


def fleet_part(options: StackOptions, otlp_url: str, places: Places, base_env: Mapping[str, str]) -> Part:
    """Return the part, with a control file that asks for nothing wrong.

    Args:
        options: What is chosen; the schedule of its pipeline follows the speed.
        otlp_url: Where the fleet reports to.
        places: The stack's files.
        base_env: The environment, without settings of ours.

    Raises:
        StackError: A package is missing.
    """
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise StackError(
            f'The demonstration needs {", ".join(missing)}: pip install "infermeter[stack]", or leave it out with '
            "--no-demo.",
            exit_code=ExitCode.START_FAILED,
        )
    write_control(places, speed=options.speed, faults={})
    ready = places.fleet / "ready.json"
    ready.unlink(missing_ok=True)
    env = {
        **base_env,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_url,
        "OTEL_METRIC_EXPORT_INTERVAL": str(_EXPORT_INTERVAL_MS),
        "PYTHONUNBUFFERED": "1",
    }
    if options.bearer_token is not None:
        env["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization={quote(f'Bearer {options.bearer_token}')}"
    return Part(
        name=FLEET,
        title="Fleet",
        argv=(sys.executable, "-m", "fleet", "--control", str(places.fleet_control), "--ready", str(ready)),
        env=env,
        cwd=asset("examples"),
        ready=lambda: None if ready.exists() else "its processes are not started yet",
    )


def write_control(places: Places, *, speed: float, faults: Mapping[str, float]) -> None:
    """Replace the control file in one step.

    Args:
        places: The stack's files.
        speed: How many times shorter the windows of the rules are.
        faults: Until when each fault is to last, in Unix seconds: nobody who is killed leaves the fleet broken.
    """
    file = places.fleet_control
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = file.with_suffix(".writing")
    scratch.write_text(json.dumps({"speed": speed, "faults": dict(faults)}), encoding="utf-8")
    scratch.replace(file)


def read_speed(places: Places) -> float | None:
    """Return the speed that the control file tells the fleet; None when there is no such file."""
    try:
        return float(json.loads(places.fleet_control.read_text(encoding="utf-8"))["speed"])
    except (FileNotFoundError, NotADirectoryError):
        return None
