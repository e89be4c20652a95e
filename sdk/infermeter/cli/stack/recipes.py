"""How each binary of the stack is built: versions, sources and commands as data. Runs nothing."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.assets import asset

if TYPE_CHECKING:
    from collections.abc import Mapping

COLLECTOR_VERSION = "0.159.0"
PROMETHEUS_VERSION = "3.14.0"
ALERTMANAGER_VERSION = "0.31.1"

_OCB = "go.opentelemetry.io/collector/cmd/builder"
_VERSION_SYMBOL = "github.com/prometheus/common/version.Version"


@dataclass(frozen=True)
class Recipe:
    """One build: a folder of sources, commands run in it, and the binaries they leave.

    Attributes:
        name: Short name, used for folders and logs.
        title: What the user reads.
        version: Of the product.
        sources: Files written into the build folder, by name.
        commands: Run there in order; `{bin}` is the folder for the binaries and `{workers}` the parallelism.
        binaries: What must exist in the end.
        steps: About how many modules are downloaded and packages compiled, for the progress bar.
        expectation: How long it takes from nothing, in words.
    """

    name: str
    title: str
    version: str
    sources: Mapping[str, bytes]
    commands: tuple[tuple[str, ...], ...]
    binaries: tuple[str, ...]
    steps: int
    expectation: str

    @property
    def key(self) -> str:
        """The name of the recipe's place in the cache: changes with anything that changes the result."""
        content = [
            {name: hashlib.sha256(data).hexdigest() for name, data in sorted(self.sources.items())},
            self.commands,
            platform.system(),
            platform.machine(),
        ]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return f"{self.name}-{self.version}-{digest[:12]}"


def recipes() -> dict[str, Recipe]:
    """Return every recipe by the name of each binary it builds."""
    return {binary: recipe for recipe in (_collector(), _prometheus(), _alertmanager()) for binary in recipe.binaries}


def _collector() -> Recipe:
    manifest: dict[str, Any] = yaml.safe_load(asset("collector/builder.yaml").read_text(encoding="utf-8"))
    manifest["dist"]["output_path"] = "./generated"
    return Recipe(
        name="collector",
        title="OpenTelemetry Collector",
        version=COLLECTOR_VERSION,
        sources={"builder.yaml": yaml.safe_dump(manifest, sort_keys=True).encode()},
        commands=(
            ("go", "install", "-v", "-p", "{workers}", f"{_OCB}@v{COLLECTOR_VERSION}"),
            ("{bin}/builder", "--config", "builder.yaml", "--skip-strict-versioning=false", "--skip-compilation"),
            ("go", "build", "-C", "generated", "-v", "-p", "{workers}", "-trimpath",
             "-tags", manifest["dist"]["build_tags"], "-ldflags", "-s -w", "-o", "{bin}/infermeter-collector", "."),
        ),
        binaries=("infermeter-collector",),
        steps=2000,
        expectation="about 8 minutes on 2 cores",
    )  # fmt: skip


def _prometheus() -> Recipe:
    folder = asset("deploy/local/recipes/prometheus")
    product = "github.com/prometheus/prometheus/cmd"
    return Recipe(
        name="prometheus",
        title="Prometheus",
        version=PROMETHEUS_VERSION,
        sources={name: (folder / name).read_bytes() for name in ("go.mod", "go.sum")},
        commands=(
            ("go", "build", "-v", "-p", "{workers}", "-trimpath", "-tags", "netgo,remove_all_sd",
             "-ldflags", f"-s -w -X {_VERSION_SYMBOL}={PROMETHEUS_VERSION}", "-o", "{bin}/",
             f"{product}/prometheus", f"{product}/promtool"),
        ),
        binaries=("prometheus", "promtool"),
        steps=1500,
        expectation="about 4 minutes on 2 cores",
    )  # fmt: skip


def _alertmanager() -> Recipe:
    product = "github.com/prometheus/alertmanager/cmd"
    return Recipe(
        name="alertmanager",
        title="Alertmanager",
        version=ALERTMANAGER_VERSION,
        sources={},
        commands=(
            ("go", "install", "-v", "-p", "{workers}", "-trimpath",
             "-ldflags", f"-s -w -X {_VERSION_SYMBOL}={ALERTMANAGER_VERSION}",
             f"{product}/alertmanager@v{ALERTMANAGER_VERSION}", f"{product}/amtool@v{ALERTMANAGER_VERSION}"),
        ),
        binaries=("alertmanager", "amtool"),
        steps=700,
        expectation="about 1 minute on 2 cores",
    )  # fmt: skip
