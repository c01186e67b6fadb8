"""Carries out CreatePVC and DeletePVC on the cluster; doing one twice does it once."""

from __future__ import annotations

from contextlib import suppress

from libs.base.errors import AlreadyExists
from libs.cluster import Cluster
from libs.cluster.resource import PERSISTENTVOLUMECLAIM
from services.pipelines.domain.claims import CREATE, BadClaim, claim, is_made_by, is_removable, unwanted
from services.pipelines.domain.codes import ALREADY_EXISTS, INVALID_ARGUMENT, PERMISSION_DENIED
from services.pipelines.domain.engine.records import Error, Outputs
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.steps.pod import MANAGED_BY, MANAGER, RUN
from services.pipelines.domain.steps.values import StepOrder
from services.pipelines.domain.steps.workspace import claim_name


async def carry_out(cluster: Cluster, order: StepOrder) -> Succeeded | Failed:
    """Raises the cluster's ApiErrors."""
    try:
        return await (_create(cluster, order) if order.image == CREATE else _delete(cluster, order))
    except BadClaim as error:
        return Failed(Error(str(error), INVALID_ARGUMENT, "BadClaim"), final=True)


async def make_workspace(cluster: Cluster, order: StepOrder) -> None:
    """The volume that the steps of a run share is there from its first step on."""
    if not order.workspace:
        return
    meta = order.workspace["metadata"]
    if await cluster.get(PERSISTENTVOLUMECLAIM, meta["namespace"], meta["name"]) is None:
        marks = {MANAGED_BY: MANAGER, RUN: order.run_id}
        with suppress(AlreadyExists):
            await cluster.create({**order.workspace, "metadata": {**meta, "labels": marks}})


async def clear_workspace(cluster: Cluster, namespace: str, run_id: str) -> None:
    """What the run's steps shared goes; well if they shared nothing."""
    await cluster.delete(PERSISTENTVOLUMECLAIM, namespace, claim_name(run_id))


async def _create(cluster: Cluster, order: StepOrder) -> Succeeded | Failed:
    wanted = claim(order)
    name = wanted["metadata"]["name"]
    try:
        await cluster.create(wanted)
    except AlreadyExists:
        found = await cluster.get(PERSISTENTVOLUMECLAIM, order.namespace, name)
        if found is None or not is_made_by(found, order.uid):
            why = f"pvc_name: there is a claim {name!r} already; give another name, or pvc_name_suffix"
            return Failed(Error(why, ALREADY_EXISTS, "ClaimExists"), final=True)
    return Succeeded(Outputs({"name": name}))


async def _delete(cluster: Cluster, order: StepOrder) -> Succeeded | Failed:
    name = unwanted(order)
    found = await cluster.get(PERSISTENTVOLUMECLAIM, order.namespace, name)
    if found is not None and not is_removable(found):
        why = f"pvc_name: no run has made the claim {name!r}, so none may delete it; use kubectl delete pvc"
        return Failed(Error(why, PERMISSION_DENIED, "ForeignClaim"), final=True)
    await cluster.delete(PERSISTENTVOLUMECLAIM, order.namespace, name)
    return Succeeded(Outputs())
