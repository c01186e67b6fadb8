"""What a job runs by from its first look to its end, and how long it is kept: the service on a real store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.trainer.adapters.snapshots import Snapshots
from services.trainer.domain import lifetime
from tests.services.trainer.builders import NOW, RUNTIME, job
from tests.services.trainer.paper import PaperCluster
from tests.services.trainer.test_service import API, JOBS, SENT, Rig, started, until

RUNTIMES = f"{API}/clustertrainingruntimes"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(tmp_path, PaperCluster()) as rig:
        yield rig


def _ended(**spec: Any) -> dict[str, Any]:
    over = {"type": "Complete", "status": "True", "reason": "r", "lastTransitionTime": "2026-11-22T09:59:00Z"}
    return job(spec=spec, status={"conditions": [over]})


@pytest.mark.parametrize(
    ("told", "runtime", "left"),
    [
        pytest.param({}, {}, None, id="nobody sets a time: it is kept"),
        pytest.param({"ttlSecondsAfterFinished": 90}, {}, 30.0, id="the job's own"),
        pytest.param({}, {"ttlSecondsAfterFinished": 60}, 0.0, id="the runtime's: due now"),
        pytest.param({"ttlSecondsAfterFinished": 0}, {"ttlSecondsAfterFinished": 600}, -60.0, id="its own holds"),
    ],
)
def test_a_finished_job_is_kept_for_its_own_time_else_its_runtimes(told: dict, runtime: dict, left: float | None):
    over = _ended(**told)
    over["status"] |= lifetime.noted({"spec": runtime})
    assert lifetime.seconds_left(over, NOW) == left


def test_a_job_that_runs_has_no_time_to_live():
    assert lifetime.seconds_left(job(spec={"ttlSecondsAfterFinished": 0}), NOW) is None


async def test_an_edit_of_the_runtime_changes_no_job_that_was_looked_at(rig: Rig):
    own = {**RUNTIME, "metadata": {**RUNTIME["metadata"], "name": "own"}}
    assert (await rig.http.post(RUNTIMES, json=own)).status_code == 201
    sent = {**SENT, "spec": {**SENT["spec"], "runtimeRef": {"name": "own"}}}
    assert (await rig.http.post(JOBS, json=sent)).status_code == 201
    await until(lambda: rig.shows("admission"))
    image = "/spec/template/spec/replicatedJobs/0/template/spec/template/spec/containers/0/image"
    change = [{"op": "replace", "path": image, "value": "newer:2"}]
    patched = await rig.http.patch(
        f"{RUNTIMES}/own", json=change, headers={"content-type": "application/json-patch+json"}
    )
    assert patched.status_code == 200
    await rig.admit()
    await until(lambda: rig.has("jobs"))
    (node,) = rig.cluster.objects[("jobs", "team", "digits-node-0")]["spec"]["template"]["spec"]["containers"]
    assert node["image"] == _image(own)


async def test_a_finished_job_goes_when_its_time_is_over(rig: Rig):
    await rig.running()
    await rig.cluster.finish("digits", "team", "Complete")
    await until(lambda: rig.shows_condition("Complete"))
    change = {"spec": {"ttlSecondsAfterFinished": 0}}
    headers = {"content-type": "application/merge-patch+json"}
    assert (await rig.http.patch(f"{JOBS}/digits", json=change, headers=headers)).status_code == 200
    await until(rig.gone)


async def test_a_finished_job_goes_by_its_runtimes_time_and_its_runtime_is_not_looked_at(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
):
    own = {**RUNTIME, "metadata": {**RUNTIME["metadata"], "name": "own"}}
    own["spec"] = {**own["spec"], "ttlSecondsAfterFinished": 1}
    assert (await rig.http.post(RUNTIMES, json=own)).status_code == 201
    await rig.running("own")
    read: list[str] = []
    kept = Snapshots.runtime

    async def watched(self: Snapshots, uid: str, current: Any) -> Any:
        read.append("over" if await rig.shows_condition("Complete") else "running")
        return await kept(self, uid, current)

    monkeypatch.setattr(Snapshots, "runtime", watched)
    await rig.cluster.finish("digits", "team", "Complete")
    await until(rig.gone)
    assert read and "over" not in read


async def test_a_runtimes_deadline_holds_for_a_job_without_one(rig: Rig):
    own = {**RUNTIME, "metadata": {**RUNTIME["metadata"], "name": "own"}}
    own["spec"] = {**own["spec"], "activeDeadlineSeconds": 77}
    assert (await rig.http.post(RUNTIMES, json=own)).status_code == 201
    sent = {**SENT, "spec": {**SENT["spec"], "runtimeRef": {"name": "own"}}}
    assert (await rig.http.post(JOBS, json=sent)).status_code == 201
    await rig.admit()
    await until(lambda: rig.has("jobs"))
    assert rig.cluster.objects[("jobs", "team", "digits-node-0")]["spec"]["activeDeadlineSeconds"] == 77


@pytest.mark.parametrize("field", ["ttlSecondsAfterFinished", "activeDeadlineSeconds"])
async def test_a_time_that_is_no_number_is_refused_by_name_in_job_and_runtime(rig: Rig, field: str):
    sent = {**SENT, "spec": {**SENT["spec"], field: -5}}
    own = {**RUNTIME, "metadata": {**RUNTIME["metadata"], "name": "own"}, "spec": {**RUNTIME["spec"], field: "soon"}}
    for path, body in ((JOBS, sent), (RUNTIMES, own)):
        answer = await rig.http.post(path, json=body)
        assert answer.status_code == 422
        assert [cause["field"] for cause in answer.json()["details"]["causes"]] == [f"spec.{field}"]


def _image(runtime: dict[str, Any]) -> str:
    (found,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    return found["template"]["spec"]["template"]["spec"]["containers"][0]["image"]
