"""Puts a service's HTTP together: kinds, own routes, identity, limits, probes; every error is a Status object."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from libs.base.errors import ApiError, BadRequest, Cause, Internal, Invalid, MethodNotAllowed, NotFound
from libs.service.app import App, Ports
from libs.service.asgi import ASGIApp
from libs.service.identity import IdentityMiddleware, Verifier
from libs.service.limits import BodyLimit, Drain
from libs.service.measured import Measured
from libs.service.measures import measures_of
from libs.service.probes import Check, Probes

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)


def build(
    app: App, ports: Ports, verifier: Verifier | None, needed: Mapping[str, Check], wished: Mapping[str, Check]
) -> tuple[ASGIApp, Drain]:
    """The service's ASGI app, outermost layer first: probes, drain, body limit, identity, routes."""
    inner = IdentityMiddleware(
        _routes(app, ports),
        verifier,
        open_routes=app.manifest.open_routes,
        also=app.authenticators(ports),
        front=ports.front.user_of if ports.front else None,
    )
    drain = Drain(BodyLimit(inner, app.max_body_bytes))
    measures = {**measures_of(ports, hears_or_says="bus" in wished), **app.measures(ports)}
    measured = Measured(drain, ports.clock, trace=bool(ports.settings.otlp_endpoint))
    return Probes(measured, needed, wished, measures), drain


def _routes(app: App, ports: Ports) -> FastAPI:
    from fastapi import FastAPI

    routers = list(app.routers(ports))
    document = f"/openapi/{app.manifest.name}.json" if routers else None
    fast = FastAPI(
        title=app.manifest.name,
        openapi_url=document,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Spans are made by Measured: one a request, named by kind, and none for a watch that lasts for hours.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for kind, handler in _handlers().items():
        fast.add_exception_handler(kind, handler)
    for router in routers:
        fast.include_router(router)
    if app.kinds:
        from libs.resources.http import routes

        fast.router.routes.extend(routes(ports.resources, app.kinds, extra_subresources=app.subresources(ports)).routes)
    return fast


def _handlers() -> dict[Any, Any]:
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    async def api_error(request: Request, error: ApiError) -> Response:
        return _answer(error)

    async def http_error(request: Request, error: HTTPException) -> Response:
        return _answer(_plain(request.method, request.url.path, error.status_code, str(error.detail)), error.headers)

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _answer(_invalid(error.errors()))

    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(Internal("the service failed to answer; its log says why"))

    return {ApiError: api_error, HTTPException: http_error, RequestValidationError: invalid, Exception: unforeseen}


def _answer(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(error.status(), error.code, headers=dict(headers or {}))


def _plain(method: str, path: str, code: int, detail: str) -> ApiError:
    if code == 404:
        return NotFound(f"the server could not find the requested resource: {path}")
    if code == 405:
        return MethodNotAllowed(f"{method} is not supported on {path}")
    error = ApiError(detail)
    error.code, error.reason = code, HTTPStatus(code).phrase.replace(" ", "")
    return error


def _invalid(found: Sequence[Mapping[str, Any]]) -> ApiError:
    """422 naming each field; a body that is no JSON at all is a 400."""
    if any(each["type"] == "json_invalid" for each in found):
        return BadRequest(f"the body is not JSON: {found[0].get('ctx', {}).get('error', found[0]['msg'])}")
    causes = [Cause(".".join(str(part) for part in each["loc"][1:]), str(each["msg"])) for each in found]
    return Invalid(causes=causes)
