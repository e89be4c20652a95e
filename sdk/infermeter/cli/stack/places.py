"""Where things lie on the user's machine: the data directory of a stack and the cache of built binaries."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from infermeter.cli.stack.failures import StackError


def default_data_dir() -> Path:
    """Return the data directory of `infermeter up` when no other is given (XDG: state)."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "infermeter"


def cache_dir() -> Path:
    """Return where built binaries and their build logs are kept (XDG: cache)."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "infermeter"


@dataclass(frozen=True)
class Places:
    """The files of one stack, all below its data directory."""

    data_dir: Path

    @property
    def state_file(self) -> Path:
        """What runs; there only while something should."""
        return self.data_dir / "state.json"

    @property
    def lock_file(self) -> Path:
        """Held by the command that starts or stops this stack."""
        return self.data_dir / "lock"

    @property
    def config(self) -> Path:
        """Configuration files as the parts read them."""
        return self.data_dir / "config"

    @property
    def logs(self) -> Path:
        """One log per part, and the one of its run before."""
        return self.data_dir / "logs"

    @property
    def fleet(self) -> Path:
        """What the demonstration's fleet reads and writes."""
        return self.data_dir / "fleet"

    @property
    def fleet_control(self) -> Path:
        """What the fleet is to get wrong."""
        return self.fleet / "control.json"

    def data(self, part: str) -> Path:
        """Return where a part keeps what survives `down`."""
        return self.data_dir / "data" / part

    def log(self, part: str) -> Path:
        """Return the log of a part."""
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Create the directories, readable by this user only: a token may lie in one.

        Raises:
            StackError: That is not allowed there, or there is no room.
        """
        try:
            for path in (self.data_dir, self.config, self.logs, self.data_dir / "data"):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StackError(
                f"{error.filename} cannot be made ({error.strerror}); name a directory of yours: --data-dir or "
                "INFERMETER_DATA_DIR"
            ) from None


def _xdg(variable: str, fallback: str) -> Path:
    # The XDG specification: a relative path in these variables is to be ignored.
    value = Path(os.environ.get(variable, ""))
    return value if value.is_absolute() else Path.home() / fallback
