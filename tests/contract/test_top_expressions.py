"""What `infermeter top` asks: only series that exist, with labels they have."""

from __future__ import annotations

import pytest
from tests.contract.shipped import KNOWN, findings

from infermeter.check.promql import parse, result_labels
from infermeter.cli.overview import numbers
from infermeter.cli.overview.numbers import expressions

_LABELS = {
    **dict.fromkeys(numbers._OF_VERSIONS, frozenset(numbers._VERSION)),
    **dict.fromkeys(numbers._OF_GPUS, frozenset(numbers._GPU)),
    **dict.fromkeys(numbers._OF_UUIDS, frozenset(numbers._GPU[2:])),
    **dict.fromkeys(numbers._OF_PIPELINES, frozenset(numbers._PIPELINE)),
    "sla": frozenset(numbers._VERSION[:2]),
}


@pytest.mark.parametrize(("name", "expression"), expressions("1m").items())
def test_an_expression_of_the_terminal_overview_reads_what_exists(name: str, expression: str):
    assert findings(expression) == []


@pytest.mark.parametrize("name", _LABELS)
def test_a_row_of_the_terminal_overview_is_found_by_labels_that_exist(name: str):
    assert (result_labels(parse(expressions("1m")[name]), KNOWN.labels) or frozenset()) >= _LABELS[name]
