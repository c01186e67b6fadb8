"""What jobs leave behind outlives their pods: real store, HTTP and watch loops; the cluster's logs are on paper."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.base import SystemClock
from libs.base.errors import NotFound, Unavailable
from libs.cluster import POD
from libs.service.app import Given
from libs.service.identity import HEADER, Signer, User, make_keys
from libs.service.shell import serve
from libs.testing.blobs import FolderBlobs
from services.trainer.adapters.archive import reading
from services.trainer.app import TrainerSettings, build
from tests.services.trainer.paper import PaperCluster

UID = "0b6f6f7e-0000-4000-8000-000000000001"
HERE = "/training/v1/namespaces/team/archive"
Object = dict[str, Any]


def stamped(second: int, text: str, part: int = 0) -> str:
    return f"2026-11-22T10:{second // 60:02}:{second % 60:02}.{part:09}Z {text}"


class LoggingCluster(PaperCluster):
    """Pods of one job with logs that a test writes; a deleted pod's are gone, as with a kubelet."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, list[str]] = {}
        self.reads: list[str] = []
        self.followed: set[str] = set()
        self.away = False
        self._grown = asyncio.Condition()

    async def pod(
        self, index: int, phase: str, *, job: str = "digits", exit_code: int | None = None, **meta: Any
    ) -> str:
        name = f"{job}-node-0-{index}-x"
        state = {"running": {}} if exit_code is None else {"terminated": {"exitCode": exit_code, "reason": "Error"}}
        labels = {"jobset.sigs.k8s.io/jobset-name": job, "millstream.dev/trainjob-uid": UID}
        labels |= {
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": str(index),
        }
        made = "2026-11-22T10:00:00Z"
        head = {
            "name": name,
            "namespace": "team",
            "uid": f"pod-{job}-{index}",
            "labels": labels,
            "creationTimestamp": made,
        }
        status = {"phase": phase, "containerStatuses": [{"name": "node", "restartCount": 0, "state": state}]}
        spec = {"restartPolicy": "Never", "containers": [{"name": "node"}]}
        self.lines.setdefault(name, [])
        await self.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {**head, **meta}, "spec": spec, "status": status}
        )
        return name

    async def watch(self, resource: Any, **how: Any) -> AsyncIterator[tuple[str, Object]]:
        """With what is there already."""
        told = super().watch(resource, **how)
        synced = await anext(told)
        for obj in await self.list(resource):
            yield "ADDED", obj
        yield synced
        async for each in told:
            yield each

    async def list(self, resource: Any, namespace: str | None = None, **how: Any) -> list[Object]:
        if how:
            return await super().list(resource, namespace, **how)
        return [deepcopy(obj) for (plural, _, _), obj in self.objects.items() if plural == resource.plural]

    async def say(self, name: str, *lines: str) -> None:
        async with self._grown:
            self.lines[name] += lines
            self._grown.notify_all()

    async def end(self, name: str) -> None:
        """The pod and its log are gone."""
        del self.objects["pods", "team", name]["spec"]
        await self.delete(POD, "team", name)
        async with self._grown:
            del self.lines[name]
            self._grown.notify_all()

    async def logs(
        self, namespace: str, pod: str, *, since: str | None = None, follow: bool = False, **how: Any
    ) -> AsyncIterator[str]:
        self.reads.append(pod)
        if self.away:
            raise Unavailable("away")
        if pod not in self.lines:
            raise NotFound.about("pods", pod)
        if opened := how.get("opened"):
            opened()
        told = self.lines[pod]
        at = next((i for i, line in enumerate(told) if since is None or line[:19] >= since[:19]), len(told))
        while True:
            while at < len(told):
                yield told[at]
                at += 1
            if not follow or self.lines.get(pod) is not told:
                return
            self.followed.add(pod)
            async with self._grown:
                await self._grown.wait()


class Rig:
    def __init__(self, http: httpx.AsyncClient, cluster: LoggingCluster, blobs: FolderBlobs | None) -> None:
        self.http, self.cluster, self.blobs = http, cluster, blobs

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(f"{HERE}/{path}", params=params)

    async def log(self, name: str, **params: Any) -> list[str]:
        answer = await self.get(f"pods/{name}/log", **params)
        return answer.text.splitlines() if answer.status_code == 200 else []

    async def is_whole(self, job: str = "digits") -> bool:
        found = await self.get(f"trainjobs/{job}")
        pods = found.json().get("pods", [])
        return len(pods) >= len(self.cluster.lines) and all(
            pod["logs"] and all(log["isWhole"] for log in pod["logs"]) for pod in pods
        )


@asynccontextmanager
async def running(folder: Path, cluster: LoggingCluster, blobs: FolderBlobs | None) -> AsyncIterator[Rig]:
    settings = TrainerSettings(
        service="trainer", insecure=True, store_url=f"sqlite:///{folder}/trainer.db", replica="r"
    )
    async with serve(build(), settings, Given(cluster=cluster, blobs=blobs)) as service:
        transport = httpx.ASGITransport(app=service.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://trainer") as http:
            await http.post("/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs", json=JOB)
            async with service.ports.store.write() as uow:
                stored = await uow.get("trainjobs.trainer.kubeflow.org", "team", "digits")
                if stored and stored["metadata"]["uid"] != UID:
                    stored["metadata"]["uid"] = UID
                    stored["metadata"].pop("resourceVersion")
                    await uow.update("trainjobs.trainer.kubeflow.org", stored)
            yield Rig(http, cluster, blobs)


JOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "digits"},
    "spec": {"runtimeRef": {"kind": "ClusterTrainingRuntime", "name": "torch-distributed"}, "suspend": True},
}


async def until(holds: Callable[[], Any], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FIRST_LOOK_S", 0.05)
    monkeypatch.setattr(reading, "BUSY_LOOK_S", 0.05)
    monkeypatch.setattr(reading, "QUIET_LOOK_S", 0.1)


@pytest.fixture(params=["bucket", "store alone"])
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    blobs = FolderBlobs(tmp_path / "bucket") if request.param == "bucket" else None
    async with running(tmp_path, LoggingCluster(), blobs) as rig:
        yield rig


async def test_a_pods_log_and_end_are_there_after_the_pod_is_gone(rig: Rig):
    name = await rig.cluster.pod(0, "Running")
    await rig.cluster.say(name, stamped(1, "epoch 1"), stamped(2, "epoch 2"))
    await until(lambda: rig.log(name))
    await rig.cluster.say(name, stamped(3, "the end"))
    await rig.cluster.pod(0, "Failed", exit_code=3)
    await until(rig.is_whole)
    await rig.cluster.end(name)
    assert await rig.log(name) == ["epoch 1", "epoch 2", "the end"]
    assert await rig.log(name, tailLines=1, timestamps="true") == [stamped(3, "the end")]
    assert await rig.log(name, sinceTime="2026-11-22T10:00:02Z") == ["epoch 2", "the end"]
    await until(lambda: _gone(rig, name))
    (story,) = (await rig.get("trainjobs/digits")).json()["pods"]
    assert (story["exitCode"], story["rank"], story["attempt"], story["logs"][0]["lines"]) == (3, 0, 0, 3)
    shown = (await rig.get(f"pods/{name}")).json()
    assert shown["status"]["phase"] == "Failed" and "millstream.dev/archived" in shown["metadata"]["annotations"]
    found = await rig.get(
        "pods", labelSelector="jobset.sigs.k8s.io/jobset-name=digits,jobset.sigs.k8s.io/replicatedjob-name in (node)"
    )
    assert [pod["metadata"]["name"] for pod in found.json()["items"]] == [name]
    if rig.blobs:
        assert [blob.key for blob in await rig.blobs.list("logs/")] == [
            f"logs/team/digits-{UID[:8]}/{name}-pod-d/node.log"
        ]


async def _gone(rig: Rig, name: str) -> bool:
    return (await rig.get(f"pods/{name}")).status_code == 200


async def test_the_last_words_of_a_pod_that_is_being_removed_are_heard(rig: Rig):
    name = await rig.cluster.pod(0, "Running")
    await rig.cluster.say(name, stamped(1, "epoch 1"))
    await rig.cluster.pod(0, "Running", deletionTimestamp="2026-11-22T10:00:05Z")
    await until(lambda: _is_followed(rig, name))
    await rig.cluster.say(name, stamped(6, "saving a checkpoint"), stamped(6, "saved", 1))
    await rig.cluster.end(name)
    await until(rig.is_whole)
    assert await rig.log(name) == ["epoch 1", "saving a checkpoint", "saved"]


async def _is_followed(rig: Rig, name: str) -> bool:
    return name in rig.cluster.followed


async def test_a_cluster_that_is_away_for_a_while_costs_no_line(rig: Rig):
    name = await rig.cluster.pod(0, "Running")
    await rig.cluster.say(name, stamped(1, "one"))
    await until(lambda: rig.log(name))
    rig.cluster.away = True
    await rig.cluster.say(name, stamped(1, "two", 5))
    await rig.cluster.pod(0, "Succeeded", exit_code=0)
    await asyncio.sleep(0.2)
    rig.cluster.away = False
    await until(rig.is_whole)
    assert await rig.log(name) == ["one", "two"]


async def test_a_pod_that_was_gone_before_it_was_read_says_so(rig: Rig):
    rig.cluster.away = True
    name = await rig.cluster.pod(0, "Running")
    await asyncio.sleep(0.1)
    rig.cluster.away = False
    await rig.cluster.end(name)
    await until(rig.is_whole)
    assert await rig.log(name) == ["(lines of this log may be missing: they were gone before they could be read)"]


async def test_a_huge_log_is_kept_with_its_middle_cut_out_and_said(rig: Rig):
    name = await rig.cluster.pod(0, "Running")
    await rig.cluster.say(
        name, *(stamped(1 + number // 1000, f"line {number:06} " + "x" * 2000) for number in range(12_000))
    )
    await rig.cluster.pod(0, "Succeeded", exit_code=0)
    await until(rig.is_whole, 30)
    lines = await rig.log(name)
    kept = sum(map(len, lines))
    assert kept < (17 if rig.blobs else 1.2) * 2**20
    assert lines[0].startswith("line 000000 ") and lines[-1].startswith("line 011999 ")
    (said,) = [line for line in lines if "are cut out here" in line]
    assert int(said[1:].split(" ")[0]) == 12_000 - (len(lines) - 1)


async def test_many_pods_that_end_at_once_are_all_kept(rig: Rig):
    names = [await rig.cluster.pod(index, "Running") for index in range(50)]
    for index, name in enumerate(names):
        await rig.cluster.say(name, *(stamped(number, f"rank {index} step {number}") for number in range(40)))
    for index, _ in enumerate(names):
        await rig.cluster.pod(index, "Succeeded", exit_code=0)
    await until(rig.is_whole, 30)
    for name in names:
        await rig.cluster.end(name)
    story = (await rig.get("trainjobs/digits")).json()["pods"]
    assert [(pod["rank"], pod["logs"][0]["lines"]) for pod in story] == [(index, 40) for index in range(50)]


async def test_a_trainer_that_is_killed_while_it_reads_goes_on_where_it_was(tmp_path: Path):
    cluster, blobs, expected = LoggingCluster(), FolderBlobs(tmp_path / "bucket"), []
    for life in range(6):
        async with running(tmp_path, cluster, blobs) as rig:
            name = await cluster.pod(0, "Running")
            for number in range(300):
                expected.append(f"life {life} line {number} " + "y" * 2000)
                await cluster.say(name, stamped(life * 2 + number // 200, expected[-1], number))
            await asyncio.sleep(0.03 * life)  # cut off anywhere
    async with running(tmp_path, cluster, blobs) as rig:
        await cluster.pod(0, "Succeeded", exit_code=0)
        await until(rig.is_whole, 20)
        assert await rig.log(name) == expected


async def test_a_pod_that_went_while_the_trainer_was_down_is_closed(tmp_path: Path):
    cluster = LoggingCluster()
    async with running(tmp_path, cluster, None) as rig:
        name = await cluster.pod(0, "Running")
        await cluster.say(name, stamped(1, "one"))
        await until(lambda: rig.log(name))
    await cluster.end(name)
    async with running(tmp_path, cluster, None) as rig:
        await until(rig.is_whole)
        assert (await rig.log(name))[0] == "one"


async def test_while_nothing_runs_nothing_is_read(rig: Rig):
    name = await rig.cluster.pod(0, "Succeeded", exit_code=0)
    await until(rig.is_whole)
    count = len(rig.cluster.reads)
    await asyncio.sleep(0.3)
    assert len(rig.cluster.reads) == count == 1, name


async def test_a_deleted_jobs_story_stays_until_its_time_is_over(tmp_path: Path):
    cluster, blobs = LoggingCluster(), FolderBlobs(tmp_path / "bucket")
    async with running(tmp_path, cluster, blobs) as rig:
        name = await cluster.pod(0, "Succeeded", exit_code=0)
        await cluster.say(name, stamped(1, "one"))
        await until(rig.is_whole)
        await rig.http.delete("/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs/digits")
        await cluster.end(name)
        await until(lambda: _is_deleted(rig))
        assert await rig.log(name) == ["one"]
        (job,) = (await rig.get("trainjobs")).json()["items"]
        assert job["name"] == "digits" and job["deletedAt"]


async def _is_deleted(rig: Rig) -> bool:
    return bool((await rig.get("trainjobs/digits")).json()["deletedAt"])


async def test_a_user_of_another_namespace_reads_nothing_of_this_one(tmp_path: Path):
    private, public = make_keys()
    settings = TrainerSettings(
        service="trainer", store_url=f"sqlite:///{tmp_path}/trainer.db", replica="r", identity_public_key=public
    )
    app, cluster, asked = build(), LoggingCluster(), []

    async def authorize(user: Any, verb: str, kind: Any, namespace: str, name: str, part: str) -> bool:
        asked.append((user.name, verb, kind.plural, namespace, name, part))
        return namespace == user.name

    app.authorize = lambda ports: authorize
    async with serve(app, settings, Given(cluster=cluster)) as service:
        signer = Signer(private, SystemClock())
        transport = httpx.ASGITransport(app=service.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://trainer") as http:

            async def get(user: str, path: str) -> int:
                return (await http.get(f"{HERE}/{path}", headers={HEADER: signer.sign(User(user, ()))})).status_code

            name = await cluster.pod(0, "Succeeded", exit_code=0)
            await until(lambda: _known(service.ports.store))
            paths = ("trainjobs", "trainjobs/digits", "trainjobs/digits/metrics", "trainjobs/digits/events", "pods")
            for path in (*paths, f"pods/{name}", f"pods/{name}/log", "events", "pytorchjobs"):
                assert await get("mallory", path) == 403, path
                assert await get("team", path) in (200, 404), path
            assert (await http.get(f"{HERE}/pods/{name}/log")).status_code == 401
    assert ("team", "get", "pods", "team", name, "log") in asked
    assert ("mallory", "get", "trainjobs", "team", "digits", "") in asked


async def _known(store: Any) -> bool:
    async with store.read() as reader:
        return bool(await reader.rows("SELECT uid FROM archive_pods"))
