"""Where the path names the model: which requests may choose a label, and which may not."""

from __future__ import annotations

import pytest
from tests.asgi_exchange import REQUESTS, Exchange, answering, models_of, statuses

from infermeter import configure, runtime
from infermeter.asgi import InferenceMiddleware
from infermeter.targets import Target
from infermeter.testing import CapturedMetrics


@pytest.fixture
def metrics(captured_metrics: CapturedMetrics) -> CapturedMetrics:
    """What was recorded."""
    return captured_metrics


def named(scope) -> Target:
    return BY_PATH


BY_PATH = Target("/predict/{model}", model_parameter="model", version_parameter="version")


async def by_name(status: int, model: object, version: object = None) -> None:
    async def app(scope, receive, send):
        scope["path_params"] = {"model": model, "version": version}
        await answering(status)(scope, receive, send)

    await Exchange().with_(InferenceMiddleware(app, target_of=named, methods=("POST",)))


@pytest.fixture
def by_path(monkeypatch, metrics) -> CapturedMetrics:
    fresh = Target("/predict/{model}", model_parameter="model", version_parameter="version")
    monkeypatch.setitem(globals(), "BY_PATH", fresh)
    return metrics


async def test_the_path_names_model_and_version_of_an_answered_request(by_path):
    await by_name(200, "fraud", 3)
    await by_name(500, "churn")

    assert by_path.value(REQUESTS, model_name="fraud", model_version="3", status="success") == 1
    assert by_path.value(REQUESTS, model_name="churn", model_version="", status="error") == 1


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422, 429])
async def test_a_caller_who_is_turned_away_chooses_no_label(by_path, status):
    await by_name(status, "evil")

    assert models_of(by_path) == {"/predict/{model}"}
    assert statuses(by_path, "/predict/{model}") == {"rejected": 1}


@pytest.mark.parametrize("status", [404, 405])
async def test_an_answer_that_there_is_no_such_thing_makes_no_series(by_path, status):
    await by_name(status, "evil")

    assert models_of(by_path) == set()


async def test_a_model_that_has_been_served_owns_its_rejections(by_path):
    await by_name(200, "fraud")
    await by_name(429, "fraud")

    assert statuses(by_path, "fraud") == {"success": 1, "rejected": 1}


async def test_a_request_that_is_not_valid_names_no_model_even_one_that_is_served(by_path):
    await by_name(200, "fraud")
    await by_name(422, "fraud")

    assert statuses(by_path, "fraud") == {"success": 1}
    assert statuses(by_path, "/predict/{model}") == {"rejected": 1}


async def test_a_name_from_the_path_is_cut(by_path):
    await by_name(200, "x" * 100_000)

    assert models_of(by_path) == {"x" * 128}


async def test_a_missing_or_empty_name_falls_back(by_path):
    await by_name(200, None)
    await by_name(200, "")

    assert statuses(by_path, "/predict/{model}") == {"success": 2}


async def test_too_many_names_are_folded(monkeypatch):
    configure(exporter="none", series_limit=50, handle_sigterm=False)
    metrics = CapturedMetrics(runtime.live.families)
    monkeypatch.setitem(globals(), "BY_PATH", Target("t", model_parameter="model"))
    for number in range(100):
        await by_name(200, f"m{number}")

    assert len(models_of(metrics)) == 11
    assert statuses(metrics, "other") == {"success": 90}


async def test_a_failure_of_ours_leaves_the_request_alone(metrics, swallowed, monkeypatch):
    monkeypatch.setattr("infermeter.guard.on_swallowed", lambda where, error: swallowed.append((where, error)))

    def broken(scope):
        raise LookupError("ours")

    app = InferenceMiddleware(answering(200), target_of=broken, methods=("POST",))
    exchange = await Exchange().with_(app)

    assert exchange.status == 200
    assert {where for where, _ in swallowed} == {"asgi"}
