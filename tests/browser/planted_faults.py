"""Plants faults into a copy of the page and says which test saw each: `python -m tests.browser.planted_faults`.

Takes some minutes, so it is no test itself; run it when tests of the page have changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "node_modules", "dist", "artifacts", "__pycache__")
TESTS_FAILED = 1  # pytest's status; an error of the test itself has another


@dataclass(frozen=True)
class Fault:
    """A change of one source file, and who should notice.

    Attributes:
        what: What is wrong then.
        file: Below deploy/console/src.
        right: The text that is replaced.
        wrong: By what.
        test: The test file and a part of the test's name.
    """

    what: str
    file: str
    right: str
    wrong: str
    test: tuple[str, str]


KNOWN = ("test_states.py", "known_samples")
BANNER = ("test_states.py", "banner")
FAULTS = (
    Fault("a refresh that is chosen and not shown", "views/alerts.js", "changed() {\n    this.#drawToolbar();",
          "changed() {", ("test_states.py", "refresh_that")),
    Fault("a young store as an empty hour", "time.js", "if (ageMs * 4 >= usualMs) return null;", "return null;",
          ("test_states.py", "begun")),
    Fault("a page that falls with one question", "views/dashboard.js",
          "if (error instanceof QueryError) return [];", "", ("test_states.py", "error_of_one")),
    Fault("paper that does not say when", "views/dashboard.js",
          "this.#printed.textContent = this.#printedText(window);", "", ("test_for_everyone.py", "paper")),
    Fault("a heatmap without cells", "panels/heatmap.js", "  data: cells,", "  data: [],", KNOWN),
    Fault("the first value for the last", "reduce.js", "(values) => values.at(-1)]", "(values) => values[0]]", KNOWN),
    Fault(
        "label values as HTML", "panels/legend.js", "el('span', { class: 'name' }, item.name)",
        "Object.assign(el('span', { class: 'name' }), { innerHTML: item.name })", KNOWN,
    ),
    Fault("a banner that stays", "banner.js", "    node.hidden = true;\n", "", BANNER),
    Fault(
        "an error in every panel instead of one banner", "panel_frame.js",
        "|| error instanceof AwayError) throw error;", ") throw error;", BANNER,
    ),
    Fault("questions while nobody looks", "loop.js", "document.hidden", "false", ("test_states.py", "nobody")),
    Fault("percentages ten times too high", "units.js", "plain('%', 100)", "plain('%', 1000)",
          ("test_page_sources.py", "sources")),
    Fault(
        "a number that lies over the others", "style/values.css", ".stats > .stat {\n  position: relative;",
        ".stats > .stat {\n  position: fixed; inset: 0;", ("test_for_everyone.py", "overlaps"),
    ),
    Fault("a control without a name", "pickers.js", "    'aria-label': 'Refresh every',\n    title: 'Refresh every',\n",
          "", ("test_for_everyone.py", "axe")),
    Fault(
        "a legend out of the keyboard's reach", "panels/legend.js", "        type: 'button',\n",
        "        type: 'button',\n        tabindex: '-1',\n", ("test_for_everyone.py", "keyboard_reaches"),
    ),
    Fault(
        "a choice that narrows nothing", "template.js", "if (choice.all && choice.allValue)", "if (choice.allValue)",
        ("test_drawn_dashboards.py", "narrows"),
    ),
    Fault("numbers of twenty seconds ago", "panel_data.js", "end: Math.floor(endMs / 1000 / step) * step, step",
          "end: Math.floor(endMs / 1000 / step) * step - 20, step", ("test_drawn_dashboards.py", "big_numbers")),
    Fault(
        "an inline script", "panels/stat.js", "  const items = itemsOf(panel, series);",
        "  document.head.append(Object.assign(document.createElement('script'), { textContent: '1' }));\n"
        "  const items = itemsOf(panel, series);", ("test_drawn_dashboards.py", "big_numbers"),
    ),
    Fault("an alert without its limit", "alert_chart.js", "threshold ?? LIMITS[rule.name] ?? null", "null",
          ("test_incident.py", "what_fires")),
)  # fmt: skip


def seen(fault: Fault, copy: Path) -> bool:
    """Return whether the test fails with the fault; the copy is right again afterwards."""
    source = copy / "deploy/console/src" / fault.file
    right = source.read_text(encoding="utf-8")
    assert fault.right in right, f"{fault.what}: nothing to replace in {fault.file}"
    file, name = fault.test
    source.write_text(right.replace(fault.right, fault.wrong), encoding="utf-8")
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/browser/{file}", "-k", name],
            cwd=copy, env={**os.environ, "PYTHONPATH": str(copy / "sdk")}, capture_output=True, check=False,
        )  # fmt: skip
    finally:
        source.write_text(right, encoding="utf-8")
    return ran.returncode == TESTS_FAILED


def main() -> int:
    """Print one line per fault; return how many nobody saw."""
    unseen = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        for fault in FAULTS:
            red = seen(fault, copy)
            unseen += not red
            print(f"{'seen' if red else 'NOT SEEN':8}  {fault.what} ({fault.test[0]})", flush=True)
    return unseen


if __name__ == "__main__":
    sys.exit(main())
