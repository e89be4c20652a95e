"""Where each binary of the stack comes from: a setting, PATH, the cache, or a build; and whether one found will do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.build import build, cached_binary
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.go_toolchain import find_go
from infermeter.cli.stack.recipes import recipes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infermeter.cli.stack.reporting import Reporter

COLLECTOR = "infermeter-collector"

# What collector/config uses, under the names the binary prints. The plain distributions lack memory_limiter as an
# extension, so that on PATH only a build of ours will do.
NEEDED_COMPONENTS: Mapping[str, frozenset[str]] = {
    "receivers": frozenset({"otlp"}),
    "processors": frozenset({"memory_limiter", "transform", "filter", "delta_to_cumulative"}),
    "exporters": frozenset({"prometheus", "otlp_http"}),
    "extensions": frozenset({"health_check", "memory_limiter", "bearertokenauth"}),
}


@dataclass(frozen=True)
class _Wanted:
    setting: str
    on_path: tuple[str, ...]
    minimum: tuple[int, int, int]


# Floors: Prometheus below 3.14 has known holes in its OTLP and scrape parsers (see collector/README.md).
_WANTED: Mapping[str, _Wanted] = {
    COLLECTOR: _Wanted("INFERMETER_COLLECTOR_BINARY", (COLLECTOR, "otelcol-contrib", "otelcol"), (0, 153, 0)),
    "prometheus": _Wanted("INFERMETER_PROMETHEUS_BINARY", ("prometheus",), (3, 14, 0)),
    "promtool": _Wanted("INFERMETER_PROMTOOL_BINARY", ("promtool",), (3, 14, 0)),
    "alertmanager": _Wanted("INFERMETER_ALERTMANAGER_BINARY", ("alertmanager",), (0, 27, 0)),
    "amtool": _Wanted("INFERMETER_AMTOOL_BINARY", ("amtool",), (0, 27, 0)),
}


def find_or_build(names: Iterable[str], reporter: Reporter) -> dict[str, Path]:
    """Return the path of each named binary; builds what is nowhere to be found.

    Raises:
        StackError: A setting points to something unusable, there is no Go, or a build failed.
    """
    by_binary = recipes()
    paths: dict[str, Path] = {}
    for name in names:
        found = find(name)
        if found is None:
            recipe = by_binary[name]
            build(recipe, find_go(), reporter)
            found = cached_binary(recipe, name)
        if found is None:
            raise StackError(f"the build of {name} left no binary", exit_code=ExitCode.BINARY_MISSING)
        paths[name] = found
    return paths


def find(name: str) -> Path | None:
    """Return a usable binary from the setting, PATH or the cache; None when it would have to be built.

    Raises:
        StackError: The setting names a file that will not do.
    """
    wanted = _WANTED[name]
    setting = os.environ.get(wanted.setting)
    if setting:
        path = Path(setting)
        problem = _problem(name, path)
        if problem:
            raise StackError(f"{wanted.setting}={setting} {problem}", exit_code=ExitCode.BINARY_MISSING)
        return path.absolute()
    for candidate in wanted.on_path:
        on_path = shutil.which(candidate)
        if on_path and _problem(name, Path(on_path)) is None:
            return Path(on_path).absolute()
    return cached_binary(recipes()[name], name)


def version_of(binary: Path) -> str | None:
    """Return the version a binary of the stack prints, like `3.14.0`; None when it prints none."""
    match = re.search(r"version v?(\d+\.\d+\.\d+)", _said(binary, "--version"))
    return match.group(1) if match else None


def _problem(name: str, binary: Path) -> str | None:
    """Say why this file will not do as the binary `name`; None when it will."""
    if not os.access(binary, os.X_OK) or binary.is_dir():
        return "is not an executable file"
    version = version_of(binary)
    minimum = _WANTED[name].minimum
    if version is None or tuple(int(number) for number in version.split(".")) < minimum:
        wanted = ".".join(str(number) for number in minimum)
        return f"is version {version or 'unknown'}; {name} {wanted} or newer is needed"
    if name == COLLECTOR:
        missing = _missing_components(binary)
        if missing:
            return f"lacks the components {', '.join(missing)}; collector/builder.yaml lists what a build needs"
    return None


def _missing_components(binary: Path) -> list[str]:
    listing: dict[str, list[dict[str, str]] | None] = yaml.safe_load(_said(binary, "components")) or {}
    missing: list[str] = []
    for kind, names in NEEDED_COMPONENTS.items():
        present: set[str] = {entry["name"] for entry in listing.get(kind) or []}
        missing += [f"{kind}/{name}" for name in sorted(names - present)]
    return missing


def _said(binary: Path, argument: str) -> str:
    try:
        result = subprocess.run(  # noqa: S603 -- a binary the user or the cache names
            [str(binary), argument], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout + result.stderr if argument == "--version" else result.stdout
