"""The trainer's one route beyond its kinds: a running job reports its progress, proving itself with its own token."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request

from libs.base.clock import Clock
from libs.base.errors import Conflict, Unauthorized
from libs.resources import Kind, Resources
from libs.store import Store, UnitOfWork
from services.trainer.domain.progress import Report, reported
from services.trainer.domain.state import is_finished
from services.trainer.domain.tokens import is_token

Key = Callable[[], Awaitable[bytes]]


Keep = Callable[[UnitOfWork, str, dict[str, Any], dict[str, Any]], Awaitable[None]]


def router(store: Store, resources: Resources, kind: Kind, key: Key, clock: Clock, keep: Keep) -> APIRouter:
    """`key` answers the trainer's secret. Every accepted report is one write; a client sends one a second at most.
    `keep` takes the job and its new status into the archive, in the same transaction."""
    routes = APIRouter(prefix="/training/v1", tags=["progress"])

    @routes.post(
        "/namespaces/{namespace}/trainjobs/{name}/status",
        responses={401: {"description": "no token of this job"}, 409: {"description": "the job is over"}},
    )
    async def report_progress(namespace: str, name: str, report: Report, request: Request) -> dict[str, str]:
        given, secret = _bearer(request), await key()
        async with store.write() as uow:
            job = await uow.get(kind.resource, namespace, name)
            if job is None or not is_token(secret, job["metadata"]["uid"], given):
                raise Unauthorized("this token is not that of a running job of this name")
            if is_finished(job) or job["metadata"].get("deletionTimestamp"):
                raise Conflict.about(kind.resource, name, "the job is over")
            status = reported(job.get("status") or {}, report, clock.now())
            await resources.view(uow).update_status(kind, namespace, name, status)
            if status != job.get("status"):
                await keep(uow, kind.resource, job, status)
        return {"status": "ok"}

    return routes


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("send the job's token as 'Authorization: Bearer ...'")
    return token.strip()
