"""The entry point of the command `infermeter`: what is said when the extra `cli` or the system denies something.

Knows no command.
"""

from __future__ import annotations

import sys

from infermeter.cli.exit_codes import ExitCode


def main() -> None:
    """Run the command line; never returns."""
    try:
        from infermeter.cli.commands import infermeter
    except ModuleNotFoundError as missing:
        if missing.name not in {"click", "promql_parser", "rich", "yaml"}:
            raise
        sys.stderr.write('The command line needs the extra "cli": pip install "infermeter[cli]"\n')
        sys.exit(ExitCode.FAILED)
    try:
        infermeter(prog_name="infermeter")
    except OSError as error:
        if error.strerror is None:
            raise
        what = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"error: {what}{error.strerror}\n")
        sys.exit(ExitCode.FAILED)


if __name__ == "__main__":
    main()
