"""A trigger lends nobody a right: neither what its writer may not write into a job, nor what an event brings along."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.kinds.trigger import GROUP, VERSION
from libs.base import SystemClock, SystemIds
from libs.base.errors import Forbidden
from libs.resources import Resources
from libs.store import Store
from services.scheduler.domain.triggers.making import Cause, Refused, manifest
from services.scheduler.reconcile.triggerkind import TRIGGER
from services.serving.reconcile.kind import INFERENCESERVICE

KEY = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "of-somebody", "key": "k"}}}
PAID: dict[str, Any] = {"type": "shop.order.paid.v1"}


def template(**spec: Any) -> dict[str, Any]:
    wish = {"runtimeRef": {"name": "torch-distributed"}, **spec}
    return {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "spec": wish}


def trigger(made: dict[str, Any], event: dict[str, Any] = PAID) -> dict[str, Any]:
    meta = {"name": "nightly", "namespace": "team"}
    about = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Trigger", "metadata": meta}
    return {**about, "spec": {"event": event, "template": made}}


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    async def may(user: Any, verb: str, kind: Any, namespace: str, name: str, part: str) -> bool:
        return kind.plural not in {"writer": ("pods",), "editor": ("pods", "trainjobs")}.get(user, ())

    clock, ids = SystemClock(), SystemIds()
    store = await Store.open(f"sqlite:///{tmp_path}/t.db", clock=clock, ids=ids)
    yield Resources(store, [TRIGGER, INFERENCESERVICE], clock=clock, ids=ids, source="a/b", authorize=may)
    await store.close()


REACHING = {
    "a Secret as a variable": {"trainer": {"env": [KEY]}},
    "a Secret for the initializer": {
        "initializer": {"dataset": {"storageUri": "s3://b/x", "secretRef": {"name": "of-somebody"}}}
    },
    "somebody's volume": {"initializer": {"model": {"storageUri": "pvc://of-somebody/x"}}},
}


@pytest.mark.parametrize("spec", REACHING.values(), ids=REACHING)
async def test_what_its_writer_may_not_give_a_job_no_trigger_gives_it(
    resources: Resources, spec: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden, match='cannot create resource "pods"'):
        await resources.create(TRIGGER, trigger(template(**spec)), user="writer")
    assert await resources.create(TRIGGER, trigger(template(**spec)), user="owner")


async def test_who_may_change_triggers_but_make_no_jobs_cannot_choose_what_fills_them(resources: Resources) -> None:
    made = await resources.create(TRIGGER, trigger(template(trainer={"image": "${event.data.image}"})), user="writer")
    with pytest.raises(Forbidden, match="trainjobs"):
        await resources.patch(
            TRIGGER, "team", "nightly", {"spec": {"event": {"type": "mine.own.said.v1"}}}, user="editor"
        )
    assert await resources.patch(TRIGGER, "team", "nightly", {"spec": {"suspend": True}}, user="editor")
    assert made["spec"]["event"] == PAID


@pytest.mark.parametrize(
    ("made", "data"),
    [
        (template(trainer={"env": "${event.data.env}"}), {"env": [KEY]}),
        (template(initializer={"model": {"storageUri": "${event.data.uri}"}}), {"uri": "pvc://of-somebody/x"}),
        ({**template(), "spec": "${event.data}"}, {"runtimeRef": {"name": "x"}, "runtimePatches": [{"manager": "m"}]}),
    ],
    ids=["a Secret", "a volume", "all"],
)
async def test_no_event_brings_along_what_reaches_beyond_the_pods(resources: Resources, made: Any, data: Any) -> None:
    stored = await resources.create(TRIGGER, trigger(made), user="writer")
    with pytest.raises(Refused, match="came with the event"):
        manifest(stored, Cause("k", event={**PAID, "data": data}))


async def test_a_service_with_an_account_takes_the_right_to_create_pods(resources: Resources) -> None:
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://b/x"}
    wish: dict[str, Any] = {
        "apiVersion": INFERENCESERVICE.api_version,
        "kind": "InferenceService",
        "metadata": {"name": "digits", "namespace": "team"},
        "spec": {"predictor": {"model": model}},
    }
    assert await resources.create(INFERENCESERVICE, wish, user="writer")
    for more in (
        {"serviceAccountName": "admin"},
        {"model": {**model, "env": [KEY]}},
        {"model": {"storageUri": "pvc://x/y"}},
    ):
        with pytest.raises(Forbidden, match='cannot create resource "pods"'):
            await resources.patch(INFERENCESERVICE, "team", "digits", {"spec": {"predictor": more}}, user="writer")
