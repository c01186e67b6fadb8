"""The systems that may be told of runs: a consumer of OpenLineage's events, and an MLflow server."""

from __future__ import annotations

import json
from typing import Any

from libs.store import Reader, Store, brief
from services.pipelines.adapters.runs import ReadRuns
from services.pipelines.adapters.tracking.calling import Caller
from services.pipelines.adapters.tracking.following import Said, chunks
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.tracking import mlflow, openlineage
from services.pipelines.domain.tracking.mlflow import Tracked

TASK = brief("SELECT body FROM pipeline_tasks WHERE uid = ?1")
API = "api/2.0/mlflow"
PARAMS_MAX, METRICS_MAX = 100, 1000
"""What MLflow takes in one log-batch."""
ENDS = ("succeeded", "failed", "canceled")


class OpenLineage:
    """Posts events where `openlineage-python` would: `url` and below it `endpoint`."""

    name = "openlineage"

    def __init__(self, store: Store, caller: Caller, endpoint: str) -> None:
        self._store, self._caller, self._endpoint = store, caller, endpoint.strip("/")

    async def take(self, said: Said) -> None:
        for event in await self._events(said):
            await self._caller.tell(self._endpoint, event)

    async def _events(self, said: Said) -> list[dict[str, Any]]:
        """None for a run that was deleted since."""
        message = str(said.data.get("message") or "")
        async with self._store.read() as reader:
            run = await ReadRuns(reader).get(str(said.data["run" if said.noun == "task" else "uid"]))
            if run is None:
                return []
            if said.noun == "run":
                return openlineage.of_run(run, said.verb, said.at, message)
            task = await _task(reader, str(said.data["uid"]))
        return openlineage.of_task(run, task, said.verb, said.at, message) if task else []


class MLflow:
    """A run in MLflow for each run that is over. What is there already is found by its tag, so that a crash in the
    middle makes no second one."""

    name = "mlflow"

    def __init__(self, store: Store, caller: Caller) -> None:
        self._store, self._caller = store, caller

    async def take(self, said: Said) -> None:
        if said.noun != "run" or said.verb not in ENDS:
            return
        async with self._store.read() as reader:
            runs = ReadRuns(reader)
            run = await runs.get(str(said.data["uid"]))
            made = mlflow.tracked(run, await runs.tasks(run.id)) if run else None
        if made is None or run is None or (asked := run.options.plugins.get(self.name, {})).get("disabled"):
            return
        name = str(asked.get("experiment_name") or run.pipeline_name or run.name)
        experiment = await self._experiment(f"{run.namespace}/{name.removeprefix(f'{run.namespace}/')}")
        parent = await self._keep(experiment, made, {})
        for step in made.steps:
            await self._keep(experiment, step, {"mlflow.parentRunId": parent})

    async def _experiment(self, name: str) -> str:
        from urllib.parse import quote

        found = await self._caller.call(
            "GET", f"{API}/experiments/get-by-name?experiment_name={quote(name, '')}", absent=404
        )
        if found is None:
            found = await self._caller.call("POST", f"{API}/experiments/create", {"name": name})
            return str((found or {})["experiment_id"])
        return str(found["experiment"]["experiment_id"])

    async def _keep(self, experiment: str, made: Tracked, more: dict[str, str]) -> str:
        id = await self._found(experiment, made.id) or await self._create(experiment, made, more)
        params = [{"key": name, "value": value} for name, value in made.params.items()]
        metrics = [
            {"key": name, "value": value, "timestamp": made.ended_ms, "step": 0} for name, value in made.metrics.items()
        ]
        for some in chunks(params, PARAMS_MAX):
            await self._post("runs/log-batch", {"run_id": id, "params": some})
        for some in chunks(metrics, METRICS_MAX):
            await self._post("runs/log-batch", {"run_id": id, "metrics": some})
        await self._post("runs/update", {"run_id": id, "status": made.status, "end_time": made.ended_ms})
        return id

    async def _found(self, experiment: str, id: str) -> str | None:
        wanted = f"tags.`{mlflow.TAG}` = '{id}'"
        told = await self._post("runs/search", {"experiment_ids": [experiment], "filter": wanted, "max_results": 1})
        runs = told.get("runs") or []
        return str(runs[0]["info"]["run_id"]) if runs else None

    async def _create(self, experiment: str, made: Tracked, more: dict[str, str]) -> str:
        tags = [{"key": key, "value": value} for key, value in {**made.tags, **more}.items()]
        body = {"experiment_id": experiment, "run_name": made.name, "start_time": made.began_ms, "tags": tags}
        return str((await self._post("runs/create", body))["run"]["info"]["run_id"])

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._caller.call("POST", f"{API}/{path}", body) or {}


async def _task(reader: Reader, uid: str) -> TaskRecord | None:
    found = await reader.rows(TASK, uid)
    return TaskRecord.from_json(json.loads(found[0][0])) if found else None
