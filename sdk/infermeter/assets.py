"""Where the files live that ship with the SDK but are not code: collector, deploy and examples.

Knows the two places they can be (inside an installed wheel, or a checkout); knows nothing of what is in them.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_assets", _PACKAGE.parents[1])


def asset(relative: str) -> Path:
    """Return the path of a shipped file or folder, for example ``asset("deploy/prometheus/rules")``.

    Args:
        relative: Path below the repository's top level, starting with ``collector``, ``deploy`` or ``examples``.

    Raises:
        FileNotFoundError: Neither the installed package nor a checkout around it has that path.
    """
    for root in _ROOTS:
        candidate = root / relative
        if candidate.exists():
            return candidate
    places = " or ".join(str(root) for root in _ROOTS)
    raise FileNotFoundError(f"{relative} is not in this installation (looked in {places}); reinstall infermeter")
