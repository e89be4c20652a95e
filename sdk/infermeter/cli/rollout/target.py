"""The folder an export goes to: writes what changed, removes what an earlier export left, touches nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_LIST = ".infermeter-export"  # one path a line: what the last export wrote


class TargetError(Exception):
    """The folder holds files that are somebody else's, or cannot be written."""


class Written(NamedTuple):
    """What happened, as paths below the folder."""

    written: list[str]
    unchanged: list[str]
    removed: list[str]


def write_files(folder: Path, files: dict[str, str], *, force: bool) -> Written:
    """Write files to a folder.

    Raises:
        TargetError: A file is in the way that no export wrote, or the folder cannot be written.
    """
    try:
        ours = set(_lines(folder / _LIST))
        _refuse_foreign(folder, files, ours, force=force)
        written = [path for path, text in files.items() if _write(folder / path, text)]
        removed = sorted(path for path in ours - files.keys() if _remove(folder, path))
        _write(folder / _LIST, "".join(f"{path}\n" for path in files))
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"{folder} cannot be written: {error}") from None
    return Written(written, [path for path in files if path not in written], removed)


def _refuse_foreign(folder: Path, files: dict[str, str], ours: set[str], *, force: bool) -> None:
    foreign = [path for path in files if (folder / path).exists() and path not in ours]
    if foreign and not force:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise TargetError(f"{folder / foreign[0]}{more} was not written by an export; --force overwrites")


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _write(file: Path, text: str) -> bool:
    """Write a file unless it says that already; return whether it was written."""
    if file.is_file() and file.read_bytes() == text.encode():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return True


def _remove(folder: Path, path: str) -> bool:
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return False
    file.unlink()
    return True
