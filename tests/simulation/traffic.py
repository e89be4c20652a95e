"""Ordinary traffic as series for promtool: nothing is wrong in it, so every alert about it is a false one.

Days and nights, weekends, noise within the SLA, weekly deployments with a canary, restarts, models with little traffic.
Counts are Poisson and multinomial, from a fixed seed: the same month each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MINUTES_A_DAY = 1440
BOUNDS = ("0.1", "0.25", "0.5", "1")

Series = dict[str, str]


@dataclass(frozen=True)
class Model:
    """A model and its traffic.

    Args:
        name: What it is called.
        peak: Requests per minute at the busiest time of a working day.
        night: Share of the peak at the quietest time of the night.
        weekend: Share of a working day's traffic at a weekend.
        late: Share of the requests that take longer than the SLA (0.5 s); 0.01 would be at it.
        errors: Share of the requests that fail.
        replicas: Processes that answer them.
        gpu: Whether each replica holds a GPU.
        office_hours: Whether requests end altogether outside working hours.
    """

    name: str
    peak: float
    night: float = 0.15
    weekend: float = 0.5
    late: float = 0.005
    errors: float = 0.001
    replicas: int = 2
    gpu: bool = False
    office_hours: bool = False


FLEET = (
    Model("fraud", peak=1200),
    Model("ranker", peak=180, late=0.006, replicas=3),
    Model("assistant", peak=60, night=0.6, weekend=0.9, late=0.005, gpu=True),
    Model("quiet", peak=4, late=0.005, errors=0.002),
    Model("office", peak=30, office_hours=True, replicas=1),
    Model("rare", peak=0.17, night=1.0, weekend=1.0, replicas=1, errors=0.002),
)


@dataclass
class _Life:
    """One process: from its start to its end, minute by minute."""

    pod: str
    version: str
    start: int
    end: int
    share: NDArray[np.float64] = field(repr=False)  # of the model's traffic, per minute of its life


def series_of(model: Model, days: int, seed: int) -> Series:
    """Return the series of a model over so many days, one value a minute."""
    random = np.random.default_rng([seed, *model.name.encode()])
    minutes = days * MINUTES_A_DAY
    rate = _rate(model, minutes)
    found: Series = {}
    for life in _lives(model, days, random):
        requests = random.poisson(rate[life.start : life.end] * life.share)
        _count(found, model, life, requests, random)
    if model.gpu:
        for index in range(model.replicas):
            use = 45 + 35 * rate / model.peak + random.normal(0, 6, minutes)
            of = f'job="nvidia-gpu",Hostname="n1",gpu="{index}",UUID="GPU-{index}"'
            of += f',namespace="prod",pod="{model.name}-{index}"'
            found[f"DCGM_FI_DEV_GPU_UTIL{{{of}}}"] = _joined(np.clip(use, 0, 100).astype(np.int64))
        of = f'job="nvidia-gpu",Hostname="n1",gpu="{model.replicas}",UUID="GPU-spare"'
        found[f"DCGM_FI_DEV_GPU_UTIL{{{of}}}"] = f"0x{minutes}"
    return found


def _rate(model: Model, minutes: int) -> NDArray[np.float64]:
    """Return the expected requests per minute: quietest at 3 in the morning, less on days 5 and 6 of each week."""
    minute = np.arange(minutes)
    hour = minute / 60 % 24
    weekday = minute // MINUTES_A_DAY % 7
    if model.office_hours:
        open_ = (hour >= 8) & (hour < 18) & (weekday < 5)
        return np.where(open_, model.peak, 0.0)
    course = (1 - np.cos((hour - 3) / 24 * 2 * np.pi)) / 2
    daily = model.night + (1 - model.night) * course
    return model.peak * daily * np.where(weekday >= 5, model.weekend, 1.0)


def _lives(model: Model, days: int, random: np.random.Generator) -> list[_Life]:
    """Return the processes: a deployment each week (a canary with 5 % for two hours), a restart every few days."""
    minutes = days * MINUTES_A_DAY
    deployments = [week * 7 * MINUTES_A_DAY + MINUTES_A_DAY + 10 * 60 for week in range((days + 5) // 7 + 1)]
    changes = [0, *[minute for minute in deployments if minute < minutes], minutes]
    found: list[_Life] = []
    for number, (start, end) in enumerate(pairwise(changes), 1):
        canary = 120 if number > 1 else 0
        for replica in range(model.replicas):
            cuts = sorted({start + canary, end, *random.integers(start + canary + 10, end, size=2)})
            for begins, ends in pairwise(cuts):
                over = min(ends + (_canary_minutes(end, minutes) if ends == end else 0), minutes)
                share = np.full(over - begins, 1 / model.replicas)
                share[ends - begins :] *= 0.95  # the next version's canary takes the rest
                found.append(_Life(f"{model.name}-{replica}", str(number), begins, over, share))
        if canary:
            life = _Life(f"{model.name}-canary", str(number), start, start + canary, np.full(canary, 0.05))
            found.append(life)
    return found


def _canary_minutes(minute: int, minutes: int) -> int:
    """Return how long the version before stays beside the one that starts at a minute."""
    return 120 if minute < minutes else 0


def _count(found: Series, model: Model, life: _Life, requests: NDArray[np.int64], random: np.random.Generator) -> None:
    of = (
        f'namespace="prod",job="{model.name}",instance="{life.pod}-{life.version}-{life.start}",pod="{life.pod}",'
        f'model_name="{model.name}",model_version="{life.version}"'
    )
    failed = random.binomial(requests, model.errors)
    late = random.binomial(requests, model.late)
    in_time = requests - late
    fast = random.binomial(in_time, 0.6)
    middling = random.binomial(in_time - fast, 0.8)
    within = {"0.1": fast, "0.25": fast + middling, "0.5": in_time, "1": requests, "+Inf": requests}
    for status, count in (("success", requests - failed), ("error", failed)):
        found[f'model_inference_requests_total{{{of},status="{status}"}}'] = _counter(count, life)
    for bound, count in within.items():
        found[f'model_inference_latency_seconds_bucket{{{of},le="{bound}"}}'] = _counter(count, life)


def _counter(counts: NDArray[np.int64], life: _Life) -> str:
    """Return a counter that is exported as 0 first, and goes stale when its process ends."""
    before = f"_x{life.start} " if life.start else ""
    return f"{before}0 {_joined(np.cumsum(counts)[:-1])} stale"


def _joined(values: NDArray[np.int64]) -> str:
    return " ".join(map(str, values.tolist()))
