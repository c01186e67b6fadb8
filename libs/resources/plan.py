"""Carries out what a pure `plan(wanted, observed)` decided; doing a plan twice must do no more than doing it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.envelope import Message
from libs.base import AlreadyExists
from libs.resources.kinds import Kind, Object
from libs.resources.reconcile import Context, Requeue, key_of

MANAGER = "millstream"


@dataclass(frozen=True)
class Ensure:
    """`obj` must be there: created if it is absent, or with `apply` brought to the fields that it states."""

    obj: Object
    apply: bool = False


@dataclass(frozen=True)
class Remove:
    """This object must go. `resource` is a cluster resource or a kind of the same store."""

    resource: Any
    namespace: str
    name: str
    propagation: str = "Background"


@dataclass(frozen=True)
class Plan:
    """What to do for one object: actions in order, then new status and events in one transaction."""

    actions: Sequence[Ensure | Remove] = ()
    status: Object | None = None
    events: Sequence[Message] = ()
    requeue_after: float | None = None
    done_finalizer: bool = False


async def carry_out(plan: Plan, obj: Object, ctx: Context) -> Requeue | None:
    """Actions first, then status and events; a crash between them repeats the actions, which then change nothing.

    The status is written only onto what was read, so that neither a concurrent write is lost nor an event said twice:
    Conflict is raised when the object changed since, and the reconciler sees it again. Nothing new is not written.
    """
    for action in plan.actions:
        await (_ensure(action, ctx) if isinstance(action, Ensure) else _remove(action, ctx))
    kind = ctx.resources.kind_of(obj)
    assert kind is not None, f"{obj.get('kind')} is no kind of this store"
    async with ctx.store.write() as uow:
        await _record(plan, obj, kind, ctx.resources.view(uow))
    return Requeue(plan.requeue_after) if plan.requeue_after is not None else None


async def _record(plan: Plan, obj: Object, kind: Kind, resources: Any) -> None:
    namespace, name = key_of(obj)
    known = obj.get("status") or {}
    status = plan.status if plan.status is not None else known
    if plan.events or status != known:
        version = obj["metadata"]["resourceVersion"]
        await resources.update_status(kind, namespace, name, status, expect_rv=version, events=plan.events)
    if plan.done_finalizer and kind.finalizer:
        await resources.remove_finalizer(kind, namespace, name, kind.finalizer)


async def _ensure(action: Ensure, ctx: Context) -> None:
    kind = ctx.resources.kind_of(action.obj)
    if kind is not None:
        await _ensure_local(action, kind, ctx)
        return
    assert ctx.cluster is not None, f"no cluster to put {action.obj.get('kind')} into"
    if action.apply:
        await ctx.cluster.apply(action.obj, manager=MANAGER)
        return
    try:
        await ctx.cluster.create(action.obj)
    except AlreadyExists:
        return


async def _ensure_local(action: Ensure, kind: Kind, ctx: Context) -> None:
    if action.apply:
        await ctx.resources.apply(kind, action.obj, manager=MANAGER, force=True)
        return
    try:
        await ctx.resources.create(kind, action.obj)
    except AlreadyExists:
        return


async def _remove(action: Remove, ctx: Context) -> None:
    if isinstance(action.resource, Kind):
        if await ctx.resources.find(action.resource, action.namespace, action.name) is not None:
            where = (action.resource, action.namespace, action.name)
            await ctx.resources.delete(*where, propagation=action.propagation)
        return
    assert ctx.cluster is not None, f"no cluster to remove {action.name} from"
    await ctx.cluster.delete(action.resource, action.namespace, action.name, propagation=action.propagation)
