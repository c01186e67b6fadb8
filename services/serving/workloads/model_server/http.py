"""The REST face: V1, V2 and metrics on one Starlette application; every refusal is `{"error": sentence}` with a 4xx."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, TypeVar

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from services.serving.workloads.model_server import v1, v2
from services.serving.workloads.model_server.engine import EXTENSIONS, Engine
from services.serving.workloads.model_server.errors import RequestError

T = TypeVar("T")
Answer = Callable[[Engine, Request], Awaitable[Response]]
HEADER_LENGTH = "inference-header-content-length"
LARGE_BYTES = 1 << 18
"""From here on a body is parsed in a thread, so that probes and small requests do not wait for it."""


def reply(body: Any, code: int = 200) -> Response:
    return Response(orjson.dumps(body), code, media_type="application/json")


async def read_body(request: Request, limit: int) -> bytes:
    """The body, inflated if it is compressed; never more than `limit` bytes are held (413)."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise RequestError(f"the body is larger than {limit} bytes", 413)
        chunks.append(chunk)
    return inflate(b"".join(chunks), request.headers.get("content-encoding", "identity").strip().lower(), limit)


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise RequestError(f"content-encoding {encoding} is not supported, use gzip or deflate", 415)
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: detect the gzip or zlib header
    try:
        data = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(f"the body is not valid {encoding} data") from error
    if len(data) > limit:
        raise RequestError(f"the body is larger than {limit} bytes", 413)
    if not inflater.eof:
        raise RequestError(f"the {encoding} body is cut off")
    return data


async def alive(engine: Engine, request: Request) -> Response:
    return reply({"status": "alive"})


async def v1_models(engine: Engine, request: Request) -> Response:
    return reply({"models": [engine.name]})


async def v1_model(engine: Engine, request: Request) -> Response:
    engine.find(request.path_params["name"])
    return reply({"name": engine.name, "ready": True})


async def v1_predict(engine: Engine, request: Request) -> Response:
    name = request.path_params["name"]
    model = engine.find(name)
    body = await read_body(request, request.app.state.max_body_bytes)
    inputs, datatypes = await _aside(len(body), v1.parse, model, body)
    return reply(v1.render(await engine.infer(name, "", inputs, datatypes, ())))


async def v1_explain(engine: Engine, request: Request) -> Response:
    engine.find(request.path_params["name"])
    raise RequestError(f"Model {engine.name} has no explainer.", 404)


async def v2_server(engine: Engine, request: Request) -> Response:
    return reply({"name": "millstream", "version": "0.1.0", "extensions": EXTENSIONS})


async def v2_live(engine: Engine, request: Request) -> Response:
    return reply({"live": True})


async def v2_ready(engine: Engine, request: Request) -> Response:
    return reply({"ready": engine.ready}, 200 if engine.ready else 503)


async def v2_models(engine: Engine, request: Request) -> Response:
    return reply({"models": [engine.name]})


async def v2_model(engine: Engine, request: Request) -> Response:
    return reply(engine.metadata(request.path_params["name"], request.path_params.get("version", "")))


async def v2_model_ready(engine: Engine, request: Request) -> Response:
    engine.find(request.path_params["name"], request.path_params.get("version", ""))
    return reply({"name": engine.name, "ready": True})


async def v2_infer(engine: Engine, request: Request) -> Response:
    name, version = request.path_params["name"], request.path_params.get("version", "")
    engine.find(name, version)
    body = await read_body(request, request.app.state.max_body_bytes)
    infer = await _aside(len(body), v2.parse, body, _header_length(request))
    results = await engine.infer(name, version, infer.inputs, infer.datatypes, infer.wanted)
    rendered, head = v2.render(name, engine.version, infer, results)
    if head is None:
        return Response(rendered, media_type="application/json")
    headers = {"Inference-Header-Content-Length": str(head)}
    return Response(rendered, media_type="application/octet-stream", headers=headers)


async def _aside(size: int, work: Callable[..., T], *args: Any) -> T:
    return await asyncio.to_thread(work, *args) if size > LARGE_BYTES else work(*args)


def _header_length(request: Request) -> int | None:
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise RequestError(f"Inference-Header-Content-Length must be a whole number, got {text[:40]!r}")
    return int(text)


async def repository_load(engine: Engine, request: Request) -> Response:
    engine.find(request.path_params["name"])
    return reply({"name": engine.name, "load": True})


async def repository_unload(engine: Engine, request: Request) -> Response:
    engine.find(request.path_params["name"])
    raise RequestError(f"Model {engine.name} lives as long as its server: delete the InferenceService instead.")


async def metrics(engine: Engine, request: Request) -> Response:
    return Response(engine.metrics.text(ready=engine.ready), media_type="text/plain; version=0.0.4")


ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/", alive),
    ("GET", "/v1/models", v1_models),
    ("GET", "/v1/models/{name}", v1_model),
    ("POST", "/v1/models/{name}:predict", v1_predict),
    ("POST", "/v1/models/{name}:explain", v1_explain),
    ("GET", "/v2", v2_server),
    ("GET", "/v2/health/live", v2_live),
    ("GET", "/v2/health/ready", v2_ready),
    ("GET", "/v2/models", v2_models),
    ("GET", "/v2/models/{name}", v2_model),
    ("GET", "/v2/models/{name}/versions/{version}", v2_model),
    ("GET", "/v2/models/{name}/ready", v2_model_ready),
    ("GET", "/v2/models/{name}/versions/{version}/ready", v2_model_ready),
    ("POST", "/v2/models/{name}/infer", v2_infer),
    ("POST", "/v2/models/{name}/versions/{version}/infer", v2_infer),
    ("POST", "/v2/repository/models/{name}/load", repository_load),
    ("POST", "/v2/repository/models/{name}/unload", repository_unload),
    ("GET", "/metrics", metrics),
)


def application(engine: Engine, max_body_bytes: int) -> Starlette:
    async def not_found(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 500
        words = {404: f"no route {request.url.path}", 405: f"{request.method} is not allowed here"}
        return reply({"error": words.get(code, str(getattr(error, "detail", error)))}, code)

    routes = [Route(path, _endpoint(engine, path, answer), methods=[method]) for method, path, answer in ROUTES]
    app = Starlette(routes=routes, exception_handlers={HTTPException: not_found})
    app.state.max_body_bytes = max_body_bytes
    return app


def _endpoint(engine: Engine, path: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    protocol = "v1" if path.startswith("/v1") else "v2"

    async def endpoint(request: Request) -> Response:
        begin = perf_counter()
        try:
            response = await answer(engine, request)
        except RequestError as error:
            response = reply({"error": error.message}, error.code)
        except ClientDisconnect:
            response = reply({"error": "the caller went away"}, 400)
        if engine.draining:
            # The caller's proxy must not keep a connection that is about to be closed.
            response.headers["connection"] = "close"
        engine.metrics.answered(protocol, path, str(response.status_code), perf_counter() - begin)
        return response

    return endpoint
