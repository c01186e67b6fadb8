"""What was made of what: tasks, artifacts and the edges between them; the runs themselves may be gone by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.pipelines.domain.catalog.items import shown_time
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.jobs import Job
from services.pipelines.domain.releases import ENDPOINT, VERSION, Release
from services.pipelines.domain.runs import Artifact, Run

READ, WROTE, REUSED = "in", "out", "reused"
UP, DOWN, BOTH = "up", "down", "both"
NODES_MAX = 2000
TYPES = {
    "Artifact": "system.Artifact",
    "Model": "system.Model",
    "Dataset": "system.Dataset",
    "HTML": "system.HTML",
    "Markdown": "system.Markdown",
    "Metric": "system.Metrics",
    "ClassificationMetric": "system.ClassificationMetrics",
    "SlicedClassificationMetric": "system.SlicedClassificationMetrics",
}
"""From KFP's ArtifactType to the schema titles of its compiled pipelines; their numbers count from 1 in this order."""
_WORDS = {title: word for word, title in TYPES.items()}
Object = dict[str, Any]


@dataclass(frozen=True)
class Edge:
    """That a task read an artifact (`way` is in), wrote it (out), or took it from the cache (reused), under a name."""

    task_uid: str
    way: str
    name: str
    artifact_id: str
    run_id: str

    def shown(self) -> Object:
        return {"task_id": self.task_uid, "artifact_id": self.artifact_id, "kind": self.way, "name": self.name}


@dataclass
class Graph:
    """What was found around one artifact. `is_whole` is False where it was too much to tell."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    tasks: dict[str, tuple[str, TaskRecord]] = field(default_factory=dict)
    edges: dict[tuple[str, str, str, str], Edge] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    """By uid."""
    releases: Sequence[Release] = ()
    links: Sequence[Mapping[str, str]] = ()
    """To jobs, versions and endpoints, and on from those, by their ids."""
    is_whole: bool = True

    @property
    def is_full(self) -> bool:
        return len(self.artifacts) + len(self.tasks) + len(self.jobs) >= NODES_MAX

    def shown(self) -> Object:
        return {
            "artifacts": [shown(artifact) for artifact in self.artifacts.values()],
            "tasks": [_task(run_id, task) for run_id, task in self.tasks.values()],
            "runs": [_run(run) for run in self.runs.values()],
            "edges": [edge.shown() for edge in self.edges.values()],
            "jobs": [job.shown() for job in self.jobs.values()],
            "model_versions": [one.shown() for one in self.releases if one.kind == VERSION],
            "endpoints": [one.shown() for one in self.releases if one.kind == ENDPOINT],
            "links": list(self.links),
            "is_whole": self.is_whole,
        }


def shown(artifact: Artifact, link: str = "") -> Object:
    """An artifact as the API tells it; `digest` is empty where nobody has read its bytes. Beside the fields of KFP's
    artifact.proto stand ours (digest, run_id, task_id)."""
    provider, _, path = artifact.uri.partition("://")
    return {
        "artifact_id": artifact.id,
        "name": artifact.name,
        "type": _WORDS.get(artifact.kind, "Artifact"),
        "artifact_type": artifact.kind,
        "uri": artifact.uri,
        "storage_provider": provider if path else "",
        "storage_path": path.partition("/")[2],
        "artifact_size": str(artifact.size),
        "metadata": dict(artifact.metadata),
        "namespace": artifact.namespace,
        "created_at": shown_time(artifact.created_ms),
        "last_updated_at": shown_time(artifact.created_ms),
        "digest": artifact.digest,
        "run_id": artifact.run_id,
        "task_id": artifact.task_uid,
        **_metadata(artifact),
        **({"download_url": link} if link else {}),
    }


def _metadata(artifact: Artifact) -> Object:
    """What KFP has fields of its own for: a description, and the value of a metric of the artifact's name."""
    description, number = artifact.metadata.get("description"), artifact.metadata.get(artifact.name)
    is_metric = artifact.kind == TYPES["Metric"] and isinstance(number, int | float) and not isinstance(number, bool)
    told = {"description": description} if isinstance(description, str) else {}
    return {**told, "number_value": number} if is_metric else told


def _run(run: Run) -> Object:
    """`spec` is the digest of the compiled pipeline: all the code that the run's steps were."""
    return {
        "run_id": run.id,
        "display_name": run.name,
        "pipeline": run.pipeline_name,
        "pipeline_id": run.pipeline_id,
        "pipeline_version_id": run.version_id,
        "spec": run.spec,
        "state": run.state,
        "parameters": dict(run.parameters),
        "created_at": shown_time(run.created_ms),
    }


def _task(run_id: str, task: TaskRecord) -> Object:
    return {
        "task_id": task.uid,
        "run_id": run_id,
        "path": task.path,
        "name": task.display_name or task.name,
        "component": task.component,
        "state": str(task.state),
        "parameters": dict(task.inputs.parameters),
    }
