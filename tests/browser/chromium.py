"""The system's Chromium: found, or installed where that may be done: `python -m tests.browser.chromium`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SETTING = "INFERMETER_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_MISSING = (
    f"The browser tests need Chromium: run `apt-get install chromium` as root, or set {_SETTING} to a Chromium's path."
)


def _found() -> str | None:
    setting = os.environ.get(_SETTING)
    return setting or next(filter(None, map(shutil.which, _NAMES)), None)


def chromium_binary() -> str:
    """Return the path of the browser; its absence fails whoever asks, it never skips."""
    found = _found()
    assert found, _MISSING
    return found


def main() -> None:
    """Install Debian's package where there is no Chromium and we may."""
    if _found():
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        sys.exit(_MISSING)
    print("installing chromium for the browser tests (about 400 MB, once)", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", "chromium"]
    if subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0:
        return
    subprocess.run([apt, "update", "-qq"], env=environment, check=False)  # a fresh image has no package lists
    if subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        sys.exit(_MISSING)


if __name__ == "__main__":
    main()
