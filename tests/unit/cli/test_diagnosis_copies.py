"""A measurement that reaches Prometheus in two ways: doctor names the label that tells the copies apart."""

from __future__ import annotations

from typing import Any, cast

import pytest

from infermeter.cli.diagnosis.arrival import check_copies
from infermeter.cli.diagnosis.backend import Backend

ONCE = {"__name__": "infermeter_info", "job": "doctor", "instance": "i"}
TWICE = {**ONCE, "path": "second"}
BEFORE, AFTER = "2026-02-02T02:40:00.300123456Z", "2026-02-02T02:40:00.500123456Z"


class Answers:
    """Stands for Prometheus: two jobs bring the canary, the second one when it is asked for scrapes again."""

    def __init__(self, series: list[dict[str, str]], scrapes: list[str]) -> None:
        self.series, self.scrapes = series, scrapes
        self.shown = len(series)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        at_s = 1_770_000_000.5 if expression.startswith("timestamp") else 1.0
        return [(labels, at_s) for labels in self.series[: self.shown]]

    def get(self, _: str, **__: str) -> Any:
        last = self.scrapes.pop(0) if len(self.scrapes) > 1 else self.scrapes[0]
        if len(self.scrapes) == 1:
            self.shown = len(self.series)
        return {"data": {"activeTargets": [{"health": "up", "lastScrape": last}]}}


@pytest.mark.parametrize("series", [[ONCE, TWICE], [TWICE, ONCE]], ids=["longer last", "longer first"])
def test_the_label_that_one_copy_lacks_is_named_in_any_order(series: list[dict[str, str]]) -> None:
    finding = check_copies(cast("Backend", Answers(series, [AFTER])), "i")

    assert finding.verdict == "failed"
    assert "2 times, differing in path:" in finding.found


def test_one_copy_is_well() -> None:
    assert check_copies(cast("Backend", Answers([ONCE], [AFTER])), "i", timeout_s=60).verdict == "ok"


def test_a_job_that_scrapes_later_is_waited_for() -> None:
    late = Answers([ONCE, TWICE], [BEFORE, BEFORE, AFTER])
    late.shown = 1

    assert check_copies(cast("Backend", late), "i", timeout_s=60).verdict == "failed"


def test_a_job_that_never_scrapes_is_not_waited_for_beyond_the_bound() -> None:
    assert check_copies(cast("Backend", Answers([ONCE], [BEFORE])), "i", timeout_s=0.3).verdict == "ok"
