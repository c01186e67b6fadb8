"""What was made of what, and what became of it: from an artifact back to code and data, on to versions and endpoints,
and from those back; reading alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.base.errors import BadRequest, Forbidden, NotFound
from services.pipelines.domain.lineage import BOTH, DOWN, READ, UP, Edge, Graph
from services.pipelines.domain.picture.layout import picture
from services.pipelines.domain.picture.lineage import lineage_nodes
from services.pipelines.domain.picture.nodes import TooManyPlaces
from services.pipelines.domain.picture.svg import svg
from services.pipelines.domain.releases import VERSION, Release, links, plain
from services.pipelines.domain.runs import Artifact
from services.pipelines.handlers.desk import Means
from services.pipelines.handlers.runs import PLURAL
from services.pipelines.ports import Lineage, Needs


@dataclass(frozen=True)
class Lineages:
    """Raises ApiError for whatever is refused; who may look at a namespace's runs may see what they led to there."""

    means: Means

    async def around(self, user: Any, start: Artifact, direction: str) -> Graph:
        if direction not in (UP, DOWN, BOTH):
            raise BadRequest(f"direction: {direction!r} is not one of up, down, both")
        graph = await self._walked([start], (UP, DOWN) if direction == BOTH else (direction,))
        if direction != UP:
            await self._released(user, graph, start.namespace)
        return graph

    async def of_version(self, user: Any, model: str, version: str) -> Graph:
        async with self.means.look() as needs:
            found = await needs.releases.versions(f"{model}/{version}")
        return await self._behind(user, found, f"model version {model}/{version}")

    async def of_endpoint(self, user: Any, namespace: str, name: str) -> Graph:
        """Of all models that ever answered for it, as far as runs made them."""
        await self.means.allow(user, "get", PLURAL, namespace, "")
        async with self.means.look() as needs:
            found = [one for one in await needs.releases.endpoints(namespace, name) if not one.gone]
            named = [each for one in found for each in await needs.releases.versions(_asked(one))]
        return await self._behind(user, [*found, *named], f"InferenceService {namespace}/{name}")

    async def picture(self, user: Any, start: Artifact) -> str:
        """The whole of it as SVG."""
        graph = await self.around(user, start, BOTH)
        try:
            return await asyncio.to_thread(
                lambda: svg(picture(lineage_nodes(graph, start.id)), start.name, "SUCCEEDED")
            )
        except TooManyPlaces as error:
            raise BadRequest(str(error)) from error

    async def _behind(self, user: Any, releases: Sequence[Release], what: str) -> Graph:
        """From what stands for artifacts to the artifacts, and from there everywhere."""
        if not releases:
            raise NotFound(f"{what} is not known here: neither the registry nor serving has told of it")
        starts: list[Artifact] = []
        for release in releases:
            space = self._space(release)
            await self.means.allow(user, "get", PLURAL, space, "")
            async with self.means.look() as needs:
                starts += (await needs.lineage.at(space, release.uri))[:1]
        if not starts:
            places = ", ".join(sorted({one.uri for one in releases}))
            raise NotFound(f"no run here made what {what} stands for: {places}")
        graph = await self._walked(starts, (UP, DOWN))
        await self._released(user, graph, starts[0].namespace)
        return graph

    async def _walked(self, starts: Sequence[Artifact], ways: Sequence[str]) -> Graph:
        graph = Graph({start.id: start for start in starts})
        async with self.means.look() as needs:
            for start in starts:
                for way in ways:
                    await _walk(needs.lineage, graph, start, way)
            for run_id in {run_id for run_id, _ in graph.tasks.values()}:
                if run := await needs.runs.get(run_id):
                    graph.runs[run_id] = run
        return graph

    async def _released(self, user: Any, graph: Graph, namespace: str) -> None:
        """Versions and endpoints of all artifacts in the graph; those in other namespaces for who may look there."""
        places = [(one.id, one.uri) for one in graph.artifacts.values() if one.uri]
        async with self.means.look() as needs:
            found = await _hearsay(needs, [plain(uri) for _, uri in places])
        may = {"": True, namespace: True}
        for space in {one.namespace for one in found} - set(may):
            may[space] = await self._may(user, space)
        graph.releases = [one for one in found if may[one.namespace]]
        graph.links = links(places, graph.releases)

    async def _may(self, user: Any, namespace: str) -> bool:
        try:
            await self.means.allow(user, "get", PLURAL, namespace, "")
        except Forbidden:
            return False
        return True

    def _space(self, release: Release) -> str:
        """Whose runs may have made it: the place of the bytes tells, else who registered them."""
        inside = release.uri.removeprefix(f"{self.means.home}/")
        return self.means.space(release.namespace if inside == release.uri else inside.partition("/")[0])


async def _hearsay(needs: Needs, uris: Sequence[str]) -> Sequence[Release]:
    """Also who asked for a version by its name before it was told where that lies."""
    found = await needs.releases.at(uris)
    named = await needs.releases.at([one.meant_as for one in found if one.kind == VERSION])
    return list({one.node: one for one in (*found, *named)}.values())


def _asked(endpoint: Release) -> str:
    return str(endpoint.body.get("model_uri", "")).partition("://")[2]


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
