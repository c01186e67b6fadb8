"""Tasks and artifacts of runs with all that is known of them, and what was made of what; reading alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from libs.base.errors import BadRequest
from services.pipelines.domain import lineage
from services.pipelines.domain.lineage import BOTH, DOWN, READ, UP, Edge, Graph
from services.pipelines.domain.runs import Artifact, Run
from services.pipelines.handlers.desk import Means, Object, there
from services.pipelines.handlers.runs import PLURAL
from services.pipelines.ports import Lineage


@dataclass(frozen=True)
class Artifacts:
    """Whoever may look at runs of a namespace may look at what they made; raises ApiError for whatever is refused."""

    means: Means

    async def tasks(self, user: Any, run_id: str) -> Object:
        """The run's tasks as they are recorded, with why their outputs came from the cache or not."""
        async with self.means.look() as needs:
            run: Run = there(await needs.runs.get(run_id), "run", run_id)
            found, reasons = await needs.runs.tasks(run_id), await needs.runs.cache_reasons(run_id)
        await self.means.allow(user, "get", PLURAL, run.namespace, run.name)
        return {"items": [{**task.to_json(), "cache": reasons.get(task.uid, "")} for task in found]}

    async def of_run(self, user: Any, run_id: str) -> Object:
        async with self.means.look() as needs:
            run: Run = there(await needs.runs.get(run_id), "run", run_id)
            found = await needs.runs.artifacts(run_id)
        await self.means.allow(user, "get", PLURAL, run.namespace, run.name)
        return {"items": [lineage.shown(each) for each in found]}

    async def at(self, user: Any, namespace: str, uri: str) -> Object:
        """The artifacts that lie at a URI, the newest first."""
        if not uri:
            raise BadRequest("uri: missing: name the artifact's place, such as s3://bucket/pipelines/...")
        space = self.means.space(namespace)
        await self.means.allow(user, "list", PLURAL, space, "")
        async with self.means.look() as needs:
            found = await needs.lineage.at(space, uri)
        return {"items": [lineage.shown(each) for each in found]}

    async def get(self, user: Any, id: str) -> Object:
        return lineage.shown(await self.fetched(user, id))

    async def lineage(self, user: Any, id: str, direction: str) -> Object:
        """What the artifact was made of, what was made of it, or both, as far as it goes."""
        if direction not in (UP, DOWN, BOTH):
            raise BadRequest(f"direction: {direction!r} is not one of up, down, both")
        start = await self.fetched(user, id)
        graph = Graph({start.id: start})
        async with self.means.look() as needs:
            for way in (UP, DOWN) if direction == BOTH else (direction,):
                await _walk(needs.lineage, graph, start, way)
        return graph.shown()

    async def fetched(self, user: Any, id: str) -> Artifact:
        async with self.means.look() as needs:
            found: Artifact = there(await needs.lineage.artifact(id), "artifact", id)
        await self.means.allow(user, "get", PLURAL, found.namespace, "")
        return found


async def _walk(kept: Lineage, graph: Graph, start: Artifact, way: str) -> None:
    """Upwards: the tasks that gave the artifact, and what those read. Downwards: those that read it, and what they
    gave. Never leaves the namespace, since artifacts of others are not read."""
    seen, waiting = {start.id}, deque([start.id])
    while waiting:
        for edge in await kept.of_artifact(waiting.popleft()):
            if (edge.way == READ) == (way == UP):
                continue
            for other in await _beyond(kept, graph, edge, way):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        if graph.is_full:
            graph.is_whole = False
            return


async def _beyond(kept: Lineage, graph: Graph, edge: Edge, way: str) -> list[str]:
    """The ids of the artifacts on the other side of the edge's task, which is noted with all that lies between."""
    task = await kept.task(edge.task_uid)
    if task is None:
        return []
    graph.tasks[edge.task_uid] = task
    _note(graph, edge)
    found = []
    for other in await kept.of_task(edge.task_uid):
        if (other.way == READ) == (way == UP) and (artifact := await kept.artifact(other.artifact_id)):
            graph.artifacts[artifact.id] = artifact
            _note(graph, other)
            found.append(artifact.id)
    return found


def _note(graph: Graph, edge: Edge) -> None:
    graph.edges[edge.task_uid, edge.way, edge.name, edge.artifact_id] = edge
