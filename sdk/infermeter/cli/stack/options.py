"""What can be chosen about a stack, and the ports it prefers; knows nothing of how it is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Port names are what `--ports NAME=NUMBER` takes.
DEFAULT_PORTS: Mapping[str, int] = MappingProxyType(
    {
        "otlp-http": 4318,
        "otlp-grpc": 4317,
        "exporter": 9464,
        "pipelines": 9465,
        "collector-self": 8888,
        "health": 13133,
        "prometheus": 9090,
        "alertmanager": 9093,
        "console": 9470,
        "gpu-agent": 9400,
        "example": 8000,
    }
)

PortPolicy = Literal["prefer", "strict", "any"]
Profile = Literal["scrape", "otlp"]


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What `Stack.start` starts, and how.

    Attributes:
        data_dir: Where state, configuration, logs and the time series lie.
        ports: Ports asked for by name; taken ones are an error. The rest follows `port_policy`.
        port_policy: `prefer` the default ports and replace taken ones, be `strict` about them, or take `any`.
        example: Whether the example service is started.
        traffic: Whether requests are sent to the example.
        console: Whether the page is served.
        fleet: Whether the demonstration's fleet is started.
        gpus: Whether the GPU agent is started, with simulated devices.
        profile: `scrape`: Prometheus scrapes the collector. `otlp`: the collector pushes to Prometheus.
        scrape_interval_s: Seconds between two scrapes. Shorter than in production, so that a chart shows soon and a
            scaled window still holds several samples.
        speed: Windows of the rules are divided by this, 1 to 60; 1 leaves them alone.
        extra_rule_dirs: More folders with rule files, loaded as they are.
        webhook_url: Where Alertmanager sends notifications, or None for nowhere.
        bearer_token: What senders of OTLP must present, or None for an open port on loopback.
        ready_timeout_s: How long one part may take until it is ready.
    """

    data_dir: Path
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    port_policy: PortPolicy = "prefer"
    example: bool = True
    traffic: bool = True
    console: bool = True
    fleet: bool = False
    gpus: bool = False
    profile: Profile = "scrape"
    scrape_interval_s: float = 1.0
    speed: float = 1.0
    extra_rule_dirs: tuple[Path, ...] = ()
    webhook_url: str | None = None
    bearer_token: str | None = None
    ready_timeout_s: float = 60.0

    @property
    def needed_ports(self) -> list[str]:
        """The names of the ports this stack listens on."""
        unused = {name for name in ("example", "console") if not getattr(self, name)}
        if not self.gpus:
            unused.add("gpu-agent")
        if self.profile == "otlp":
            unused |= {"exporter", "pipelines"}
        return [name for name in DEFAULT_PORTS if name not in unused]
