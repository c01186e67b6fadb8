"""Drives the plan of one InferenceService: observe, resolve, decide, carry out; takes all of it down at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from contracts.admission import assignment, is_admitted
from contracts.kinds.inferenceservice import predictor_model
from libs.base import ApiError, BadRequest, Invalid, NotFound
from libs.cluster import DEPLOYMENT, HTTPROUTE, POD, SERVICE, Resource
from libs.cluster.obstacles import pod_obstacle, refusal
from libs.cluster.telling import events_about
from libs.resources.kinds import Kind
from libs.resources.plan import Ensure, Plan, Remove, carry_out
from libs.resources.reconcile import Context, Key, Owned, Requeue, by_label
from services.serving.domain import canary, seats
from services.serving.domain.failures import Failure, read_container
from services.serving.domain.predictor import KnownVersion, Predictor, predictor, registry_name
from services.serving.domain.queued import PODS, Gate, gate, gives_back, queue_of
from services.serving.domain.starting import is_leaving, obstacle, present, unexplained
from services.serving.domain.status import Observed
from services.serving.domain.workloads import CONTAINER, ISVC_LABEL, REVISION_LABEL, Surroundings, template_of
from services.serving.reconcile.kind import INFERENCESERVICE
from services.serving.reconcile.plan import Decision, names_of, plan, plan_hindered, plan_refused, plan_unknown_version

Object = dict[str, Any]
Lookup = Callable[[str, str | None], Awaitable[KnownVersion | None]]
"""(model, version or None for the newest) -> what the registry announced."""
RESOURCES = (DEPLOYMENT, SERVICE, HTTPROUTE)
REGISTRY_POLL_S = 2.0
LOOK_FOR_PODS_S = 10.0
"""How often pods that do not come are looked for: what is wrong with them may be told by Events alone."""
GONE_POLL_S = 1.0
REFUSED_POLL_S = 10.0


@dataclass(frozen=True)
class Predictors:
    """The reconciler of InferenceServices. It asks for no HTTPRoutes where there are to be none: the cluster may not
    know the kind."""

    lookup: Lookup
    around: Surroundings
    resources: tuple[Resource, ...] = RESOURCES
    kind: Kind = INFERENCESERVICE

    @classmethod
    def of(cls, lookup: Lookup, around: Surroundings) -> Predictors:
        return cls(lookup, around, RESOURCES if around.has_routes else (DEPLOYMENT, SERVICE))

    @property
    def owned(self) -> tuple[Owned, ...]:
        return tuple(Owned(r, by_label(ISVC_LABEL), ISVC_LABEL) for r in (*self.resources, POD))

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        isvc = await ctx.resources.find(self.kind, key.namespace, key.name)
        if isvc is None:
            return None
        if isvc["metadata"].get("deletionTimestamp"):
            return await carry_out(await self._removal(isvc, ctx), isvc, ctx)
        decision, follow = await self._decide(isvc, ctx)
        # Routes come last and status after all: a status never tells of what was not yet asked for.
        actions: list[Ensure | Remove] = [Ensure(made, apply=True) for made in decision.ensure]
        if decision.second_left:
            actions += await self._second(isvc, ctx)
        later = REGISTRY_POLL_S if follow else None if _is_ready(decision) else LOOK_FOR_PODS_S
        try:
            await self._seat(isvc, ctx)
            return await carry_out(Plan(actions, decision.status, decision.events, later), isvc, ctx)
        except ApiError as error:
            if (decision := _refused(isvc, error, ctx)) is None:
                raise
        return await carry_out(Plan((), decision.status, decision.events, REFUSED_POLL_S), isvc, ctx)

    async def _removal(self, isvc: Object, ctx: Context) -> Plan:
        """Remove what is left; the finalizer goes when the last pod is gone."""
        assert ctx.cluster is not None
        namespace, name = names_of(isvc)
        # The route first: no request should be sent to pods that are about to end.
        left = [
            Remove(r, namespace, name) for r in reversed(self.resources) if await ctx.cluster.get(r, namespace, name)
        ]
        left += await self._second(isvc, ctx)
        pods = await self._pods(isvc, ctx)
        if not left and not pods:
            return Plan(done_finalizer=True)
        lost = next((found for pod in pods if (found := pod_obstacle(pod, ctx.clock.now())) and is_leaving(pod)), None)
        status = plan_hindered(isvc, lost, ctx.clock.now()).status if lost else None
        return Plan(left, status, requeue_after=GONE_POLL_S)

    async def _second(self, isvc: Object, ctx: Context) -> list[Remove]:
        """What is left of a second revision, to be removed."""
        assert ctx.cluster is not None
        namespace, name = isvc["metadata"]["namespace"], canary.canary_name(isvc["metadata"]["name"])
        return [Remove(r, namespace, name) for r in (SERVICE, DEPLOYMENT) if await ctx.cluster.get(r, namespace, name)]

    async def _decide(self, isvc: Object, ctx: Context) -> tuple[Decision, bool]:
        """The decision, and whether to look again soon because the registry may say something new."""
        uri = predictor_model(isvc["spec"])["storageUri"]
        named, known = registry_name(uri), None
        if named is not None:
            known = await self.lookup(*named)
            if known is None:
                why = f"{uri}: the registry has not announced such a version"
                return plan_unknown_version(isvc, why, ctx.clock.now()), True
        wanted = predictor(isvc["spec"], known)
        observed = await observe(isvc, ctx, self.resources)
        if canary.asked_percent(isvc) < canary.WHOLE and not self.around.has_routes:
            why = "canaryTrafficPercent needs HTTPRoutes, which this cluster has not; remove it"
            return plan_refused(isvc, "CanaryNotPossible", why, ctx.clock.now()), False
        gate = await self._gate(isvc, wanted, ctx)
        return plan(isvc, wanted, observed, self.around, ctx.clock.now(), gate), bool(named and named[1] is None)

    async def _gate(self, isvc: Object, wanted: Predictor, ctx: Context) -> Gate | None:
        """What the scheduler has to say to a service that names a queue."""
        if queue_of(isvc) is None:
            return None
        pods = len(await self._pods(isvc, ctx)) if gives_back(isvc, wanted) else 0
        return gate(isvc, wanted, template_of(isvc, wanted, self.around), ctx.clock.now(), pods=pods)

    async def _seat(self, isvc: Object, ctx: Context) -> None:
        """Pods that wait to be told their place are told; one that is gone meanwhile needs none."""
        assert ctx.cluster is not None
        given = assignment(isvc, PODS) if is_admitted(isvc) else None
        if given is None or len(given.topology) < 2:
            return
        for name, patch in seats.patches(given, await self._pods(isvc, ctx)):
            with suppress(NotFound):
                await ctx.cluster.patch(POD, isvc["metadata"]["namespace"], name, patch)

    async def _pods(self, isvc: Object, ctx: Context) -> list[Object]:
        assert ctx.cluster is not None
        metadata = isvc["metadata"]
        labels = f"{ISVC_LABEL}={metadata['name']}"
        return list(await ctx.cluster.list(POD, metadata["namespace"], labels=labels))


async def observe(isvc: Object, ctx: Context, resources: Sequence[Resource] = RESOURCES) -> Observed:
    assert ctx.cluster is not None
    namespace, name = names_of(isvc)
    labels, beside = f"{ISVC_LABEL}={isvc['metadata']['name']}", canary.canary_name(isvc["metadata"]["name"])
    route = ctx.cluster.get(HTTPROUTE, namespace, name) if HTTPROUTE in resources else _none()
    lists = (ctx.cluster.list(resource, namespace, labels=labels) for resource in (DEPLOYMENT, SERVICE))
    deployments, services, found = await asyncio.gather(*lists, route)
    stable, second = ({obj["metadata"]["name"]: obj for obj in each} for each in (deployments, services))
    seen = Observed(stable.get(name), second.get(name), found, stable.get(beside), second.get(beside))
    return await _looked_into(isvc, seen, ctx) if seen.deployment else seen


async def _none() -> None:
    """For the route where there are none."""


async def _looked_into(isvc: Object, seen: Observed, ctx: Context) -> Observed:
    """With what went wrong in pods of the newest revision, or keeps them from running, if something does."""
    newest = canary.newest(isvc, seen)
    assert ctx.cluster is not None and newest is not None
    metadata, now = isvc["metadata"], ctx.clock.now()
    revision = newest["spec"]["template"]["metadata"]["labels"].get(REVISION_LABEL)
    labels = f"{ISVC_LABEL}={metadata['name']},{REVISION_LABEL}={revision}"
    pods = present(await ctx.cluster.list(POD, metadata["namespace"], labels=labels))
    if failure := await _failure(pods, ctx):
        return replace(seen, failure=failure)
    events = await events_about(ctx.cluster, metadata["namespace"], unexplained(pods, now))
    return replace(seen, obstacle=obstacle(newest, pods, events, now))


async def _failure(pods: Sequence[Object], ctx: Context) -> Failure | None:
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            found = read_container(pod["metadata"]["name"], status)
            if found is not None:
                return await _explained(pod, status, ctx) if found.exit_code is not None else found
    return None


async def _explained(pod: Object, status: Object, ctx: Context) -> Failure | None:
    """The same failure with the container's last lines, where a node kept them."""
    assert ctx.cluster is not None
    metadata = pod["metadata"]
    previous = not (status.get("state") or {}).get("terminated")
    tail = []
    try:
        async for line in ctx.cluster.logs(
            metadata["namespace"], metadata["name"], container=CONTAINER, tail=20, previous=previous
        ):
            tail.append(line)
    except ApiError:
        tail.clear()
    return read_container(metadata["name"], status, "\n".join(tail))


def _refused(isvc: Object, error: ApiError, ctx: Context) -> Decision | None:
    """None for troubles of the cluster itself: those are nobody's refusal, and all is tried again."""
    now = ctx.clock.now()
    if told := refusal(error):
        return plan_hindered(isvc, told, now)
    is_final = isinstance(error, (BadRequest, Invalid, NotFound))
    return plan_refused(isvc, "WorkloadsRefused", error.message, now) if is_final else None


def _is_ready(decision: Decision) -> bool:
    return any(c["type"] == "PredictorReady" and c["status"] == "True" for c in decision.status["conditions"])
