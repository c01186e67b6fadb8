"""Why a workload waits, and what would become of one that is not submitted yet, over HTTP; it changes nothing."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError

from contracts.commands.scheduling.v1 import SubmitWorkload
from libs.base.clock import Clock
from libs.base.errors import BadRequest, Cause, Invalid
from libs.resources import Kind, Resources
from services.scheduler.domain.book import Book
from services.scheduler.domain.explain import Explanation, Forecast, Seen, explain, what_if
from services.scheduler.domain.objects import asking
from services.scheduler.domain.objects.workloads import made, memory, workload
from services.scheduler.ports import Sight

Object = dict[str, Any]
See = Callable[[], Awaitable[Sight]]
Priority = Callable[[str], Awaitable[int | None]]


def router(see: See, priority: Priority, resources: Resources, kind: Kind, clock: Clock) -> APIRouter:
    """`see` answers the present state of all queues, `priority` the value of a class; `kind` is that of Workloads."""
    routes = APIRouter(prefix="/scheduling/v1/namespaces/{namespace}", tags=["queues"])

    @routes.get("/workloads/{uid}/explanation")
    async def explanation(request: Request, namespace: str, uid: str) -> Object:
        """Of the workload whose owner has this uid: its state and place, who is before it, who would have to finish."""
        await resources.allow(request.state.user, "get", kind, namespace, "")
        book = (await see()).book
        known = book.workloads.get(uid)
        if known is not None and known.namespace != namespace:
            known, uid = None, ""
        told = explain(book, uid)
        named = (*told.ahead, *told.awaits, *told.blockers.alone, *told.blockers.together)
        seen = await seen_by(request.state.user, book, named)
        return _explained(book, explain(book, uid, seen), seen)

    @routes.post("/forecast", responses={422: {"description": "not what scheduling.workload.submit.v1 carries"}})
    async def forecast(request: Request, namespace: str) -> Object:
        """As if the body, the data of a `scheduling.workload.submit.v1`, were submitted now."""
        await resources.allow(request.state.user, "get", kind, namespace, "")
        wish = await _wish(request, namespace)
        known = await priority(wish.priority_class) if wish.priority_class else wish.priority
        now = clock.now()
        new = made(wish, uid="forecast", now=now, arrival=int(now.timestamp() * 1_000_000))
        obj = asking.asked(new, wish, known, now)
        if held := memory(obj).get("held"):
            return {"starts": False, "sentences": [f"It would wait: {held}."]}
        sight = await see()
        told = what_if(sight.book, sight.counted(workload(obj)))
        named = (*told.preempts, *told.blockers.alone, *told.blockers.together)
        seen = await seen_by(request.state.user, sight.book, named)
        return _foreseen(sight.book, what_if(sight.book, sight.counted(workload(obj)), seen), seen)

    async def seen_by(user: Any, book: Book, named: Iterable[str]) -> Seen:
        """Which of the namespaces of those named the user may look into: a queue is shared by teams."""
        places = {book.workloads[uid].namespace for uid in named if uid in book.workloads}
        may = {place for place in sorted(places) if await resources.may(user, "list", kind, place)}
        return may.__contains__

    return routes


async def _wish(request: Request, namespace: str) -> SubmitWorkload:
    try:
        wish = SubmitWorkload.read(await request.json())
    except ValidationError as error:
        causes = [Cause(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        raise Invalid(causes=causes) from error
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if wish.namespace != namespace:
        raise BadRequest(f"namespace: {wish.namespace!r} is not that of the path, {namespace!r}")
    return wish


def _explained(book: Book, told: Explanation, seen: Seen) -> Object:
    found = asdict(told)
    for field in ("ahead", "awaits"):
        found[field] = _who(book, found[field], seen)
    return {**found, "blockers": _blockers(book, found["blockers"], seen)}


def _foreseen(book: Book, told: Forecast, seen: Seen) -> Object:
    found = asdict(told)
    return {
        **found,
        "preempts": _who(book, told.preempts, seen),
        "blockers": _blockers(book, found["blockers"], seen),
    }


def _blockers(book: Book, found: Object, seen: Seen) -> Object:
    return {how: _who(book, uids, seen) for how, uids in found.items()}


def _who(book: Book, uids: Iterable[str], seen: Seen) -> list[Object]:
    known = (book.workloads[uid] for uid in uids if uid in book.workloads)
    return [
        {"kind": one.kind, "namespace": one.namespace, "name": one.name, "uid": one.uid}
        for one in known
        if seen(one.namespace)
    ]
