"""Label values are text that every exporter takes; label sets are capped, declared models never pay for others."""

from __future__ import annotations

import enum
import threading

import pytest
from tests.conftest import Errors

import infermeter
from infermeter.labels import MAX_LENGTH, label_value
from infermeter.testing import capture

REQUESTS = "model_inference_requests_total"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("fraud", "fraud"),
        (3, "3"),
        (3.0, "3.0"),
        (True, "True"),
        ("ünïcode 🦀", "ünïcode 🦀"),
        ("\ud800", "?"),
        ("a\udcffb", "a?b"),
        ('\x00\n"\\', '\x00\n"\\'),
        ("x" * 10_000, "x" * MAX_LENGTH),
        ("🦀" * 10_000, "🦀" * MAX_LENGTH),
        ("x" * (MAX_LENGTH - 1) + "\ud83e\udd80", "x" * (MAX_LENGTH - 1) + "?"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_any_value_becomes_text_that_can_be_encoded(value: object, text: str) -> None:
    assert label_value(value) == text
    assert type(label_value(value)) is str
    label_value(value).encode()


def test_a_member_of_an_enumeration_counts_as_its_value() -> None:
    class Served(str, enum.Enum):  # as FastAPI's path parameters are declared
        FRAUD = "fraud"

    class Number(enum.IntEnum):
        ONE = 1

    assert (label_value(Served.FRAUD), label_value(Number.ONE)) == ("fraud", "1")


def test_a_subclass_of_str_becomes_a_plain_one() -> None:
    class Loud(str):
        def __str__(self) -> str:
            return Loud(self.upper())

    assert label_value(Loud("a")) == "A"
    assert type(label_value(Loud("a"))) is str


@pytest.mark.parametrize("limit", [5, 100, 2000])
def test_no_name_holds_more_label_sets_than_its_limit(limit: int) -> None:
    infermeter.register_model("declared", version="1", classes=["a", "b"])
    with capture() as captured:
        telemetry = infermeter.configure(exporter="none", series_limit=limit, handle_sigterm=False)
        for i in range(limit + 50):
            infermeter.instrument_inference(f"model-{i}", version=f"{i}").record(
                0.1, confidence=0.5, status=["success", "timeout", "cancelled", "rejected", "error"][i % 5]
            )
            infermeter.record_prediction(f"model-{i}", label=f"class-{i}", version=f"{i}")
        declared_and_other = 2 * 5

        for family in telemetry.families():
            assert len(family.points) <= limit + declared_and_other, family.metric.name
        assert captured.value(REQUESTS) == limit + 50
        assert captured.value(REQUESTS, model_name="other") > 0
        assert captured.value("infermeter_dropped_total", reason="series_limit") > 0
        assert captured.value("infermeter_series_limit") == limit
        assert captured.value("infermeter_series") <= limit + declared_and_other


def test_a_declared_model_keeps_its_place_after_an_explosion(caplog: pytest.LogCaptureFixture) -> None:
    with capture() as captured:
        infermeter.configure(exporter="none", series_limit=50, handle_sigterm=False)
        for i in range(100):
            infermeter.record_prediction(f"attack-{i}", confidence=0.5)
        infermeter.register_model("declared", version="1", classes=["a"])
        infermeter.instrument_inference("declared", version="1").record(0.1)

        assert captured.value(REQUESTS, model_name="declared", status="success") == 1
        assert captured.value("model_feature_values_total", model_name="declared", bin="a") == 0
    lines = [record.getMessage() for record in caplog.records if "series_limit" in record.getMessage()]
    assert len(lines) == 1
    assert "INFERMETER_SERIES_LIMIT" in lines[0]


def test_declared_models_take_no_place_from_others() -> None:
    for i in range(30):
        infermeter.register_model(f"declared-{i}")
    with capture() as captured:
        infermeter.configure(exporter="none", series_limit=50, handle_sigterm=False)
        for i in range(10):  # a model may take a label set for each of five statuses
            infermeter.instrument_inference(f"new-{i}").record(0.1)

        assert captured.value(REQUESTS, model_name="other") == 0
        assert captured.value("infermeter_dropped_total") == 0


def test_a_model_really_called_other_is_one_model_among_all() -> None:
    with capture() as captured:
        infermeter.instrument_inference("other", version="other").record(0.1)

        assert captured.value(REQUESTS, model_name="other", status="success") == 1


def test_threads_that_race_for_a_new_model_end_up_with_one() -> None:
    with capture() as captured:
        start = threading.Barrier(8)

        def record() -> None:
            start.wait()
            for i in range(200):
                infermeter.instrument_inference(f"model-{i}").record(0.1)

        threads = [threading.Thread(target=record) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert captured.value(REQUESTS, status="success") == 1600
        assert {point.value for point in captured.points(REQUESTS, status="success")} == {8}


def test_values_of_different_types_but_one_text_are_one_series() -> None:
    with capture() as captured:
        for version in (1, "1"):
            infermeter.instrument_inference("fraud", version=version).record(0.1)  # type: ignore[call-overload]

        assert captured.value(REQUESTS, model_version="1", status="success") == 2


def test_error_names_of_our_own_failures_cannot_explode(swallowed: Errors) -> None:
    with capture(strict=False) as captured:
        for i in range(300):
            error = type(f"Generated{i}" + "x" * 500, (Exception,), {})
            failing = infermeter.instrument_inference("fraud", confidence=_raise(error))
            failing(lambda: 1)()

        points = captured.points("infermeter_dropped_total")
        assert len(points) <= 101
        assert sum(point.value for point in points) == 300
        assert max(len(point.labels["reason"]) for point in points) <= MAX_LENGTH


def _raise(error: type[Exception]):  # type: ignore[no-untyped-def]
    def extract(_: object) -> float:
        raise error

    return extract
