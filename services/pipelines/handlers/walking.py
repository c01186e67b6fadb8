"""From an artifact or a job over tasks and jobs to all that it was made of, or that was made of it; reading alone.

It never leaves a namespace: a job may call itself the child of any task, and is believed where both are of one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from services.pipelines.domain.jobs import Job
from services.pipelines.domain.lineage import READ, UP, Edge, Graph
from services.pipelines.domain.releases import plain
from services.pipelines.domain.runs import Artifact
from services.pipelines.ports import Needs


class Walk:
    """Upwards (`way` is up): what gave the artifact, and what those read. Downwards: what read it, and what they
    gave. What is found goes into the graph, which says whether it was too much."""

    def __init__(self, needs: Needs, graph: Graph, way: str) -> None:
        self._needs, self._graph, self._up = needs, graph, way == UP
        self._waiting: deque[Artifact] = deque()
        self._seen: set[str] = set()

    async def go(self, artifacts: Iterable[Artifact], jobs: Iterable[Job] = ()) -> None:
        for artifact in artifacts:
            self._next(artifact)
        for job in jobs:
            await self._job(job)
        while self._waiting:
            await self._artifact(self._waiting.popleft())
            if self._graph.is_full:
                self._graph.is_whole = False
                return

    def _next(self, artifact: Artifact) -> None:
        self._graph.artifacts[artifact.id] = artifact
        if artifact.id not in self._seen:
            self._seen.add(artifact.id)
            self._waiting.append(artifact)

    async def _artifact(self, artifact: Artifact) -> None:
        jobs, uri = self._needs.jobs, plain(artifact.uri)
        for edge in await self._needs.lineage.of_artifact(artifact.id):
            if (edge.way == READ) != self._up and await self._task(edge.task_uid, artifact.namespace):
                self._note(edge)
        for job in await (jobs.making if self._up else jobs.reading)(artifact.namespace, uri):
            await self._job(job)

    async def _task(self, uid: str, namespace: str) -> bool:
        """Whether it is known; with what lies on its other side, and the jobs that it started."""
        task = await self._needs.lineage.task(uid)
        if task is None:
            return False
        if uid in self._seen:
            return True
        self._seen.add(uid)
        self._graph.tasks[uid] = task
        for other in await self._needs.lineage.of_task(uid):
            if (other.way == READ) == self._up and (artifact := await self._needs.lineage.artifact(other.artifact_id)):
                self._note(other)
                self._next(artifact)
        for job in await self._needs.jobs.of_task(namespace, uid):
            await self._job(job)
        return True

    async def _job(self, job: Job) -> None:
        if job.node in self._seen:
            return
        self._seen.add(job.node)
        self._graph.jobs[job.uid] = job
        place = job.dataset_uri if self._up else job.model_uri
        if place and (artifact := await self._needs.lineage.newest_at(job.namespace, place)):
            self._next(artifact)
        if self._up and job.task_uid and await self._is_of(job.namespace, job.task_uid):
            await self._task(job.task_uid, job.namespace)

    async def _is_of(self, namespace: str, task_uid: str) -> bool:
        task = await self._needs.lineage.task(task_uid)
        run = await self._needs.runs.get(task[0]) if task else None
        return run is not None and run.namespace == namespace

    def _note(self, edge: Edge) -> None:
        self._graph.edges[edge.task_uid, edge.way, edge.name, edge.artifact_id] = edge
