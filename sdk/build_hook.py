"""What packaging does beyond copying code: builds the console's page and puts into the wheel what is no code.

Runs where only hatchling is installed. An editable installation finds all of it in the checkout and gets nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_CONSOLE = "deploy/console"
_FOLDERS = ("collector", "examples")
_INSIDE = {"wheel": "infermeter/_assets/", "sdist": ""}


class PackagedFiles(BuildHookInterface[Any]):
    """Adds files to wheel and sdist."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files; called before hatchling collects them."""
        if version == "editable":
            return
        root = Path(self.root)
        folders: list[Path] = []
        if self.target_name == "wheel":
            # Not the whole of deploy/: npm may have left hundreds of megabytes among the page's sources.
            folders = [root / name for name in _FOLDERS]
            folders += [path for path in (root / "deploy").iterdir() if path.is_dir() and path != root / _CONSOLE]
        inside = _INSIDE[self.target_name]
        included = {str(path): inside + path.relative_to(root).as_posix() for path in folders}
        build_data["force_include"].update(included | self._page(root, inside))

    def _page(self, root: Path, inside: str) -> dict[str, str]:
        """Return the built page or, where it cannot be built here, its sources: `infermeter up` builds it then."""
        sys.path.insert(0, str(root / "sdk"))
        try:
            from infermeter.cli.stack.failures import StackError
            from infermeter.cli.stack.reporting import SilentReporter
            from infermeter.cli.web.built_page import source_files
            from infermeter.cli.web.page_build import find_or_build_page

            try:
                page = find_or_build_page(SilentReporter())
            except StackError as problem:
                self.app.display_warning(f"{problem} The console's page is left out and built when it is first used.")
                page = None
            if page is not None:
                return {str(page): f"{inside}{_CONSOLE}/dist"}
            sources = root / _CONSOLE
            if self.target_name == "sdist" or not sources.is_dir():
                return {}
            return {str(path): inside + path.relative_to(root).as_posix() for path in source_files(sources)}
        finally:
            sys.path.remove(str(root / "sdk"))
