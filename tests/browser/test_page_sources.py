"""What the page does without a browser, run by Node: formats, variables, calculations, what dashboards may use."""

from __future__ import annotations

import subprocess
from pathlib import Path

from infermeter.cli.stack.node_toolchain import find_node

TESTS = Path(__file__).parent / "page"


def test_the_sources_of_the_page_pass_their_own_tests():
    files = sorted(str(path) for path in TESTS.glob("*.test.js"))
    assert len(files) >= 3

    done = subprocess.run(
        [find_node().binary, "--test", "--test-reporter=tap", *files], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "# fail 0" in done.stdout
