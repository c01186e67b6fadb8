"""OpenLineage's RunEvents (spec 2-0-2) of a run and its tasks; pure: the letters that were said and the rows beside
them are all it knows. A consumer may get an event twice: it is the same then, to the last letter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from services.pipelines.domain.engine.records import Artifact, TaskRecord, Values
from services.pipelines.domain.runs import Run
from services.pipelines.domain.steps.results import LOG

PRODUCER = "https://millstream.dev/pipelines"
SPEC = "https://openlineage.io/spec"
SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
RUN_STATES = {"started": "START", "succeeded": "COMPLETE", "failed": "FAIL", "canceled": "ABORT"}
TASK_STATES = {**RUN_STATES, "retried": "OTHER"}

Json = dict[str, Any]


def of_run(run: Run, verb: str, at: str, message: str = "") -> list[Json]:
    """`verb` is the last word of what was said about the run; nothing for one that OpenLineage has no word for."""
    state = RUN_STATES.get(verb)
    return [_event(state, at, run.id, _job(run), "PIPELINE", message=message)] if state else []


def of_task(run: Run, task: TaskRecord, verb: str, at: str, message: str = "") -> list[Json]:
    """A task that did not run itself, since its outputs were known, begins and ends at once."""
    state = TASK_STATES.get(verb)
    if state is None or (state == "START" and task.attempt > 1):
        return []
    parent = {"run": {"runId": run.id}, "job": _job(run)}
    job = {**_job(run), "name": f"{_job(run)['name']}.{_place(task.path)}"}
    inputs = datasets(task.inputs)
    outputs = datasets(task.outputs) if state == "COMPLETE" else []
    states = ("START", state) if state == "COMPLETE" and task.cached_from else (state,)
    return [
        _event(each, at, task.uid, job, "TASK", parent, message, inputs, outputs if each == "COMPLETE" else [])
        for each in states
    ]


def datasets(values: Values) -> list[Json]:
    """The artifacts, each once; what a step printed is none."""
    found = [each for name, many in sorted(values.artifacts.items()) if name != LOG for each in many]
    return [*{(made["namespace"], made["name"]): made for made in map(dataset, found)}.values()]


def dataset(artifact: Artifact) -> Json:
    """By the naming rules of OpenLineage: the store is the namespace, the path in it the name."""
    parts = urlsplit(artifact.uri)
    namespace = f"{parts.scheme}://{parts.netloc}" if parts.netloc else parts.scheme or "file"
    facets: Json = {"type": _facet("1-0-1", "DatasetTypeDatasetFacet", datasetType=artifact.schema_title)}
    if artifact.digest:
        facets["version"] = _facet("1-0-1", "DatasetVersionDatasetFacet", datasetVersion=artifact.digest)
    return {"namespace": namespace, "name": parts.path.lstrip("/") or "/", "facets": facets}


def _event(
    state: str,
    at: str,
    run_id: str,
    job: Json,
    kind: str,
    parent: Json | None = None,
    message: str = "",
    inputs: Sequence[Json] = (),
    outputs: Sequence[Json] = (),
) -> Json:
    run_facets: Json = {}
    if parent:
        run_facets["parent"] = _facet("1-2-0", "ParentRunFacet", **parent)
    if message:
        told = {"message": message, "programmingLanguage": "PYTHON"}
        run_facets["errorMessage"] = _facet("1-0-1", "ErrorMessageRunFacet", **told)
    what = {"processingType": "BATCH", "integration": "MILLSTREAM", "jobType": kind}
    return {
        "eventType": state,
        "eventTime": at,
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": run_id, "facets": run_facets},
        "job": {**job, "facets": {"jobType": _facet("2-0-4", "JobTypeJobFacet", **what)}},
        "inputs": [*inputs],
        "outputs": [*outputs],
    }


def _job(run: Run) -> Json:
    return {"namespace": f"millstream/{run.namespace}", "name": run.pipeline_name or run.name}


def _place(path: str) -> str:
    """The task's place without the numbers of iterations: all iterations are runs of one job."""
    parts = path.removeprefix("root/").split("/")
    return ".".join(part for part in parts if not re.fullmatch(r"\d+", part))


def _facet(version: str, name: str, **fields: Any) -> Mapping[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}", **fields}
