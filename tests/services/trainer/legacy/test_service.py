"""The Training Operator's kinds in the trainer as a service: real store, HTTP and controller; the cluster on paper."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.commands.training.v1 import ApplyLegacyJob, DeleteLegacyJob
from contracts.envelope import Event, letter_for
from contracts.events.scheduling.v1 import WorkloadAdmitted
from libs.service.commands import effects
from services.trainer.domain.legacy.frameworks import BY_KIND
from tests.services.trainer.legacy.builders import Object, sent
from tests.services.trainer.paper import PaperCluster
from tests.services.trainer.test_service import Rig, started, until

CONTAINER = {"name": "pytorch", "image": "img:1", "command": ["python", "t.py"]}
TEMPLATE = {"spec": {"containers": [CONTAINER]}}


def manifest(**policy: Any) -> Object:
    replicas = {"Master": {"template": TEMPLATE}, "worker": {"replicas": 1, "template": TEMPLATE}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "digits"},
        "spec": {"pytorchReplicaSpecs": replicas, **({"runPolicy": policy} if policy else {})},
    }


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(tmp_path, PaperCluster()) as rig:
        yield rig


async def command(rig: Rig, message: Any) -> list[Event]:
    """Carries a command out as the shell does; what is answered in its transaction."""
    app, ports = rig.service.app, rig.service.ports
    letter = letter_for(message, id="c-1", source="test", now=ports.clock.now())
    async with ports.store.write() as uow:
        return list(await effects(app.command_kinds, ports.resources)[message.type](message, letter, uow))


async def stored(rig: Rig) -> Object | None:
    found = await rig.http.get("/apis/kubeflow.org/v1/namespaces/team/pytorchjobs/digits")
    return found.json() if found.status_code == 200 else None


async def has(rig: Rig, kind: str) -> bool:
    conditions = (((await stored(rig)) or {}).get("status") or {}).get("conditions") or []
    return any((c["type"], c["status"]) == (kind, "True") for c in conditions)


async def gone(rig: Rig) -> bool:
    return await stored(rig) is None


async def asked(rig: Rig) -> bool:
    return bool((((await stored(rig)) or {}).get("status") or {}).get("admission"))


async def admit(rig: Rig) -> None:
    await until(lambda: asked(rig))
    meta = ((await stored(rig)) or {})["metadata"]
    about = {"namespace": "team", "name": "digits", "uid": meta["uid"], "generation": meta["generation"]}
    await rig.hear(WorkloadAdmitted(**about, kind="PyTorchJob"))
    await until(lambda: there(rig, 2))


async def there(rig: Rig, count: int) -> bool:
    return len([key for key in rig.cluster.objects if key[0] == "pods"]) == count


async def show(rig: Rig, phase: str, code: int | None = None) -> None:
    """All pods of the job in this phase."""
    for (plural, _, _), pod in list(rig.cluster.objects.items()):
        if plural == "pods":
            state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
            statuses = [{"name": "pytorch", "state": state, "restartCount": 0}]
            await rig.cluster.apply({**pod, "status": {"phase": phase, "containerStatuses": statuses}})


async def test_a_command_makes_a_job_of_the_kind_that_its_manifest_names_and_its_life_is_said(rig: Rig) -> None:
    [applied] = await command(rig, ApplyLegacyJob(namespace="team", manifest=manifest()))
    assert applied.type == "training.legacyjob.applied.v1"
    await admit(rig)
    names = sorted(name for plural, _, name in rig.cluster.objects if plural == "services")
    assert names == ["digits-master-0", "digits-worker-0"]
    await show(rig, "Running")
    await until(lambda: has(rig, "Running"))
    await show(rig, "Succeeded", 0)
    await until(lambda: has(rig, "Succeeded"))
    await until(lambda: settled(rig))
    life = [word for word in await rig.said() if "legacyjob" in word or "scheduling" in word]
    assert [word.split(".")[-2] for word in life if "legacyjob" in word] == ["created", "started", "succeeded"]
    assert "scheduling.workload.submit.v1" in life and life[-1] == "scheduling.workload.finish.v1"


async def settled(rig: Rig) -> bool:
    return bool((((await stored(rig)) or {}).get("status") or {}).get("settled"))


async def test_a_delete_command_removes_pods_then_the_job_and_says_so(rig: Rig) -> None:
    await command(rig, ApplyLegacyJob(namespace="team", manifest=manifest()))
    await admit(rig)
    assert await command(rig, DeleteLegacyJob(namespace="team", name="digits", kind="PyTorchJob")) == []
    await until(lambda: gone(rig))
    assert await there(rig, 0)
    assert (await rig.said())[-2:] == ["training.legacyjob.deleted.v1", "scheduling.workload.finish.v1"]


async def test_a_command_of_another_kind_is_rejected_with_those_that_there_are(rig: Rig) -> None:
    wrong = {**manifest(), "kind": "MXJob"}
    [rejected] = await command(rig, ApplyLegacyJob(namespace="team", manifest=wrong))
    assert rejected.type == "training.legacyjob.rejected.v1"
    assert "'MXJob' must be one of PyTorchJob, TFJob, MPIJob" in str(rejected.model_dump())
    [missing] = await command(rig, DeleteLegacyJob(namespace="team", name="digits", kind="TFJob"))
    assert missing.type == "training.legacyjob.rejected.v1"


async def test_a_job_goes_when_its_time_to_live_is_over(rig: Rig) -> None:
    url = "/apis/kubeflow.org/v1/namespaces/team/pytorchjobs"
    assert (await rig.http.post(url, json=manifest(ttlSecondsAfterFinished=0))).status_code == 201
    await admit(rig)
    await show(rig, "Succeeded", 0)
    await until(lambda: gone(rig))
    assert await there(rig, 0), "no pod outlives its job"


async def test_a_job_that_cannot_be_is_refused_over_http_with_its_field(rig: Rig) -> None:
    bad = manifest()
    bad["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] = 2
    answer = await rig.http.post("/apis/kubeflow.org/v1/namespaces/team/pytorchjobs", json=bad)
    assert answer.status_code == 422
    [cause] = answer.json()["details"]["causes"]
    assert cause["field"] == "spec.pytorchReplicaSpecs[Master].replicas" and "must be 1" in cause["message"]


@pytest.mark.parametrize("kind", ["PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob"])
async def test_what_a_job_of_any_kind_would_ask_for_is_told_and_nothing_is_stored(rig: Rig, kind: str):
    family = BY_KIND[kind]
    leading = {"Launcher": 1} if kind == "MPIJob" else {"Master": 1} if "Master" in family.required else {}
    body = sent(kind, {**leading, "Worker": {"replicas": 2}})
    body["metadata"] = {"name": "digits", "labels": {"kueue.x-k8s.io/queue-name": "team-queue"}}
    answer = await rig.http.post("/training/v1/namespaces/team/demand", json=body)
    assert answer.status_code == 200, answer.text
    wish = answer.json()
    assert (wish["kind"], wish["queue"], wish["name"]) == (kind, "team-queue", "digits")
    assert {one["name"]: one["count"] for one in wish["pod_sets"]} == {
        **{role.lower(): 1 for role in leading},
        "worker": 2,
    }
    found = await rig.http.get(f"/apis/kubeflow.org/v1/namespaces/team/{family.plural}")
    assert found.json()["items"] == []


async def test_a_question_about_another_kind_is_refused_with_those_that_there_are(rig: Rig):
    answer = await rig.http.post(
        "/training/v1/namespaces/team/demand", json={"apiVersion": "batch/v1", "kind": "Job", "metadata": {}}
    )
    assert answer.status_code == 400
    assert "kubeflow.org/v1 JAXJob" in answer.json()["message"] and "got batch/v1 Job" in answer.json()["message"]
