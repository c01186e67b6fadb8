"""What one attempt of a step is told: a pure function of the pipeline, the run and the task's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.base import rfc3339
from services.pipelines.domain.engine.records import Artifact, TaskRecord
from services.pipelines.domain.engine.words import RunFacts
from services.pipelines.domain.ir.model import Component, ContainerExecutor, Pipeline
from services.pipelines.domain.steps import places
from services.pipelines.domain.steps.placeholders import Scope
from services.pipelines.domain.steps.platform import resolved
from services.pipelines.domain.steps.resources import resources
from services.pipelines.domain.steps.values import ArtifactSlot, Json, StepOrder
from services.pipelines.domain.steps.workspace import workspace


def order(pipeline: Pipeline, record: TaskRecord, run: RunFacts) -> StepOrder:
    """Raises PlaceholderError (a ValueError) where a placeholder means nothing for this task, and ValueError for a
    quantity that is none: the task then fails before a pod is made."""
    component = pipeline.components[record.component]
    executor = pipeline.executor_of(record.component)
    if not isinstance(executor, ContainerExecutor):
        raise ValueError(f"{record.path}: component {record.component} runs no container")
    root = places.attempt_root(run.root, record.path, record.attempt)
    slots = _slots(component, root)
    files = {name: places.parameter_file(name) for name in component.outputs.parameters}
    told = _executor_input(record, component, slots, files)
    outputs = {slot.name: _artifact(slot, component) for slot in slots}
    scope = Scope(record.inputs, facts(run, record, pipeline), outputs, files, told)
    return StepOrder(
        run_id=run.id,
        namespace=run.namespace,
        uid=record.uid,
        attempt=record.attempt,
        path=record.path,
        name=record.name,
        component=record.component,
        image=scope.resolve(executor.image),
        command=tuple(word for each in (*executor.command, *executor.args) for word in scope.words(each)),
        executor_input=told,
        parameters={name: str(spec.type) for name, spec in component.outputs.parameters.items()},
        optional_parameters=frozenset(n for n, spec in component.outputs.parameters.items() if spec.optional),
        artifacts=tuple(slots),
        env=tuple((name, scope.resolve(value)) for name, value in executor.env),
        resources=resources(executor.resources, scope),
        platform=resolved(pipeline.kubernetes.get(executor.name) or {}, scope),
        digests=_digests(record),
        workspace=workspace(pipeline.config, run.id, run.namespace),
        root=root,
    )


def _digests(record: TaskRecord) -> dict[str, str]:
    given = (each for many in record.inputs.artifacts.values() for each in many)
    return {each.uri: each.digest for each in given if each.digest}


def facts(run: RunFacts, record: TaskRecord, pipeline: Pipeline) -> dict[str, str]:
    """The placeholders that speak of the run and the task as such."""
    return {
        "pipeline_job_name": run.name,
        "pipeline_job_uuid": run.id,
        "pipeline_job_resource_name": run.id,
        "pipeline_job_create_time_utc": rfc3339(run.created_at),
        "pipeline_job_schedule_time_utc": rfc3339(run.scheduled_at or run.created_at),
        "pipeline_task_name": record.name,
        "pipeline_task_uuid": record.uid,
        "pipeline_root": run.root,
        "workspace_path": places.WORKSPACE,
        "pipeline_name": pipeline.name,
        "outputs.output_file": places.executor_output(),
        "outputs.output_metadata_uri": places.executor_output(),
    }


def _slots(component: Component, root: str) -> list[ArtifactSlot]:
    return [
        ArtifactSlot(name, places.artifact_uri(root, name), spec.schema_title, spec.schema_version, spec.is_list)
        for name, spec in component.outputs.artifacts.items()
    ]


def _artifact(slot: ArtifactSlot, component: Component) -> Artifact:
    spec = component.outputs.artifacts[slot.name]
    return Artifact(slot.name, slot.uri, spec.schema_title, spec.schema_version, spec.metadata)


def _executor_input(
    record: TaskRecord, component: Component, slots: list[ArtifactSlot], files: Mapping[str, str]
) -> Json:
    given = {name: [_runtime(each) for each in many] for name, many in record.inputs.artifacts.items()}
    wanted = {slot.name: {"artifacts": [_runtime(_artifact(slot, component))]} for slot in slots}
    return {
        "inputs": {
            "parameterValues": dict(record.inputs.parameters),
            "artifacts": {name: {"artifacts": many} for name, many in given.items()},
        },
        "outputs": {
            "parameters": {name: {"outputFile": path} for name, path in files.items()},
            "artifacts": wanted,
            "outputFile": places.executor_output(),
        },
    }


def _runtime(artifact: Artifact) -> dict[str, Any]:
    """KFP's RuntimeArtifact and nothing else: kfp's executor builds its own object of what it finds here."""
    return {
        "name": artifact.name,
        "type": {"schemaTitle": artifact.schema_title, "schemaVersion": artifact.schema_version},
        "uri": artifact.uri,
        "metadata": dict(artifact.metadata),
    }
