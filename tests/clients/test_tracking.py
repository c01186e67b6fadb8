"""Runs of pipelines as a real MLflow server keeps them, and events as OpenLineage's own client writes them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.pipelines.adapters.tracking.calling import Caller
from services.pipelines.adapters.tracking.following import Following
from services.pipelines.adapters.tracking.sinks import MLflow
from services.pipelines.domain.engine.records import Artifact, Values
from services.pipelines.domain.steps.values import StepOrder, StepResult, StoredArtifact
from services.pipelines.domain.tracking import openlineage
from tests.clients.conftest import HERE, environment
from tests.platform import run
from tests.services.pipelines.conductor.rig import Rig, added, chain, failed, rig
from tests.services.pipelines.tracking.test_openlineage import AT, RUN, task


def program(name: str, **given: Any) -> Any:
    python = str(environment("tracking") / "python")
    printed = run([python, str(HERE / "programs" / f"{name}.py"), json.dumps(given)], {"PATH": "/usr/bin:/bin"})
    return json.loads(printed.rsplit("RESULT ", 1)[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server on SQLite."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(environment("tracking") / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    with (folder / "log").open("w") as log:
        env = {"PATH": f"{environment('tracking')}:/usr/bin:/bin", "HOME": str(folder)}
        process = subprocess.Popen(
            [*command, *store], stdout=log, stderr=log, env=env, cwd=folder, start_new_session=True
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{url}/health", process, folder / "log")
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its own group: workers that wait for requests would outlive it
            process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(retries=0), trust_env=False) as http:
        for _ in range(1800):
            assert process.poll() is None, log.read_text()
            try:
                if http.get(url, timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            process_wait(0.1, process)
    raise AssertionError(log.read_text())


def process_wait(seconds: float, process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return


def metered(value: int) -> str:
    """A pipeline of one step that adds one, and measures something."""
    spec = yaml.safe_load(chain(1, value=value))
    outputs = spec["components"]["comp-add"]["outputDefinitions"]
    outputs["artifacts"] = {"scores": {"artifactType": {"schemaTitle": "system.Metrics", "schemaVersion": "0.0.1"}}}
    return str(yaml.safe_dump(spec))


def play(order: StepOrder) -> StepResult:
    if order.executor_input["inputs"]["parameterValues"]["x"] == 101:
        return failed("no such column")
    [slot] = order.artifacts
    scores = StoredArtifact("scores", slot.uri, metadata={"accuracy": 0.75, "note": "no number"})
    return replace(added(order), artifacts={"scores": (scores,)})


@asynccontextmanager
async def told(here: Rig, url: str) -> Any:
    loop = asyncio.ensure_future(
        Following(here.ports.store, here.ports.clock, MLflow(here.ports.store, Caller(url))).run()
    )
    await asyncio.sleep(0.05)
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


@pytest.mark.timeout(400)
async def test_mlflow_gets_a_run_for_each_run_with_its_parameters_its_state_and_no_second_one(
    server: str, tmp_path: Path
) -> None:
    async def kept(count: int, experiment: str = "team/chain") -> list[Any]:
        async with asyncio.timeout(120):
            while True:
                found = await asyncio.to_thread(program, "mlflow_runs", uri=server, experiment=experiment)
                if len(found["runs"]) >= count and all(one["status"] != "RUNNING" for one in found["runs"]):
                    return list(found["runs"])

    async with rig(tmp_path, play) as here, here.leading():
        async with told(here, server):
            good = await here.over(await here.submit(metered(1)))
            bad = await here.over(await here.submit(metered(101)))
            found = {one["tags"]["millstream.id"]: one for one in await kept(3)}
        assert (found[good.id]["status"], found[bad.id]["status"]) == ("FINISHED", "FAILED")
        assert found[good.id]["name"] == good.name and found[good.id]["metrics"] == {"accuracy": 0.75}
        [step] = [one for one in found.values() if one["tags"].get("mlflow.parentRunId") == found[good.id]["id"]]
        assert (step["name"], step["params"], step["metrics"]) == ("add-0", {"x": "1"}, {"accuracy": 0.75})
        assert 0 <= step["took_ms"] <= found[good.id]["took_ms"] + 1000
        async with here.ports.store.write() as uow:
            await uow.set_meta("tracking/mlflow", "0")  # as if it had died before it noted how far it came
        async with told(here, server):
            await here.over(await here.submit(metered(5), plugins={"mlflow": {"disabled": True}}))
            elsewhere = await here.over(await here.submit(metered(7), plugins={"mlflow": {"experiment_name": "mine"}}))
            await here.over(await here.submit(metered(3)))
            again = await kept(5)
            assert len({one["tags"]["millstream.id"] for one in again}) == len(again) == 5, [
                (one["name"], one["status"], one["params"], one["metrics"], one["tags"]["millstream.id"])
                for one in again
            ]
            assert elsewhere.id in {one["tags"]["millstream.id"] for one in await kept(2, "team/mine")}


def test_our_openlineage_events_are_those_of_its_own_client(tmp_path: Path) -> None:
    run_id, task_id = "0b3b4f2e-0f5e-5c3e-9d64-0123456789ab", "0b3b4f2e-0f5e-5c3e-9d64-0123456789aa"
    model = Artifact("model", "s3://bucket/runs/model", "system.Model", digest="sha256:9f")
    whole = task(uid=task_id, outputs=Values(artifacts={"model": (model,)}))
    ours = openlineage.of_task(RUN.__class__(**{**vars(RUN), "id": run_id}), whole, "succeeded", AT, "said")[0]
    theirs = program(
        "openlineage_event", parent=run_id, run=task_id, namespace="millstream/team", pipeline="digits",
        job="digits.for-loop-1.train", message="said", at=AT, producer=openlineage.PRODUCER,
    )  # fmt: skip
    assert _bare(ours) == _bare(theirs)


def _bare(value: Any) -> Any:
    """Without empty parts, and without who wrote a facet."""
    if isinstance(value, list):
        return [_bare(each) for each in value]
    if isinstance(value, dict):
        found = {key: _bare(each) for key, each in value.items() if key != "_producer"}
        return {key: each for key, each in found.items() if each not in ({}, [])}
    return value
