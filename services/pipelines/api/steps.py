"""The step door: what a step's pod asks of the service and tells it, proving itself with its attempt's own token.

A pod never sees a key of the bucket: it gets URLs, each good for one object and for an hour.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from libs.base.errors import BadRequest, Gone, Unauthorized
from services.pipelines.domain.steps.tokens import is_token
from services.pipelines.domain.steps.values import StepOrder, StepResult
from services.pipelines.ports import StepDesk, StepFiles

Key = Callable[[], Awaitable[bytes]]
DOOR = "/pipelines/v1/steps"
RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"description": "no token of this attempt"},
    410: {"description": "this attempt does not count, or not any more"},
}


Uri = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Uploads(BaseModel):
    """URIs that the attempt wants to store, all below its own root."""

    uris: list[Uri] = Field(max_length=10_000)


class Parts(BaseModel):
    """Of a large object: its next parts are wanted, from number `first` on."""

    uri: Uri
    size: int
    upload: str = ""
    first: int = 1


class Whole(BaseModel):
    """All parts of a large object have come; `etags` name them in order."""

    uri: Uri
    upload: str
    etags: list[str] = Field(min_length=1, max_length=10_000)


class Making(BaseModel):
    """`made`: the environment is there and wants a place in the bucket; `stored`: it lies there now."""

    made: bool = False
    stored: bool = False


def router(desk: StepDesk, files: StepFiles, key: Key) -> APIRouter:
    """`key` answers the service's secret."""
    routes = APIRouter(prefix=f"{DOOR}/{{namespace}}/{{uid}}/{{attempt}}", tags=["steps"])

    async def entered(request: Request, namespace: str, uid: str, attempt: int) -> None:
        if not is_token(await key(), namespace, uid, attempt, _bearer(request)):
            raise Unauthorized("this token is not that of this attempt of this step")

    async def ordered(request: Request, namespace: str, uid: str, attempt: int) -> StepOrder:
        await entered(request, namespace, uid, attempt)
        order = await desk.order_of(uid, attempt)
        if order is None or order.namespace != namespace:
            raise Gone("this attempt does not count, or not any more; end")
        return order

    @routes.get("/order", responses=RESPONSES)
    async def order(request: Request, namespace: str, uid: str, attempt: int) -> dict[str, Any]:
        return await files.told(await ordered(request, namespace, uid, attempt))

    @routes.post("/uploads", responses=RESPONSES)
    async def uploads(request: Request, namespace: str, uid: str, attempt: int, asked: Uploads) -> dict[str, Any]:
        return {"urls": files.uploads(await ordered(request, namespace, uid, attempt), asked.uris)}

    @routes.post("/parts", responses=RESPONSES)
    async def parts(request: Request, namespace: str, uid: str, attempt: int, asked: Parts) -> dict[str, Any]:
        wanted = await ordered(request, namespace, uid, attempt)
        return await files.parts(wanted, asked.uri, asked.size, asked.upload, asked.first)

    @routes.post("/whole", responses=RESPONSES)
    async def whole(request: Request, namespace: str, uid: str, attempt: int, told: Whole) -> dict[str, Any]:
        await files.whole(await ordered(request, namespace, uid, attempt), told.uri, told.upload, told.etags)
        return {}

    @routes.post("/environments/{name}", responses=RESPONSES)
    async def environment(
        request: Request, namespace: str, uid: str, attempt: int, name: str, told: Making
    ) -> dict[str, Any]:
        wanted = await ordered(request, namespace, uid, attempt)
        return await files.environment(wanted, name, made=told.made, stored=told.stored)

    @routes.post("/result", responses=RESPONSES)
    async def result(request: Request, namespace: str, uid: str, attempt: int, told: dict[str, Any]) -> dict[str, bool]:
        await entered(request, namespace, uid, attempt)
        try:
            read = StepResult.from_json(told)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadRequest(f"this is no result of a step: {error!r}") from None
        return {"accepted": await desk.report(namespace, uid, attempt, read)}

    return routes


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("send the attempt's token as 'Authorization: Bearer ...'")
    return token.strip()
