"""Which requests of a FastAPI application count, and as which model."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Response
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from tests.asgi_exchange import Exchange, lifespan

from infermeter import configure, runtime
from infermeter.fastapi import instrument_app
from infermeter.testing import CapturedMetrics

REQUESTS = "model_inference_requests_total"


def counted(metrics: CapturedMetrics) -> dict[tuple[str, str, str], float]:
    return {
        (p.labels["model_name"], p.labels["model_version"], p.labels["status"]): p.value
        for p in metrics.points(REQUESTS)
        if p.value
    }


def models_of(metrics: CapturedMetrics) -> set[str]:
    return {p.labels["model_name"] for p in metrics.points(REQUESTS)}


def service(**options) -> FastAPI:
    app = FastAPI()

    @app.post("/predict")
    async def predict() -> dict[str, int]:
        return {"y": 1}

    @app.get("/predict")
    async def describe() -> dict[str, int]:
        return {"y": 1}

    instrument_app(app, **options)
    return app


async def post(app: FastAPI, path: str = "/predict", **request) -> Exchange:
    return await Exchange(path, **request).with_(app)


async def test_without_further_words_a_route_that_takes_post_is_a_model_named_by_its_template(captured_metrics):
    app = service()
    await post(app)
    await post(app, method="GET")

    assert counted(captured_metrics) == {("/predict", "", "success"): 1}


@pytest.mark.parametrize("path", ["/nothing", "/predict/", "/predict/more", "/docs", "/openapi.json"])
async def test_what_no_inference_route_takes_makes_no_series(captured_metrics, path):
    await post(service(model=None), path)

    assert models_of(captured_metrics) == set()


@pytest.mark.parametrize("path", ["/health", "/healthz", "/health/ready", "/metrics", "/docs/extra", "/ping"])
async def test_health_metrics_and_docs_are_no_inferences_even_by_post(captured_metrics, path):
    app = FastAPI()
    app.post(path)(lambda: 1)
    instrument_app(app)

    assert (await post(app, path)).status == 200
    assert models_of(captured_metrics) == set()


async def test_routes_added_after_instrumenting_count(captured_metrics):
    app = service()
    app.post("/late")(lambda: 1)
    await post(app, "/late")

    assert counted(captured_metrics) == {("/late", "", "success"): 1}


async def test_an_application_instrumented_before_configure_counts_afterwards():
    app = service()
    await post(app)
    configure(exporter="none", handle_sigterm=False)
    await post(app)

    assert counted(CapturedMetrics(runtime.live.families)) == {("/predict", "", "success"): 1}


async def test_the_argument_names_model_and_version(captured_metrics, monkeypatch):
    monkeypatch.setenv("INFERMETER_MODEL", "from-environment")
    await post(service(model="fraud", version="3"))

    assert counted(captured_metrics) == {("fraud", "3", "success"): 1}


async def test_the_environment_names_model_and_version(captured_metrics, monkeypatch):
    monkeypatch.setenv("INFERMETER_MODEL", "fraud")
    monkeypatch.setenv("INFERMETER_MODEL_VERSION", "7")
    await post(service())

    assert counted(captured_metrics) == {("fraud", "7", "success"): 1}


async def test_a_named_model_shows_zeros_before_its_first_request(captured_metrics):
    app = service(model="fraud", version="3")
    await Exchange("/predict", method="GET").with_(app)

    zeros = {p.labels["status"]: p.value for p in captured_metrics.points(REQUESTS, model_name="fraud")}
    assert zeros == {"success": 0, "error": 0}


async def test_a_model_without_version_shows_zeros_once_the_service_has_started(captured_metrics):
    async with lifespan(service(model="fraud")):
        zeros = {p.labels["status"]: p.value for p in captured_metrics.points(REQUESTS, model_name="fraud")}

    assert zeros == {"success": 0, "error": 0}


async def test_a_version_in_the_path_leaves_no_model_without_version(captured_metrics):
    app = FastAPI()

    @app.post("/predict/{model_version}")
    async def predict(model_version: str) -> str:
        return model_version

    instrument_app(app, model="fraud")
    async with lifespan(app):
        await Exchange("/predict/3").with_(app)

    assert {p.labels["model_version"] for p in captured_metrics.points(REQUESTS)} == {"3"}


@pytest.mark.parametrize("template", ["/{model}/v/{version}", "/{model_name}/v/{model_version}"])
async def test_the_path_names_model_and_version(captured_metrics, monkeypatch, template):
    monkeypatch.setenv("INFERMETER_MODEL", "from-environment")
    app = FastAPI()
    app.post(template)(lambda: 1)
    instrument_app(app)
    await post(app, "/fraud/v/3")

    assert counted(captured_metrics) == {("fraud", "3", "success"): 1}


def strict_service() -> FastAPI:
    app = FastAPI()

    @app.post("/models/{model_name}/predict")
    async def predict(model_name: str, row: dict[str, int]) -> dict[str, int]:
        if model_name != "fraud":
            raise HTTPException(404)
        if row.get("tired"):
            raise HTTPException(429)
        return row

    instrument_app(app)
    return app


async def test_unknown_names_in_the_path_make_no_series(captured_metrics):
    app = strict_service()
    for number in range(50):
        assert (await post(app, f"/models/evil{number}/predict")).status == 404

    assert models_of(captured_metrics) == set()


async def test_invalid_requests_are_rejections_of_the_route_whatever_name_they_carry(captured_metrics):
    app = strict_service()
    for number in range(50):
        assert (await post(app, f"/models/{'x' * 5000}{number}/predict", body=b"[]")).status == 422

    assert counted(captured_metrics) == {("/models/{model_name}/predict", "", "rejected"): 50}


async def test_rejections_of_a_served_model_are_its_own(captured_metrics):
    app = strict_service()
    await post(app, "/models/fraud/predict")
    await post(app, "/models/fraud/predict", body=b'{"tired": 1}')

    assert counted(captured_metrics) == {("fraud", "", "success"): 1, ("fraud", "", "rejected"): 1}


async def test_a_404_of_a_named_model_is_a_rejection(captured_metrics):
    app = FastAPI()

    @app.post("/score/{user}")
    async def score(user: str) -> None:
        raise HTTPException(404)

    instrument_app(app, model="fraud")
    await post(app, "/score/nobody")
    await post(app, "/nothing")

    assert counted(captured_metrics) == {("fraud", "", "rejected"): 1}


def nested() -> FastAPI:
    """Routers in routers and applications in applications."""
    leaf = APIRouter(prefix="/leaf")
    leaf.post("/{item}")(lambda item: 1)
    middle = APIRouter(prefix="/middle")
    middle.include_router(leaf)
    app, inner = FastAPI(), FastAPI()
    app.include_router(middle, prefix="/v1")
    app.include_router(leaf, prefix="/v2")
    inner.post("/predict/{item}")(lambda item: 1)
    inner.include_router(leaf, prefix="/own")

    async def plain(request):
        return PlainTextResponse("y")

    async def raw(scope, receive, send):
        await PlainTextResponse("y")(scope, receive, send)

    app.mount("/tenants/{tenant}", inner)
    app.mount("/twice", inner)
    app.mount("/raw", raw)
    app.mount("/starlette", Starlette(routes=[Route("/plain/{item}", plain, methods=["POST"])]))
    app.router.routes.append(Route("/plain/{item}", plain, methods=["POST"]))
    app.router.routes.append(Mount("/group", routes=[Route("/plain/{item}", plain, methods=["POST"])]))
    app.router.routes.append(Host("models.example", app=Starlette(routes=[Route("/host", plain, methods=["POST"])])))
    return app


@pytest.mark.parametrize("root_path", ["", "/proxy"])
@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/middle/leaf/a", "/v1/middle/leaf/{item}"),
        ("/v2/leaf/a", "/v2/leaf/{item}"),
        ("/tenants/acme/predict/a", "/tenants/{tenant}/predict/{item}"),
        ("/tenants/acme/own/leaf/a", "/tenants/{tenant}/own/leaf/{item}"),
        ("/twice/predict/a", "/twice/predict/{item}"),
        ("/twice/own/leaf/a", "/twice/own/leaf/{item}"),
        ("/raw/whatever/is/here", "/raw"),
        ("/starlette/plain/a", "/starlette/plain/{item}"),
        ("/plain/a", "/plain/{item}"),
        ("/group/plain/a", "/group/plain/{item}"),
    ],
)
async def test_the_template_is_whole_and_holds_nothing_of_the_request(captured_metrics, root_path, path, template):
    app = nested()
    instrument_app(app)
    for _ in range(2):
        assert (await post(app, root_path + path, root_path=root_path)).status == 200

    assert counted(captured_metrics) == {(template, "", "success"): 2}


async def test_a_host_leaves_no_trace_in_the_template(captured_metrics):
    app = nested()
    instrument_app(app)
    exchange = Exchange("/host")
    exchange.scope["headers"] = [(b"host", b"models.example")]
    await exchange.with_(app)

    assert counted(captured_metrics) == {("/host", "", "success"): 1}


@pytest.mark.parametrize("root_path", ["", "/proxy", "/v1"])
@pytest.mark.parametrize(
    ("path", "template"),
    [("/run", "/run"), ("/v1/run", "/v1/run"), ("/a/run", "/{tenant}/run"), ("/v1/a/run", "/v1/{tenant}/run")],
)
async def test_a_route_that_is_reached_in_several_ways_is_told_by_its_whole_path(
    captured_metrics, root_path, path, template
):
    router, app, inner = APIRouter(), FastAPI(), FastAPI()
    router.post("/run")(lambda: 1)
    inner.include_router(router)
    app.include_router(router)
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v1/{tenant}")
    app.mount("/{tenant}", inner)
    instrument_app(app)

    assert (await post(app, root_path + path, root_path=root_path)).status == 200
    assert counted(captured_metrics) == {(template, "", "success"): 1}


@pytest.mark.parametrize("path", ["/tenants/acme/nothing", "/starlette/nothing", "/v1/middle/leaf/a/b"])
async def test_what_no_route_below_a_mount_takes_makes_no_series(captured_metrics, path):
    app = nested()
    instrument_app(app)

    assert (await post(app, path)).status == 404
    assert models_of(captured_metrics) == set()


async def test_a_named_model_counts_no_request_that_no_route_takes(captured_metrics):
    app = nested()
    instrument_app(app, model="fraud")
    for path in ("/nothing", "/tenants/acme/nothing", "/starlette/nothing"):
        await post(app, path)

    assert counted(captured_metrics) == {}


async def test_a_route_that_does_not_take_post_is_no_inference(captured_metrics):
    app = FastAPI()
    app.get("/describe")(lambda: 1)
    instrument_app(app, model="fraud")

    assert (await post(app, "/describe")).status == 405
    assert counted(captured_metrics) == {}


async def test_an_application_with_a_root_path_of_its_own_keeps_its_templates(captured_metrics):
    app = FastAPI()
    app.root_path = "/behind"
    app.post("/predict/{item}")(lambda item: 1)
    instrument_app(app)
    await post(app, "/predict/a")
    await post(app, "/behind/predict/a")

    assert counted(captured_metrics) == {("/predict/{item}", "", "success"): 2}


async def test_a_mounted_application_that_is_instrumented_itself_counts_its_own(captured_metrics):
    app, inner = FastAPI(), FastAPI()
    inner.post("/predict")(lambda: 1)
    app.post("/predict")(lambda: 1)
    app.mount("/inner", inner)
    instrument_app(app, model="outer")
    instrument_app(inner, model="inner")
    await post(app, "/inner/predict")
    await post(app, "/predict")

    assert counted(captured_metrics) == {("inner", "", "success"): 1, ("outer", "", "success"): 1}


async def test_a_mounted_application_tells_the_ways_to_one_route_apart(captured_metrics):
    app, inner, router = FastAPI(), FastAPI(), APIRouter()
    router.post("/{name}/run")(lambda name: 1)
    inner.include_router(router, prefix="/v1")
    inner.include_router(router, prefix="/latest")
    app.mount("/tenants/{tenant}", inner)
    instrument_app(app)
    instrument_app(inner)
    for path in ("/tenants/acme/v1/x/run", "/tenants/acme/latest/x/run", "/tenants/acme/latest/x/run"):
        await post(app, path)

    assert counted(captured_metrics) == {
        ("/v1/{name}/run", "", "success"): 1,
        ("/latest/{name}/run", "", "success"): 2,
    }


async def test_named_routes_count_whatever_their_method_and_others_do_not(captured_metrics):
    app = service(routes=["/predict"])
    app.post("/other")(lambda: 1)
    await post(app, method="GET")
    await post(app)
    await post(app, "/other")

    assert counted(captured_metrics) == {("/predict", "", "success"): 2}


@pytest.mark.parametrize("pattern", ["/v1/*", "/v1/{name}/run", "/v1/{name:path}/run", "*/run"])
async def test_routes_are_templates_or_globs(captured_metrics, pattern):
    app = FastAPI()
    app.post("/v1/{name:path}/run")(lambda name: 1)
    app.post("/v2/{name}")(lambda name: 1)
    instrument_app(app, routes=[pattern])
    await post(app, "/v1/a/run")
    await post(app, "/v2/a")

    assert counted(captured_metrics) == {("/v1/{name}/run", "", "success"): 1}


async def test_excluded_routes_are_templates_or_globs_and_win(captured_metrics):
    app = FastAPI()
    for path in ("/v1/admin/reset", "/v1/predict", "/health"):
        app.post(path)(lambda: 1)
    instrument_app(app, routes=("/v1/*", "/health"), exclude=["/v1/admin/*"])
    for path in ("/v1/admin/reset", "/v1/predict", "/health"):
        await post(app, path)

    assert models_of(captured_metrics) == {"/v1/predict", "/health"}


async def test_a_status_set_on_the_response_counts(captured_metrics):
    app = FastAPI()

    @app.post("/predict")
    async def predict(response: Response) -> None:
        response.status_code = 504

    instrument_app(app)
    await post(app)

    assert counted(captured_metrics) == {("/predict", "", "timeout"): 1}
