"""Whoever may start runs gets no more out of the service's pods than they, or the run's account, may have anyway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.base.errors import Internal
from services.pipelines.handlers.clockwork import Clockwork
from tests.services.pipelines.api.conftest import Server, refused
from tests.services.pipelines.api.test_runs import asked, simple

WHO = "system:insecure"
EXECUTOR = "platforms.kubernetes.deploymentSpec.executors.exec-a"
SECRET = {"secretAsEnv": [{"secretName": "keys", "keyToEnv": [{"secretKey": "k", "envVar": "K"}]}]}
LATE = {"secretAsVolume": [{"secretNameParameter": {"componentInputParameter": "name"}, "mountPath": "/s"}]}
SETTINGS = {"configMapAsVolume": [{"configMapName": "colours", "mountPath": "/c"}]}
CLAIM = {"pvcMount": [{"pvcName": "data", "mountPath": "/d"}]}
HARMLESS = {"emptyDirMounts": [{"volumeName": "v", "mountPath": "/v"}], "nodeSelector": {"labels": {"disk": "ssd"}}}


def mounting(document: dict[str, Any], **config: Any) -> dict[str, Any]:
    kubernetes = {"deploymentSpec": {"executors": {"exec-a": document}}, "pipelineConfig": config}
    return {"pipeline_spec": simple(), "platform_spec": {"platforms": {"kubernetes": kubernetes}}}


@pytest.fixture
def person(server: Server) -> Server:
    """Somebody who may use pipelines and nothing else."""
    server.rights.core = set()
    return server


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (
            SECRET,
            f'{EXECUTOR}.secretAsEnv[0].secretName: User "{WHO}" may neither get secrets "keys" nor create pods',
        ),
        (
            LATE,
            f'{EXECUTOR}.secretAsVolume[0].secretName: User "{WHO}" may neither get secrets nor create pods',
        ),
        (SETTINGS, f"{EXECUTOR}.configMapAsVolume[0].configMapName: "),
        (CLAIM, f'{EXECUTOR}.pvcMount: User "{WHO}" cannot create pods in the namespace "default"'),
        ({"securityContext": {"runAsUser": "0"}}, f"{EXECUTOR}.securityContext: "),
    ],
)
async def test_what_a_step_is_given_takes_the_right_to_it_or_to_make_pods(
    person: Server, document: dict[str, Any], wanted: str
):
    body = asked(pipeline_spec=mounting(document))
    for path, more in (("/runs", {}), ("/recurringruns", {"trigger": {"periodic_schedule": {"interval_second": 60}}})):
        status, code, message = refused(await person.http.post(path, json={**body, **more}))
        assert (status, code) == (403, 7) and message.startswith(wanted), message
    assert not (await person.get("/runs"))["runs"] and not (await person.get("/recurringruns"))["recurringRuns"]
    person.rights.core = {("create", "pods", "")}
    await person.post("/runs", body)


async def test_who_may_read_a_secret_may_have_it_mounted_and_so_may_the_account_of_the_run(person: Server):
    body = asked(pipeline_spec=mounting(SECRET))
    for right in (("get", "secrets", "keys"), ("system:serviceaccount:default:default", "secrets", "keys")):
        person.rights.core = {right}
        await person.post("/runs", body)
    assert (await person.get("/runs"))["total_size"] == 2


async def test_a_run_as_another_account_and_a_workspace_take_rights_and_what_lends_nothing_takes_none(person: Server):
    await person.post("/runs", asked(pipeline_spec=mounting(HARMLESS)))
    await person.post("/runs", asked(service_account="default"))
    answer = await person.http.post("/runs", json=asked(service_account="admin"))
    assert refused(answer)[2].startswith(f'service_account: User "{WHO}" cannot create pods')
    answer = await person.http.post("/runs", json=asked(pipeline_spec=mounting({}, workspace={"size": "1Gi"})))
    assert refused(answer)[2].startswith("platforms.kubernetes.pipelineConfig.workspace: ")


async def test_a_fork_of_somebody_elses_run_takes_the_rights_that_the_run_took(person: Server):
    person.rights.core = {("create", "pods", "")}
    run = await person.post("/runs", asked(service_account="admin"))
    person.rights.core = set()
    answer = await person.http.post(f"http://pipelines/pipelines/v1/runs/{run['run_id']}:fork", json={})
    assert refused(answer)[:2] == (403, 7)


async def test_a_newer_version_of_another_lends_no_secret_to_a_recurring_run_that_names_none(person: Server):
    import yaml

    first = await person.upload("/pipelines/upload", yaml.safe_dump(simple()).encode(), name="p")
    pipeline = first.json()["pipeline_id"]
    trigger = {"periodic_schedule": {"interval_second": "60"}}
    body = {"pipeline_version_reference": {"pipeline_id": pipeline}, "trigger": trigger, "max_concurrency": "2"}
    job = await person.post("/recurringruns", {**body, "runtime_config": {"parameters": {"name": "x"}}})
    await person.clock.advance(60)
    assert await Clockwork(person.means).tick() == 1
    document = mounting(SECRET)
    package = yaml.safe_dump_all([document["pipeline_spec"], document["platform_spec"]]).encode()
    assert (await person.upload("/pipelines/upload_version", package, pipelineid=pipeline, name="2")).status_code == 200
    await person.clock.advance(60)

    async def broken(*asked: Any) -> bool:
        raise Internal("etcdserver: leader changed")

    assert await Clockwork(replace(person.means, may=broken)).tick() == 0
    found = await person.get(f"/recurringruns/{job['recurring_run_id']}")
    assert found["status"] == "ENABLED", "what passes is waited for"
    assert await Clockwork(person.means).tick() == 0
    found = await person.get(f"/recurringruns/{job['recurring_run_id']}")
    assert found["status"] == "DISABLED" and "name one in pipeline_version_reference" in found["error"]["message"]
    assert 'get secrets "keys"' in found["error"]["message"]
