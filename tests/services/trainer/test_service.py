"""The trainer as a service: real store, HTTP, controller and change log; the cluster is on paper, the bus left out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from contracts.kinds.trainjob import read_error
from contracts.kinds.upstream import upstream
from libs.service.app import Given
from libs.service.shell import Service, serve
from services.trainer.adapters.shipped import shipped
from services.trainer.app import TrainerSettings, build
from tests.services.trainer.builders import RUNTIME
from tests.services.trainer.paper import PaperCluster

API = "/apis/trainer.kubeflow.org/v1alpha1"
JOBS = f"{API}/namespaces/team/trainjobs"
DATA = "s3://millstream/data/digits"
SENT = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {
        "name": "digits",
        "annotations": {"millstream.dev/model-name": "digits", "millstream.dev/dataset-uri": DATA},
    },
    "spec": {
        "runtimeRef": {"kind": "ClusterTrainingRuntime", "name": "torch-distributed"},
        "trainer": {
            "numNodes": 2,
            "command": ["torchrun", "t.py"],
            "resourcesPerNode": {"limits": {"cpu": 1.0, "memory": "1Gi"}, "requests": {"cpu": 1.0, "memory": "1Gi"}},
        },
    },
}


class Rig:
    def __init__(self, service: Service, http: httpx.AsyncClient, cluster: PaperCluster) -> None:
        self.service, self.http, self.cluster = service, http, cluster

    async def hear(self, fact: Any) -> None:
        """Delivers a fact to the trainer's handler as the shell does."""
        app, ports = self.service.app, self.service.ports
        async with ports.store.write() as uow:
            await app.handlers[type(fact)](fact, app.needs(ports, uow))

    async def job(self, name: str = "digits") -> dict[str, Any]:
        return (await self.http.get(f"{JOBS}/{name}")).json()

    async def admit(self, name: str = "digits", admission: str | None = None) -> None:
        meta = (await self.job(name))["metadata"]
        about = {"namespace": "team", "name": name, "uid": meta["uid"], "generation": meta["generation"]}
        await self.hear(WorkloadAdmitted(**about, kind="TrainJob", admission=admission))

    async def said(self) -> list[str]:
        async with self.service.ports.store.read() as reader:
            changes = await reader.changes_since(0)
        return [change.letter["type"] for change in changes if change.letter]

    async def running(self, runtime: str = "torch-distributed", admission: str | None = None) -> None:
        """A created, admitted job whose two pods run."""
        sent = {**SENT, "spec": {**SENT["spec"], "runtimeRef": {"name": runtime}}}
        assert (await self.http.post(JOBS, json=sent)).status_code == 201
        await self.admit(admission=admission)
        await until(lambda: self.has("jobs"))
        await self.cluster.run_pods("digits", "team", "Running")
        await until(lambda: self.shows("startedAt"))

    async def has(self, plural: str) -> bool:
        return any(found == plural for found, _, _ in self.cluster.objects)

    async def shows(self, field: str) -> bool:
        return bool(((await self.job()).get("status") or {}).get(field))

    async def shows_condition(self, kind: str) -> bool:
        return any(c["type"] == kind for c in ((await self.job()).get("status") or {}).get("conditions") or [])

    async def child_is_suspended(self, wanted: bool) -> bool:
        return self.cluster.objects[("jobs", "team", "digits-node-0")]["spec"]["suspend"] is wanted

    async def gone(self) -> bool:
        return (await self.http.get(f"{JOBS}/digits")).status_code == 404

    async def report(self, body: dict[str, Any], token: str | None = None) -> httpx.Response:
        secret = self.cluster.objects.get(("secrets", "team", "digits-progress"), {"stringData": {"token": "none"}})
        headers = {"Authorization": f"Bearer {token or secret['stringData']['token']}"}
        return await self.http.post("/training/v1/namespaces/team/trainjobs/digits/status", json=body, headers=headers)


async def until(holds: Callable[[], Awaitable[bool]], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def started(folder: Path, cluster: PaperCluster) -> AsyncIterator[Rig]:
    settings = TrainerSettings(service="trainer", insecure=True, store_url=f"sqlite:///{folder}/trainer.db")
    async with serve(build(), settings, Given(cluster=cluster)) as service:
        transport = httpx.ASGITransport(app=service.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://trainer") as http:
            rig = Rig(service, http, cluster)
            await until(lambda: _ready(rig))
            yield rig


async def _ready(rig: Rig) -> bool:
    return len((await rig.http.get(f"{API}/clustertrainingruntimes")).json()["items"]) == len(shipped())


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(tmp_path, PaperCluster()) as rig:
        yield rig


async def test_the_shipped_runtimes_are_there_from_the_start_and_the_sdks_note_too(rig: Rig):
    found = (await rig.http.get(f"{API}/clustertrainingruntimes")).json()["items"]
    assert [runtime["metadata"]["name"] for runtime in found] == sorted(made["metadata"]["name"] for made in shipped())
    await until(lambda: rig.has("configmaps"))
    note = rig.cluster.objects[("configmaps", "kubeflow-system", "kubeflow-trainer-public")]
    assert note["data"] == {"kubeflow_trainer_version": "2.3.0"}


async def test_the_sdks_own_models_read_every_shipped_runtime(rig: Rig):
    for runtime in (await rig.http.get(f"{API}/clustertrainingruntimes")).json()["items"]:
        assert _unread_by_the_sdk("cluster_training_runtime", runtime) is None


def _unread_by_the_sdk(kind: str, obj: dict[str, Any]) -> str | None:
    """What the models that the SDK reads with say against an answer."""
    name = "TrainerV1alpha1" + "".join(word.capitalize() for word in kind.split("_"))
    return read_error(upstream("kubeflow_trainer_api", f"trainer_v1alpha1_{kind}", name), obj)


async def test_a_runtime_goes_when_the_last_job_that_names_it_has_gone(rig: Rig):
    """The SDK asks for the runtime of each job that it lists: one missing would break the whole list."""
    own = {**RUNTIME, "metadata": {**RUNTIME["metadata"], "name": "own"}}
    path = f"{API}/clustertrainingruntimes/own"
    assert (await rig.http.post(f"{API}/clustertrainingruntimes", json=own)).status_code == 201
    named = {**SENT, "spec": {**SENT["spec"], "runtimeRef": {"name": "own"}}}
    assert (await rig.http.post(JOBS, json=named)).status_code == 201
    assert (await rig.http.delete(path)).status_code == 200
    held = (await rig.http.get(path)).json()
    assert held["metadata"]["deletionTimestamp"]
    assert _unread_by_the_sdk("cluster_training_runtime", held) is None

    async def gone() -> bool:
        return (await rig.http.get(path)).status_code == 404

    await asyncio.sleep(0.2)
    assert not await gone()
    await rig.http.delete(f"{JOBS}/digits")
    await until(gone)


async def test_a_users_edit_of_a_shipped_runtime_survives_a_restart(tmp_path: Path):
    url = f"{API}/clustertrainingruntimes/torch-distributed"
    async with started(tmp_path, PaperCluster()) as rig:
        patch = {"spec": {"mlPolicy": {"numNodes": 2}}}
        answer = await rig.http.patch(url, json=patch, headers={"content-type": "application/merge-patch+json"})
        assert answer.status_code == 200, answer.text
        version = answer.json()["metadata"]["resourceVersion"]
    async with started(tmp_path, PaperCluster()) as rig:
        stored = (await rig.http.get(url)).json()
        assert (stored["spec"]["mlPolicy"]["numNodes"], stored["metadata"]["resourceVersion"]) == (2, version)


async def test_quantities_come_back_as_they_were_sent(rig: Rig):
    answer = await rig.http.post(JOBS, json=SENT)
    assert answer.status_code == 201, answer.text
    stored = (await rig.job())["spec"]
    assert stored["trainer"]["resourcesPerNode"] == SENT["spec"]["trainer"]["resourcesPerNode"]
    assert isinstance(stored["trainer"]["resourcesPerNode"]["limits"]["cpu"], float)
    assert stored["trainer"]["numNodes"] == 2 and isinstance(stored["trainer"]["numNodes"], int)
    assert stored["runtimeRef"]["apiGroup"] == "trainer.kubeflow.org"


async def test_a_runtime_that_would_break_the_list_is_refused_over_http(rig: Rig):
    broken = {**RUNTIME, "metadata": {"name": "broken"}}
    answer = await rig.http.post(f"{API}/clustertrainingruntimes", json=broken)
    assert answer.status_code == 422
    causes = answer.json()["details"]["causes"]
    assert [cause["field"] for cause in causes] == ["metadata.labels[trainer.kubeflow.org/framework]"]


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"trainer": {"numNodes": 0}}, "spec.trainer.numNodes"),
        ({"trainer": {"numNodes": "two"}}, "spec.trainer.numNodes"),
        ({"trainer": {"resourcesPerNode": {"limits": {"cpu": "much"}}}}, "spec.trainer.resourcesPerNode.limits.cpu"),
        ({"runtimeRef": {"name": ""}}, "spec.runtimeRef.name"),
        ({"runtimeRef": {"name": "x", "kind": "Pod"}}, "spec.runtimeRef.kind"),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
        ({"initializer": {"model": {"storageUri": "gs://a/b"}}}, "spec.initializer.model.storageUri"),
    ],
    ids=["no node", "text", "quantity", "no name", "odd kind", "no time", "foreign cloud"],
)
async def test_a_malformed_job_is_refused_with_the_field(rig: Rig, patch: dict[str, Any], field: str):
    answer = await rig.http.post(JOBS, json={**SENT, "spec": {**SENT["spec"], **patch}})
    assert answer.status_code == 422, answer.text
    assert field in [cause["field"] for cause in answer.json()["details"]["causes"]]


async def test_nothing_is_created_before_the_scheduler_admits(rig: Rig):
    await rig.http.post(JOBS, json=SENT)
    await until(lambda: rig.shows("admission"))
    meta = (await rig.job())["metadata"]
    about = {"namespace": "team", "name": "digits", "uid": meta["uid"], "kind": "TrainJob"}
    await rig.hear(WorkloadQueued(**about, position=2, reason="1 in front of it in the queue"))
    assert (await rig.job())["status"]["admission"]["reason"] == "place 2 in the queue: 1 in front of it in the queue"
    assert not await rig.has("jobs")
    await rig.admit()
    await until(lambda: rig.has("jobs"))


async def test_an_admission_of_another_job_of_the_same_name_starts_nothing(rig: Rig):
    await rig.http.post(JOBS, json=SENT)
    about = {"namespace": "team", "name": "digits", "uid": "another", "kind": "TrainJob", "generation": 1}
    await rig.hear(WorkloadAdmitted(**about))
    assert (await rig.job()).get("status", {}).get("admission", {}).get("state") != "Admitted"


async def test_a_job_runs_reports_and_completes_with_its_last_metrics_said_once(rig: Rig):
    await rig.running()
    assert not (await rig.job())["status"]["conditions"]
    metrics = [{"name": "accuracy", "value": "0.97"}]
    body = {"trainerStatus": {"progressPercentage": 60, "metrics": metrics}, "environment": {"torch": "2.13.0"}}
    assert (await rig.report(body)).status_code == 200
    assert (await rig.job())["status"]["trainerStatus"]["progressPercentage"] == 60
    await rig.cluster.run_pods("digits", "team", "Succeeded", 0)
    await rig.cluster.finish("digits", "team", "Complete")
    await until(lambda: rig.shows_condition("Complete"))
    async with rig.service.ports.store.read() as reader:
        letters = [change.letter for change in await reader.changes_since(0) if change.letter]
    (said,) = [letter["data"] for letter in letters if letter["type"] == "training.trainjob.succeeded.v1"]
    assert (said["metrics"], said["environment"]["torch"], said["register"]) == ({"accuracy": 0.97}, "2.13.0", True)
    (born,) = [letter["data"] for letter in letters if letter["type"] == "training.trainjob.created.v1"]
    assert born["dataset_uri"] == said["dataset_uri"] == DATA
    assert said["model_uri"].endswith("/models/team/digits/")
    assert not await rig.has("secrets")
    assert _unread_by_the_sdk("train_job", await rig.job()) is None
    assert (await rig.report(body)).status_code in (401, 409)


async def test_a_failed_job_tells_exit_code_and_last_words(rig: Rig):
    await rig.running()
    await rig.cluster.run_pods("digits", "team", "Failed", 3)
    await rig.cluster.finish("digits", "team", "Failed", "BackoffLimitExceeded")
    await until(lambda: rig.shows_condition("Failed"))
    (condition,) = (await rig.job())["status"]["conditions"]
    assert condition["message"] == (
        "node-0 (node) ended with exit code 3; its last words:\nlast line of digits-node-0-0-x"
    )
    assert "training.trainjob.failed.v1" in await rig.said()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"trainerStatus": {"progressPercentage": 101}}, 422),
        ({"trainerStatus": {"metrics": [{"name": "x"}]}}, 422),
        ({"trainerStatus": {"metrics": [{"name": "x", "value": "1"}] * 300}}, 422),
        ({}, 422),
    ],
)
async def test_a_malformed_report_is_refused(rig: Rig, body: dict[str, Any], code: int):
    await rig.running()
    assert (await rig.report(body)).status_code == code


async def test_a_report_needs_the_jobs_own_token(rig: Rig):
    await rig.running()
    assert (await rig.report({"trainerStatus": {}}, token="guess")).status_code == 401
    answer = await rig.http.post("/training/v1/namespaces/team/trainjobs/digits/status", json={"trainerStatus": {}})
    assert answer.status_code == 401


async def test_a_late_report_does_not_turn_progress_back(rig: Rig):
    await rig.running()
    for at, progress in (("2026-11-22T10:00:05Z", 50), ("2026-11-22T10:00:01Z", 10)):
        await rig.report({"trainerStatus": {"lastUpdatedTime": at, "progressPercentage": progress}})
    assert (await rig.job())["status"]["trainerStatus"]["progressPercentage"] == 50


async def test_a_deleted_job_takes_its_pods_along_and_then_goes(rig: Rig):
    await rig.running()
    assert (await rig.http.delete(f"{JOBS}/digits")).status_code == 200
    await until(lambda: rig.gone())
    assert not await rig.has("jobs") and not await rig.has("pods") and not await rig.has("secrets")
    assert (await rig.said()).count("training.trainjob.deleted.v1") == 1


async def test_a_suspended_job_stops_and_starts_again_only_after_a_new_admission(rig: Rig):
    await rig.running()
    merge = {"content-type": "application/merge-patch+json"}
    await rig.http.patch(f"{JOBS}/digits", json={"spec": {"suspend": True}}, headers=merge)
    await until(lambda: rig.child_is_suspended(True))
    for _, namespace, name in [key for key in rig.cluster.objects if key[0] == "pods"]:
        rig.cluster.objects.pop(("pods", namespace, name))
    await until(lambda: rig.shows_condition("Suspended"))
    await rig.http.patch(f"{JOBS}/digits", json={"spec": {"suspend": False}}, headers=merge)
    await until(lambda: rig.shows("admission"))
    assert await rig.child_is_suspended(True)
    await rig.admit()
    await until(lambda: rig.child_is_suspended(False))
    said = await rig.said()
    assert "training.trainjob.suspended.v1" in said and "training.trainjob.resumed.v1" in said


async def test_a_job_that_is_set_aside_is_suspended_and_runs_again_when_it_is_admitted_all_the_same(rig: Rig):
    await rig.running(admission="1")
    about = {"namespace": "team", "name": "digits", "uid": (await rig.job())["metadata"]["uid"], "kind": "TrainJob"}
    why = "ran longer than its maximum of 5 s"
    await rig.hear(WorkloadEvicted(**about, admission="1", reason="MaximumExecutionTimeExceeded", message=why))
    await until(lambda: rig.child_is_suspended(True))
    for _, namespace, name in [key for key in rig.cluster.objects if key[0] == "pods"]:
        rig.cluster.objects.pop(("pods", namespace, name))
    await until(lambda: rig.shows_condition("Suspended"))
    job = await rig.job()
    [told] = job["status"]["conditions"]
    assert job["spec"]["suspend"] is True and told["reason"] == "MaximumExecutionTimeExceeded"
    assert told["message"] == f"{why}; resume it, or set spec.active of its Workload to true, to queue again"
    await rig.hear(WorkloadQueued(**about, position=1, reason="late"))
    await rig.hear(WorkloadAdmitted(**about, generation=job["metadata"]["generation"], admission="1"))
    assert (await rig.job())["spec"]["suspend"] is True, "its pods of this admission are gone"
    await rig.hear(WorkloadAdmitted(**about, generation=job["metadata"]["generation"], admission="2"))
    assert (await rig.job())["spec"]["suspend"] is False
    await until(lambda: rig.child_is_suspended(False))


async def test_a_running_job_cannot_be_changed(rig: Rig):
    await rig.running()
    merge = {"content-type": "application/merge-patch+json"}
    answer = await rig.http.patch(f"{JOBS}/digits", json={"spec": {"trainer": {"numNodes": 3}}}, headers=merge)
    assert answer.status_code == 422
    assert "spec.trainer" in answer.json()["message"] and "immutable" in answer.json()["message"]


async def test_kubectl_sees_state_runtime_nodes_progress_and_age(rig: Rig):
    await rig.running()
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    answer = (await rig.http.get(JOBS, headers={"accept": table})).json()
    assert [c["name"].lower() for c in answer["columnDefinitions"]][:6] == [
        "name",
        "state",
        "runtime",
        "nodes",
        "progress",
        "age",
    ]
    assert answer["rows"][0]["cells"][:4] == ["digits", "Running", "torch-distributed", "2"]
