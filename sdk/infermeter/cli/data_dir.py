"""The option `--data-dir`, the same for every command that deals with a stack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from infermeter.cli.stack.places import Places, default_data_dir

_Command = TypeVar("_Command", bound=Callable[..., Any])


def data_dir_option(command: _Command) -> _Command:
    """Add the option; the command receives it as `places`."""
    return click.option(
        "--data-dir",
        "places",
        envvar="INFERMETER_DATA_DIR",
        callback=_to_places,
        metavar="DIRECTORY",
        help=f"Where state, logs and data lie.  [env: INFERMETER_DATA_DIR; default: {_short(default_data_dir())}]",
    )(command)


def _to_places(_context: click.Context, _option: click.Parameter, value: str | None) -> Places:
    return Places(Path(value).expanduser().absolute() if value else default_data_dir())


def _short(path: Path) -> str:
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)
