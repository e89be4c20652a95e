"""What Python runs at the start of every process under `infermeter run`; steps aside for whatever it stands before.

Python imports one module of this name. This one is found first because `infermeter run` puts its folder in front. It
must not fail: it runs in every Python process below the command, some of which may be other Pythons.
"""

# ruff: noqa: INP001  a package would not be found under the name that Python asks for

import sys


def _take_this_folder_away() -> None:
    """Let the `sitecustomize` that would have run without us be found; child processes still find this one."""
    import os

    here = os.path.realpath(os.path.dirname(__file__))  # noqa: PTH120  pathlib is slow to import
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != here]


def _run_the_one_behind() -> None:
    this = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ModuleNotFoundError as missing:
        if missing.name != "sitecustomize":
            raise
        if this is not None:
            sys.modules["sitecustomize"] = this


def _begin() -> None:
    try:
        from infermeter.autoinstrument import begin
    except ImportError:  # another Python, without infermeter
        return
    try:
        begin()
    except Exception as error:  # noqa: BLE001  the process is not ours
        sys.stderr.write(f"infermeter run: this process is not measured: {error}\n")


_take_this_folder_away()
_begin()
_run_the_one_behind()
