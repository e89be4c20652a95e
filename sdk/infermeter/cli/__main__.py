"""Lets `python -m infermeter.cli` be the same as the command `infermeter`."""

from __future__ import annotations

from infermeter.cli.main import main

if __name__ == "__main__":
    main()
