"""What services have declared about their models: SLA, bounds, classes, framework, drift reference.

Declarations are made at import time, often before ``configure()``, so they outlive any configuration. Knows nothing of
how they are recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from infermeter.errors import ConfigError
from infermeter.labels import label_value


class Declaration(NamedTuple):
    """One model version as its service describes it; what was left out is None or empty."""

    model: str
    version: str
    latency_bounds_s: tuple[float, ...] | None = None
    classes: tuple[str, ...] = ()
    framework: str = ""
    reference: str = ""


_declared: dict[tuple[str, str], Declaration] = {}
_sla_s: dict[str, float] = {}

on_declared: Callable[[Declaration], None] | None = None
"""Set by the runtime: brings a declaration into the live configuration."""


def declare(
    model: str,
    version: str | None = None,
    *,
    sla_s: float | None = None,
    latency_bounds_s: Sequence[float] | None = None,
    classes: Sequence[object] = (),
    framework: str | None = None,
    reference: str | None = None,
) -> Declaration:
    """Remember what a service says of a model version; a later declaration adds to an earlier one.

    Raises:
        ConfigError: The SLA or the bounds are not usable numbers, or the classes are one text.
    """
    if isinstance(classes, (str, bytes)):
        raise ConfigError(f"classes must be a list of classes, got {classes!r}")
    name, label = label_value(model), label_value(version)
    if not name:
        raise ConfigError("model must be a name of at least one character, got an empty one")
    known = _declared.get((name, label), Declaration(name, label))
    if sla_s is not None:
        _sla_s[name] = checked_sla(sla_s)
    declaration = Declaration(
        name,
        label,
        checked_bounds(latency_bounds_s) if latency_bounds_s is not None else known.latency_bounds_s,
        tuple(dict.fromkeys((*known.classes, *(label_value(c) for c in classes)))),
        label_value(framework) if framework is not None else known.framework,
        label_value(reference) if reference is not None else known.reference,
    )
    _declared[name, label] = declaration
    if on_declared is not None:
        on_declared(declaration)
    return declaration


def checked_sla(sla_s: object) -> float:
    """Return an SLA in seconds as a float, or raise ``ConfigError`` saying what is allowed."""
    if isinstance(sla_s, bool) or not isinstance(sla_s, (int, float)) or not 0 < sla_s < float("inf"):
        raise ConfigError(f"sla_s must be a number of seconds above 0, got {sla_s!r}")
    return float(sla_s)


def checked_bounds(bounds_s: Sequence[float]) -> tuple[float, ...]:
    """Return bucket bounds in seconds as floats, or raise ``ConfigError`` saying what is allowed."""
    try:
        bounds = tuple(float(bound) for bound in bounds_s)
    except (TypeError, ValueError):
        bounds = ()
    if not bounds or any(not 0 < b < float("inf") for b in bounds) or list(bounds) != sorted(set(bounds)):
        raise ConfigError(
            "INFERMETER_LATENCY_BOUNDS_S / latency_bounds_s must be ascending numbers of seconds above 0, "
            f"such as 0.1,0.5,1, got {bounds_s!r}"
        )
    return bounds


def declarations() -> list[Declaration]:
    """Return all declarations, oldest first."""
    return list(_declared.values())


def declared() -> dict[tuple[str, str], Declaration]:
    """Return all declarations by model and version."""
    return dict(_declared)


def declaration_of(model: str, version: str) -> Declaration:
    """Return what is known of a model version; an empty declaration if nothing is."""
    return _declared.get((model, version)) or Declaration(model, version)


def sla_of(model: str) -> float | None:
    """Return the SLA of a model in seconds, None if it has none."""
    return _sla_s.get(model)


def slas() -> dict[str, float]:
    """Return all declared SLAs in seconds by model."""
    return dict(_sla_s)


def bounds_of(model: str, version: str, default: tuple[float, ...]) -> tuple[float, ...]:
    """Return the latency bounds of a model version: its own or the default, with its SLA among them.

    A bound at the SLA makes SLA compliance exact instead of interpolated.
    """
    bounds = declaration_of(model, version).latency_bounds_s or default
    sla_s = sla_of(model)
    return bounds if sla_s is None or sla_s in bounds else tuple(sorted((*bounds, sla_s)))


def forget() -> None:
    """Forget all declarations; for tests."""
    _declared.clear()
    _sla_s.clear()
