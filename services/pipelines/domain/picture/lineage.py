"""A lineage as places of a picture: artifacts, the tasks between them, and what they were released as; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter

from services.pipelines.domain.lineage import READ, Graph
from services.pipelines.domain.picture.nodes import Node, Standing, TooManyPlaces
from services.pipelines.domain.releases import VERSION, Release
from services.pipelines.domain.steps.results import LOG

PLACES_MAX = 400


def lineage_nodes(graph: Graph, start: str) -> tuple[Node, ...]:
    """`start` is the artifact around which it was looked. What steps printed is left out. Raises TooManyPlaces."""
    before: dict[str, list[str]] = {}
    for edge in graph.edges.values():
        source, target = (edge.artifact_id, edge.task_uid) if edge.way == READ else (edge.task_uid, edge.artifact_id)
        before.setdefault(target, []).append(source)
    for link in graph.links:
        if not _leads_to(before, link["from"], link["to"]):  # who writes where it read would stand before itself
            before.setdefault(link["to"], []).append(link["from"])
    found = {name: (title, told, state) for name, title, told, state in _places(graph, start)}
    if len(found) > PLACES_MAX:
        raise TooManyPlaces(f"a picture shows at most {PLACES_MAX} places, this lineage has {len(found)}")
    above = {name: tuple(each for each in before.get(name, ()) if each in found) for name in found}
    return tuple(_node(name, found[name], above[name]) for name in TopologicalSorter(above).static_order())


def _leads_to(before: Mapping[str, list[str]], here: str, there: str) -> bool:
    """Whether `there` comes (anywhere) before `here`, or is it."""
    waiting, seen = [here], {here}
    while waiting and there not in seen:
        above = [each for each in before.get(waiting.pop(), ()) if each not in seen]
        seen.update(above)
        waiting += above
    return there in seen


def _node(name: str, shown: tuple[str, str, str], above: tuple[str, ...]) -> Node:
    title, told, state = shown
    return Node(name, title, Standing({state: 1}), above, caption=told)


def _places(graph: Graph, start: str) -> Iterator[tuple[str, str, str, str]]:
    """(id, title, what it is, the state whose colour it has)."""
    for artifact in graph.artifacts.values():
        if artifact.name != LOG:
            told = artifact.kind.removeprefix("system.")
            yield artifact.id, artifact.name, told, "RUNNING" if artifact.id == start else "WAITING"
    for run_id, task in graph.tasks.values():
        run = graph.runs.get(run_id)
        yield task.uid, task.display_name or task.name, f"step of {run.name if run else run_id}", str(task.state)
    for job in graph.jobs.values():
        yield job.node, job.name, f"{job.kind}, {job.state.lower()}", job.state
    for release in graph.releases:
        yield release.node, release.name, _told(release), "CANCELED" if release.gone else "SUCCEEDED"


def _told(release: Release) -> str:
    if release.kind == VERSION:
        return "model version"
    return f"endpoint, {'gone' if release.gone else release.revision}"
