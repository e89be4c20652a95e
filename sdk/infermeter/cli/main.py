"""The entry point of the command `infermeter`; knows what to say when the extra `cli` is missing, and no command."""

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
    infermeter(prog_name="infermeter")


if __name__ == "__main__":
    main()
