"""Whoever may write jobs cannot borrow the trainer's right to create pods: real store and rules, rights on paper."""

from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from libs.base import SystemClock, SystemIds
from libs.base.errors import Forbidden, Invalid
from libs.resources import Resources
from libs.store import Store
from services.trainer.adapters.kinds import TRAINJOB, runtime_kinds
from services.trainer.domain.rights import of_job, reaching
from services.trainer.plugins.torch import Torch
from tests.services.trainer.builders import RUNTIME, job

OWN, SHARED = runtime_kinds([Torch()])
CREATOR, WRITER = "may-create-pods", "may-write-jobs"


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    async def may(user: Any, verb: str, kind: Any, namespace: str, name: str, part: str) -> bool:
        return kind.plural != "pods" or (user == CREATOR and namespace == "team")

    clock, ids = SystemClock(), SystemIds()
    store = await Store.open(f"sqlite:///{tmp_path}/t.db", clock=clock, ids=ids)
    yield Resources(store, [TRAINJOB, OWN, SHARED], clock=clock, ids=ids, source="a/b", authorize=may)
    await store.close()


def _patched(**pod: Any) -> dict[str, Any]:
    """A job whose patch changes the pods of its nodes."""
    patch = {"name": "node", "template": {"spec": {"template": {"spec": pod}}}}
    body = {"manager": "m", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [patch]}}}}
    sent = job(spec={"runtimePatches": [body]})
    meta = {key: sent["metadata"][key] for key in ("name", "namespace")}
    return {"apiVersion": sent["apiVersion"], "kind": sent["kind"], "metadata": meta, "spec": sent["spec"]}


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param({"serviceAccountName": "admin"}, id="another account"),
        pytest.param({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, id="the machine's files"),
        pytest.param({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, id="a Secret as files"),
        pytest.param({"imagePullSecrets": [{"name": "s"}]}, id="a pull secret"),
        pytest.param(
            {
                "containers": [
                    {"name": "node", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
                ]
            },
            id="a Secret as a variable",
        ),
    ],
)
async def test_what_reaches_beyond_the_pod_takes_the_right_to_create_pods(resources: Resources, pod: dict[str, Any]):
    with pytest.raises(Forbidden, match=r'spec\.runtimePatches\[0\].* cannot create resource "pods" in the namespace'):
        await resources.create(TRAINJOB, _patched(**pod), user=WRITER)
    assert await resources.find(TRAINJOB, "team", "digits") is None
    assert (await resources.create(TRAINJOB, _patched(**pod), user=CREATOR))["metadata"]["uid"]


async def test_a_patch_or_apply_is_asked_as_a_create_is(resources: Resources):
    harmless = _patched(nodeSelector={"disk": "fast"})
    harmless["spec"]["suspend"] = True
    await resources.create(TRAINJOB, harmless, user=WRITER)
    wish = _patched(serviceAccountName="admin")["spec"]["runtimePatches"]
    with pytest.raises(Forbidden, match="serviceAccountName"):
        await resources.patch(TRAINJOB, "team", "digits", {"spec": {"runtimePatches": wish}}, user=WRITER)
    with pytest.raises(Forbidden, match="serviceAccountName"):
        whole = {**harmless, "spec": {**harmless["spec"], "runtimePatches": wish}}
        await resources.apply(TRAINJOB, whole, manager="m", force=True, user=WRITER)
    assert (await resources.get(TRAINJOB, "team", "digits"))["spec"]["runtimePatches"] != wish


async def test_a_rehearsal_is_refused_as_the_real_thing_is(resources: Resources):
    with pytest.raises(Forbidden):
        await resources.create(TRAINJOB, _patched(serviceAccountName="admin"), user=WRITER, dry_run=True)


async def test_metadata_of_a_job_of_somebody_with_more_rights_may_be_changed(resources: Resources):
    await resources.create(TRAINJOB, _patched(serviceAccountName="admin"), user=CREATOR)
    changed = await resources.patch(TRAINJOB, "team", "digits", {"metadata": {"labels": {"a": "b"}}}, user=WRITER)
    assert changed["metadata"]["labels"] == {"a": "b"}


async def test_a_runtime_of_the_namespace_is_asked_for_and_one_for_all_namespaces_takes_the_right_in_all(
    resources: Resources,
):
    shared = deepcopy(RUNTIME)
    pod = shared["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "v", "hostPath": {"path": "/"}}]
    shared["metadata"] = {"name": "own", "labels": RUNTIME["metadata"]["labels"]}
    own = {**shared, "kind": "TrainingRuntime", "metadata": {**shared["metadata"], "namespace": "team"}}
    with pytest.raises(Forbidden, match=r"volumes\[0\]\.hostPath"):
        await resources.create(OWN, own, user=WRITER)
    await resources.create(OWN, own, user=CREATOR)
    with pytest.raises(Forbidden, match="hostPath"):
        await resources.create(SHARED, shared, user=CREATOR)


async def test_a_patch_of_what_no_patch_may_change_is_refused_by_name(resources: Resources):
    with pytest.raises(Invalid, match="hostNetwork is nothing that a patch may change"):
        await resources.create(TRAINJOB, _patched(hostNetwork=True), user=CREATOR)


def test_a_jobs_own_program_takes_no_more_than_leave_to_write_jobs():
    assert of_job(job(spec={"trainer": {"image": "any", "env": [{"name": "A", "value": "b"}]}})) == []


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        ({"hostPID": True}, ["p.hostPID"]),
        ({"containers": [{"securityContext": {"privileged": True}}]}, ["p.containers[0].securityContext.privileged"]),
        ({"containers": [{"securityContext": {"allowPrivilegeEscalation": False}}]}, []),
        ({"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}, ["p.containers[0].envFrom[0]"]),
        ({"initContainers": [{"ports": [{"hostPort": 80}]}]}, ["p.initContainers[0].ports[0].hostPort"]),
        ({"volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"a": "b"}, "tolerations": [{}]}, []),
        ({"volumes": "?", "containers": [1], "securityContext": []}, []),
    ],
)
def test_fields_that_reach_beyond_a_pod_are_named_one_by_one(pod: dict[str, Any], told: list[str]):
    assert list(reaching(pod, "p")) == told
