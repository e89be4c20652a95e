"""What a team promises about a model, as records. Knows neither files nor rules."""

from __future__ import annotations

from dataclasses import dataclass

AVAILABILITY_PERCENT = 99.5
LATENCY_PERCENT = 99.0
WINDOW_DAYS = 30
WINDOWS_DAYS = (7, 28, 30)
"""Periods that rules know a budget for."""


@dataclass(frozen=True)
class Objective:
    """What is promised about a model, or (without a model) about every model that has no promise of its own.

    Args:
        model: Name of the model; None for all.
        namespace: Where; None for everywhere.
        availability_percent: Share of the requests that are answered without error or timeout; None if not said.
        latency_percent: Share of the requests that are answered within the SLA; None if not said.
        sla_s: The SLA in seconds; None leaves it to what the service declares.
        window_days: The period that the promise is about; None if not said.
    """

    model: str | None = None
    namespace: str | None = None
    availability_percent: float | None = None
    latency_percent: float | None = None
    sla_s: float | None = None
    window_days: int | None = None


@dataclass(frozen=True)
class Objectives:
    """A file of objectives: what holds for all models, and what single ones have instead."""

    defaults: Objective
    models: tuple[Objective, ...] = ()
