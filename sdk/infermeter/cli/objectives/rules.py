"""Objectives as a rule file that records them as series, so that slo.rules.yml is the same for any number of models.

Each series has the labels namespace, model_name and (of ratios) slo; an empty one means all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infermeter.cli.yaml_blocks import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infermeter.cli.objectives.objective import Objective, Objectives

OBJECTIVE = "slo:objective:ratio"
WINDOW = "slo:objective_window:days"
SLA = "model:model_inference_sla_objective_seconds:max"


def rules_text(objectives: Objectives, source: str) -> str:
    """Return the rule file.

    Args:
        objectives: What is promised.
        source: What the file says it was made from.
    """
    rules = [rule for objective in (objectives.defaults, *objectives.models) for rule in _rules(objective)]
    header = f"# Written by `infermeter slo generate` from {source}. Change that file and generate this one anew.\n"
    group = {"name": "ml-infrastructure-objectives", "interval": "30s", "rules": rules}
    return header + yaml_text({"groups": [group]})


def _rules(objective: Objective) -> Iterator[dict[str, Any]]:
    of = {"namespace": objective.namespace or "", "model_name": objective.model or ""}
    promises = (("availability", objective.availability_percent), ("latency", objective.latency_percent))
    for slo, percent in promises:
        if percent is not None:
            yield _rule(OBJECTIVE, round(percent / 100, 12), {**of, "slo": slo})
    if objective.window_days is not None:
        yield _rule(WINDOW, objective.window_days, of)
    if objective.sla_s is not None:
        yield _rule(SLA, objective.sla_s, of)


def _rule(name: str, value: float, labels: dict[str, str]) -> dict[str, Any]:
    return {"record": name, "expr": f"vector({value!r})", "labels": labels}
