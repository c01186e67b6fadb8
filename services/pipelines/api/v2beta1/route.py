"""One form for all routes of KFP's API: who asks, pages, and refusals as gRPC's gateway words them.

The codes are gRPC's (google.rpc.Code), the details google.rpc.BadRequest where single fields are at fault.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from libs.base.errors import AlreadyExists, ApiError, Cause, Conflict, Internal, Invalid, error_from_status
from services.pipelines.domain.catalog.keys import Keys, types
from services.pipelines.domain.catalog.paging import Page, page
from services.pipelines.domain.codes import (
    ALREADY_EXISTS,
    FAILED_PRECONDITION,
    INTERNAL,
    INVALID_ARGUMENT,
    NOT_FOUND,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
)

log = logging.getLogger(__name__)

PREFIX = "/apis/v2beta1"
_GRPC = {
    **dict.fromkeys((400, 413, 415, 422), INVALID_ARGUMENT), **dict.fromkeys((405, 501), UNIMPLEMENTED),
    401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 404: NOT_FOUND, 409: FAILED_PRECONDITION, 429: RESOURCE_EXHAUSTED,
    503: UNAVAILABLE,
}  # fmt: skip
_HTTP = {422: 400}
"""What KFP answers otherwise than HTTP would have it."""


def refusal(error: ApiError) -> Response:
    """`{"error", "code", "message", "details"}`."""
    code = ALREADY_EXISTS if isinstance(error, AlreadyExists) else _GRPC.get(error.code, INTERNAL)
    status = 400 if isinstance(error, Conflict) else _HTTP.get(error.code, error.code)
    violations = [{"field": cause.field, "description": cause.message} for cause in error.causes if cause.field]
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "field_violations": violations}]
    body = {"error": error.message, "code": code, "message": error.message, "details": details if violations else []}
    return JSONResponse(body, status)


def _invalid(error: RequestValidationError) -> ApiError:
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return Invalid(f"the body is not JSON: {found[0].get('ctx', {}).get('error', found[0]['msg'])}")
    named = (".".join(str(part) for part in each["loc"][1:] or each["loc"]) for each in found)
    causes = [Cause(name, str(each["msg"])) for name, each in zip(named, found, strict=True)]
    return Invalid(causes=causes)


class Route(APIRoute):
    """Refusals in KFP's own form, whoever finds the fault."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ApiError as error:
                return refusal(error)
            except RequestValidationError as error:
                return refusal(_invalid(error))
            except HTTPException as error:
                return refusal(error_from_status({"code": error.status_code, "message": str(error.detail)}))
            except Exception:
                log.exception("%s %s failed", request.method, request.url.path)
                return refusal(Internal("the service failed to answer; its log says why"))

        return answer


async def told(body: Any) -> Response:
    """An answer that may be large, such as a run of ten thousand tasks: others are answered while it is written."""
    text = await asyncio.to_thread(json.dumps, body, separators=(",", ":"))
    return Response(text, media_type="application/json")


def router() -> APIRouter:
    return APIRouter(prefix=PREFIX, route_class=Route, tags=["pipelines"])


def _user(request: Request) -> Any:
    return request.state.user


User = Annotated[Any, Depends(_user)]
Token = Annotated[str, Query(max_length=8192)]
Named = Annotated[str, Query(max_length=253)]


def paging(keys: Keys) -> Any:
    """The parameters that all lists take; `keys` are what this one can be sorted and filtered by."""
    known = types(keys)

    def asked(
        page_size: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
        page_token: Token = "",
        sort_by: Named = "",
        filter: Annotated[str, Query(max_length=70_000)] = "",
    ) -> Page:
        return page(page_size, page_token, sort_by, filter, known)

    return Depends(asked)
