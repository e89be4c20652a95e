"""The live configuration: builds it, swaps it, flushes it, shuts it down, survives forks.

The only file that knows both what is counted (registry) and how it leaves (export). Rooms ask it for the slot of a
model and compare ``epoch`` to learn that what they hold is out of date.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from infermeter import catalog, guard, lifecycle, models
from infermeter.families import Family, Point, merged, single
from infermeter.registry import Recorder, Registry, Slot, dropped
from infermeter.settings import Resolved, Settings, refuse_other_kinds, resolve
from infermeter.ticker import Ticker

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider

    from infermeter.export.pipeline import Pipeline

live: Telemetry | None = None
"""The configuration in force, None before ``configure()`` and after ``shutdown()``."""

epoch: object = None
"""Changes whenever a slot or cell looked up earlier may be out of date; None while nothing is configured."""

starts_parked = False
"""Set where the process may only start others: what is configured then exports by the clock once something records."""

SHUTDOWN_TIMEOUT_S = 3.0

before_end: list[Callable[[], None]] = []
"""Called when the process ends, before the last export: what is open then will not end any other way."""


class Room(Protocol):
    """What a room keeps in one configuration: counts that leave with every export."""

    def families(self) -> Iterable[Family]:
        """Return everything as it stands now."""
        ...

    def reset_in_child(self) -> None:
        """Start from zero in a forked child, without touching locks that may be held."""
        ...


R = TypeVar("R", bound=Room)

_standing: dict[Callable[[Telemetry], Room], None] = {}


def open_always(kind: Callable[[Telemetry], Room]) -> None:
    """Open a room in the live configuration and in each later one: something was declared that it exports."""
    _standing.setdefault(kind)
    if live is not None:
        live.room(kind)
        live.ticker.soon()


def forget_rooms() -> None:
    """Open no room in later configurations; for tests."""
    _standing.clear()


class Telemetry:
    """One configuration and everything it has counted. Made by ``configure()``."""

    def __init__(self, settings: Resolved, meter_provider: MeterProvider | None) -> None:
        from infermeter.export.delivery import Deliveries
        from infermeter.export.pipeline import build

        self.settings = settings
        self.deliveries = Deliveries()
        self._shut_down = False
        self._rooms: dict[object, Room] = {}
        self._recorded = False
        self.at_close: list[Callable[[], None]] = []
        self.registry = self._new_registry()
        self.ticker = Ticker(
            self._export, self._close, settings.export_interval_s, lambda: self.deliveries.not_before_s
        )
        self._build: Callable[[], Pipeline] = lambda: build(self, meter_provider)
        self._inherited: object = None
        self._building = threading.Lock()
        self._pipeline: Pipeline | None = self._build()
        self._connect_instruments()
        for declaration in models.declarations():
            self.registry.declare(declaration)
        for kind in list(_standing):
            self.room(kind)

    def _new_registry(self) -> Registry:
        s = self.settings
        kind: type[Registry] = Registry
        if s.recorder == "otel":
            from infermeter.instruments import InstrumentRegistry

            kind = InstrumentRegistry
        return kind(
            latency_bounds_s=s.latency_bounds_s,
            series_limit=s.series_limit,
            class_limit=s.class_limit,
            error_type_limit=s.error_type_limit,
            on_new=self.on_new,
        )

    def _connect_instruments(self) -> None:
        from infermeter.instruments import InstrumentRegistry

        if isinstance(self.registry, InstrumentRegistry) and self._pipeline is not None:
            self.registry.connect(self._pipeline.provider, self.state)

    def slot(self, model: str, version: str) -> Slot:
        """Return where a model version records."""
        if self._pipeline is None and self.settings.recorder == "otel":
            self._current_pipeline()  # a forked child, whose instruments are not made yet
        return self.registry.slot(model, version)

    def declare(self, declaration: models.Declaration) -> None:
        """Take a declaration in and let its zeros leave soon, so that the first failure is a rise from 0."""
        global epoch
        if self.registry.declare(declaration):
            epoch = object()
        self.ticker.soon()

    def room(self, kind: Callable[[Telemetry], R]) -> R:
        """Return what a room keeps in this configuration, made on first use."""
        state = self._rooms.get(kind)
        if state is None:
            state = self._rooms.setdefault(kind, kind(self))  # atomic, so that two threads get the same
        return cast("R", state)

    def recorder(self, metric: catalog.Metric) -> Recorder | None:
        """Return what a room's histogram records through; None where it counts in cells."""
        if self.settings.recorder != "otel":
            return None
        self._current_pipeline()
        return self.registry.recorder(metric)

    def families(self) -> list[Family]:
        """Sum everything as it stands now, for readers that are handed it; instruments hold nearly all themselves."""
        if self.settings.recorder == "otel":
            return [family for family in merged(self._of_rooms()) if family.metric.delta or family.metric.of_host]
        recorded = [*self.registry.collect(), *self._of_rooms()]
        fullest = max((len(family.points) for family in recorded if not family.declared), default=0)
        return [*merged(recorded), *self._about_itself(fullest)]

    def state(self) -> list[Family]:
        """Return what plain instruments do not hold: states, what rooms count, what the SDK says about itself."""
        observed = merged([*self.registry.states(), *self._of_rooms()])
        return [*observed, *self._about_itself(self.registry.series())]

    def _of_rooms(self) -> list[Family]:
        families: list[Family] = []
        for room in list(self._rooms.values()):
            with guard.guard("collect"):
                families += room.families()
        return families

    def _about_itself(self, fullest: int) -> list[Family]:
        families: list[Family] = []
        deliveries = self.deliveries
        outcomes = [Point({"outcome": o}, deliveries.start_ns, n) for o, n in deliveries.outcomes.items()]
        families += [Family(catalog.EXPORTS, outcomes), dropped()]
        if deliveries.last_duration_s is not None:
            families.append(single(catalog.EXPORT_DURATION, deliveries.last_duration_s))
        families.append(single(catalog.SERIES, fullest))
        families.append(single(catalog.SERIES_LIMIT, self.settings.series_limit))
        return families

    def start(self) -> None:
        """Begin to export in this process, also while nothing is recorded; a fork no longer changes that."""
        self._recorded = True
        self.ticker.unpark()
        self.ticker.start()

    def force_flush(self, timeout_s: float = SHUTDOWN_TIMEOUT_S) -> bool:
        """Export everything recorded so far; True only if it arrived within the bound (seconds)."""
        return self.ticker.flush(timeout_s)

    def shutdown(self, timeout_s: float = SHUTDOWN_TIMEOUT_S) -> bool:
        """Export once more and close, within the bound (seconds); True if the last export arrived."""
        if self._shut_down:
            return True
        self._shut_down = True
        if not self._recorded and not self.ticker.running:
            return True  # a forked child that recorded nothing has nothing to say on its way out
        return self.ticker.flush(timeout_s, last=True)

    @property
    def metrics_url(self) -> str | None:
        """URL of /metrics where the exporter is ``prometheus``, else None."""
        return self._pipeline.metrics_url if self._pipeline is not None else None

    @property
    def meter_provider(self) -> MeterProvider:
        """The provider whose instruments are exported with ours; another one in each forked child."""
        return self._current_pipeline().provider

    def _current_pipeline(self) -> Pipeline:
        """Return this process's way out; the first to ask in a forked child builds it."""
        pipeline = self._pipeline
        if pipeline is not None:
            return pipeline
        with self._building:
            if self._pipeline is None:
                self._pipeline = self._build()
                self._connect_instruments()
            return self._pipeline

    def _export(self) -> bool:
        return self._current_pipeline().export()

    def _close(self) -> None:
        for hook in self.at_close:
            with guard.guard("close"):
                hook()
        if self._pipeline is not None:
            self._pipeline.close()

    def on_new(self) -> None:
        """Take note of a thread's first record: this process has something to report."""
        self._recorded = True
        if not self.ticker.running:
            with guard.guard("start"):
                self.ticker.start()
        else:
            self.ticker.unpark()

    def after_fork_in_parent(self) -> None:
        """A process that forks before it ever recorded is a server's master: its workers report, it does not."""
        if not self._recorded:
            self.ticker.park()

    def after_fork_in_child(self) -> None:
        """Start from zero: own instance id, own provider, own thread; the inherited ones are never touched."""
        from infermeter.export.delivery import Deliveries

        self._recorded = False
        self._inherited = self._pipeline  # kept alive: its locks may be held, so not even its destructor may run
        if self._pipeline is not None:
            rebuild = self._pipeline.for_child
            self._build = lambda: rebuild(self)
        self._pipeline = None
        self._building = threading.Lock()  # the inherited one may be held by a thread that is gone
        self.deliveries = Deliveries()
        self.registry.reset_in_child()
        for room in self._rooms.values():
            room.reset_in_child()
        self.ticker.reset_in_child()


def configure(  # noqa: D417  each setting is described once, at its field of Settings
    settings: Settings | None = None,
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    exporter: str | None = None,
    protocol: str | None = None,
    headers: Mapping[str, str] | None = None,
    compression: str | None = None,
    export_interval_s: float | None = None,
    export_timeout_s: float | None = None,
    prometheus_host: str | None = None,
    prometheus_port: int | None = None,
    resource_attributes: Mapping[str, str] | None = None,
    recorder: str | None = None,
    latency_bounds_s: Sequence[float] | None = None,
    series_limit: int | None = None,
    class_limit: int | None = None,
    error_type_limit: int | None = None,
    handle_sigterm: bool | None = None,
    disabled: bool | None = None,
    meter_provider: MeterProvider | None = None,
) -> Telemetry:
    """Start recording and exporting; called again, the new configuration replaces the old one.

    A call that is under way then is counted in the new one; of a generation, the tokens stay with the old one.

    Each argument is described, with its environment variable and default, at the field of ``Settings`` that has its
    name. Arguments win over ``settings``, which win over the environment.

    Args:
        settings: Settings as one value, for services that keep them in one place.
        meter_provider: A provider that the application already has. Our series are exported with its resource, next to
            everything recorded through it. It is never shut down by us.

    Returns:
        The live configuration; ``force_flush`` and ``shutdown`` of this module act on it.

    Raises:
        ConfigError: A setting has a value that is not allowed, or the port of /metrics is taken.
        MissingExtraError: A chosen exporter is not installed.
    """
    refuse_other_kinds(settings, meter_provider)
    given = {name: value for name, value in locals().items() if name in Settings._fields and value is not None}
    if latency_bounds_s is not None:
        given["latency_bounds_s"] = models.checked_bounds(latency_bounds_s)
    resolved = resolve((settings or Settings())._replace(**given))
    if resolved.disabled:  # nothing may listen, be attached or be sent
        resolved, meter_provider = resolved._replace(exporters=("none",)), None
    global live, epoch
    old = live
    if old is not None and (resolved.disabled or _share_a_port(old.settings, resolved)):
        live, epoch = None, None
        _retire(old, resolved.export_timeout_s)
        old = None
    telemetry = Telemetry(resolved, meter_provider)
    lifecycle.install(
        before_fork=lambda: None,
        after_fork_in_parent=_after_fork_in_parent,
        after_fork_in_child=_after_fork_in_child,
        at_exit=_at_exit,
    )
    if resolved.disabled:
        return telemetry
    live, epoch = telemetry, object()
    models.on_declared = telemetry.declare
    if resolved.handle_sigterm:
        lifecycle.handle_sigterm(_at_exit, lambda: live is not None and live.ticker.is_current)
    if starts_parked:
        telemetry.ticker.park()
    telemetry.ticker.start()
    if old is not None:  # last: what is called while it delivers, perhaps to nobody, is recorded already
        _retire(old, resolved.export_timeout_s)
    return telemetry


def _share_a_port(old: Resolved, new: Resolved) -> bool:
    """Return whether the new configuration serves /metrics where the old one still does."""
    serves = "prometheus" in old.exporters and "prometheus" in new.exporters
    return serves and old.prometheus_port == new.prometheus_port != 0


def _retire(old: Telemetry, timeout_s: float) -> None:
    """Let a configuration that is being replaced deliver what it holds; calls under way end in the one in force."""
    from infermeter.handover import hand_over

    guard.log_once("configure", "again", "infermeter was configured again; the new configuration replaces the old")
    hand_over(old.registry, lambda model, version: live.slot(model, version).cell if live is not None else None)
    old.shutdown(timeout_s)


def is_configured() -> bool:
    """Return whether anything is being recorded."""
    return live is not None


def force_flush(timeout_s: float = SHUTDOWN_TIMEOUT_S) -> bool:
    """Export everything recorded so far.

    Args:
        timeout_s: How long to wait at most, in seconds.

    Returns:
        True if everything arrived, or if nothing is configured; False after a failure or when time ran out.
    """
    telemetry = live
    return True if telemetry is None else telemetry.force_flush(timeout_s)


def shutdown(timeout_s: float = SHUTDOWN_TIMEOUT_S) -> bool:
    """Export once more and stop; afterwards every call of this package is a cheap no-op. Never raises.

    Args:
        timeout_s: How long to wait at most, in seconds.

    Returns:
        True if the last export arrived, or if nothing was configured.
    """
    global live, epoch
    telemetry, live, epoch = live, None, None
    models.on_declared = None
    return True if telemetry is None else telemetry.shutdown(timeout_s)


def _at_exit() -> None:
    for hook in before_end:
        with guard.guard("exit"):
            hook()
    with guard.guard("exit"):
        shutdown(SHUTDOWN_TIMEOUT_S)


def _after_fork_in_parent() -> None:
    if live is not None:
        live.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global epoch
    if live is not None:
        live.after_fork_in_child()
        epoch = object()
