"""Time behind one seam: tests replace these two names, nothing else asks the system for the time.

Callers write ``clock.monotonic_s()``, never ``from infermeter.clock import monotonic_s``.
"""

from __future__ import annotations

import time

monotonic_s = time.perf_counter
"""Seconds on a clock that only moves forward; for durations."""

unix_ns = time.time_ns
"""Nanoseconds since 1970; for timestamps of exported points."""
