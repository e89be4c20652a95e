"""How fast the rules of a running Prometheus are, and making them faster or slower without a restart."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.assets import asset
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.options import StackOptions
from infermeter.cli.stack.readiness import NotReadyError, wait_for
from infermeter.cli.stack.rendered_config import rule_files, rule_folders, write_collector_config

if TYPE_CHECKING:
    from infermeter.cli.demo.alerts import Prometheus
    from infermeter.cli.stack.places import Places
    from infermeter.cli.stack.state import StackState

_MEASURE, _MEASURE_FOR_S = "HighInferenceLatency", 300.0
"""The alert by whose `for` the speed is told."""
_RELOAD_TIMEOUT_S = 20.0


def speed_of(prometheus: Prometheus) -> float:
    """Return how many times shorter than written the windows of the loaded rules are.

    Raises:
        StackError: Prometheus does not answer, or does not have our rules.
    """
    for rule in prometheus.rules():
        if rule["name"] == _MEASURE:
            return _MEASURE_FOR_S / float(rule["duration"])
    raise StackError(f"Prometheus at {prometheus.url} does not have our rules: {_MEASURE} is missing.")


def change_speed(prometheus: Prometheus, state: StackState, places: Places, speed: float) -> None:
    """Load the rules with other windows into a running stack; returns when they are evaluated.

    Raises:
        StackError: Prometheus is not ours, or does not take them.
    """
    running = {part.name: part.process.pid for part in state.parts if part.alive}
    if not {"prometheus", "collector"} <= running.keys():
        raise StackError(
            "The stack is not whole; `infermeter status` says what is missing, `infermeter up` starts afresh."
        )
    expiration = places.config / "collector.yaml"
    if expiration.exists():  # not where the collector pushes
        write_collector_config(expiration, speed=speed)
        os.kill(running["collector"], signal.SIGHUP)
    file = places.config / "prometheus.yml"
    scaled = places.config / "scaled_rules"
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    ours = {scaled, asset("deploy/prometheus/rules")}
    others = [name for name in config["rule_files"] if Path(name).parent not in ours]
    folders = rule_folders(StackOptions(data_dir=places.data_dir, speed=speed), scaled)
    config["rule_files"] = [*(str(one) for one in rule_files(folders)), *others]
    file.write_text(yaml.safe_dump(config, sort_keys=False, width=110), encoding="utf-8")
    os.kill(running["prometheus"], signal.SIGHUP)

    def probe() -> str | None:
        found = speed_of(prometheus)
        return None if abs(found / speed - 1) < 0.01 else f"they have speed {found:g}"

    try:
        wait_for(f"the rules at speed {speed:g}", probe, timeout_s=_RELOAD_TIMEOUT_S)
    except NotReadyError as late:
        raise StackError(f"{late}. Its log: {places.log('prometheus')}") from None
