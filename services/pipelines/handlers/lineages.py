"""What was made of what, and what became of it: from an artifact back to code and data, on to versions and endpoints,
and from those back; reading alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.base.errors import BadRequest, Forbidden, NotFound
from services.pipelines.domain.jobs import Job, job_links
from services.pipelines.domain.lineage import BOTH, DOWN, UP, Graph
from services.pipelines.domain.picture.layout import picture
from services.pipelines.domain.picture.lineage import lineage_nodes
from services.pipelines.domain.picture.nodes import TooManyPlaces
from services.pipelines.domain.picture.svg import svg
from services.pipelines.domain.releases import VERSION, Release, links, plain
from services.pipelines.domain.runs import Artifact
from services.pipelines.handlers.desk import Means
from services.pipelines.handlers.runs import PLURAL
from services.pipelines.handlers.walking import Walk
from services.pipelines.ports import Needs


@dataclass(frozen=True)
class Lineages:
    """Raises ApiError for whatever is refused; who may look at a namespace's runs may see what they led to there."""

    means: Means

    async def around(self, user: Any, start: Artifact, direction: str) -> Graph:
        if direction not in (UP, DOWN, BOTH):
            raise BadRequest(f"direction: {direction!r} is not one of up, down, both")
        graph = await self._walked([start], (UP, DOWN) if direction == BOTH else (direction,))
        await self._linked(user, graph, start.namespace, on=direction != UP)
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
        jobs = await self._makers(user, releases)
        for release in releases:
            space = self._space(release)
            await self.means.allow(user, "get", PLURAL, space, "")
            async with self.means.look() as needs:
                if found := await needs.lineage.newest_at(space, release.uri):
                    starts.append(found)
        if not starts and not jobs:
            places = ", ".join(sorted({one.uri for one in releases}))
            raise NotFound(f"no run here made what {what} stands for: {places}")
        graph = await self._walked(starts, (UP, DOWN), jobs)
        await self._linked(user, graph, starts[0].namespace if starts else jobs[0].namespace, on=True)
        return graph

    async def _makers(self, user: Any, versions: Sequence[Release]) -> Sequence[Job]:
        """The jobs for which the registry recorded them, in namespaces where the user may look."""
        async with self.means.look() as needs:
            found = await needs.jobs.named(str(one.body.get("job_uid", "")) for one in versions if one.kind == VERSION)
        return [job for job in found if await self._may(user, job.namespace)]

    async def _walked(self, starts: Sequence[Artifact], ways: Sequence[str], jobs: Sequence[Job] = ()) -> Graph:
        graph = Graph()
        async with self.means.look() as needs:
            for way in ways:
                await Walk(needs, graph, way).go(starts, jobs)
            for run_id in {run_id for run_id, _ in graph.tasks.values()}:
                if run := await needs.runs.get(run_id):
                    graph.runs[run_id] = run
        return graph

    async def _linked(self, user: Any, graph: Graph, namespace: str, *, on: bool) -> None:
        """What leads from tasks and artifacts to jobs; with `on` to versions and endpoints, too, those in other
        namespaces for who may look there."""
        places = [(one.id, one.uri) for one in graph.artifacts.values() if one.uri]
        if on:
            await self._released(user, graph, namespace, [plain(uri) for _, uri in places])
        jobs = job_links(graph.jobs.values(), graph.tasks, places, graph.releases)
        graph.links = [*jobs, *links(places, graph.releases)]

    async def _released(self, user: Any, graph: Graph, namespace: str, uris: Sequence[str]) -> None:
        made = [job.model_uri for job in graph.jobs.values() if job.model_uri]
        async with self.means.look() as needs:
            found = await _hearsay(needs, [*uris, *made])
        may = {"": True, namespace: True}
        for space in {one.namespace for one in found} - set(may):
            may[space] = await self._may(user, space)
        graph.releases = [one for one in found if may[one.namespace]]

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
