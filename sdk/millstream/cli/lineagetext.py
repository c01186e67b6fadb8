"""A lineage as text: trees of what lies before an artifact, after it, and of what all of it was released as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from millstream.cli.pipelineshow import LOGS

REGISTRY = "model-registry://"
RELEASED = ("registered", "serves")
Told = dict[str, Any]


def trees(told: Told, of: str) -> Iterator[Tree]:
    """Around the artifact of this id, or the first where something else was asked for."""
    ids = [one["artifact_id"] for one in told["artifacts"]]
    for start in [of] if of in ids else ids[:1]:
        yield Branches(told, upwards=True).tree(start, "made from")
        after = Branches(told, upwards=False).tree(start, "used by")
        if after.children:
            yield after
    if any(one["kind"] in RELEASED for one in told["links"]):
        yield _releases(told)


class Branches:
    """The tasks and jobs beside an artifact, and the artifacts beyond them, each once: those that made it, or else
    those that took it."""

    def __init__(self, told: Told, *, upwards: bool) -> None:
        self._made = {one["artifact_id"]: one for one in told["artifacts"]}
        self._tasks = {task["task_id"]: task for task in told["tasks"]}
        self._jobs = {job["id"]: job for job in told["jobs"]}
        self._edges, self._links, self._up = told["edges"], told["links"], upwards
        self._seen: set[str] = set()

    def tree(self, start: str, title: str) -> Tree:
        whole = Tree(f"{_artifact(self._made, start)} [dim]{title}[/]")
        self._add(whole, start)
        return whole

    def _add(self, tree: Tree, id: str) -> None:
        if id in self._seen:
            return
        self._seen.add(id)
        here, beyond = ("out", "in") if self._up else ("in", "out")
        for edge in (one for one in self._edges if one["artifact_id"] == id and one["kind"] == here):
            task = self._tasks[edge["task_id"]]
            branch = tree.add(f"{escape(task['path'].removeprefix('root/'))} {escape(_short(task['parameters']))}")
            for job in self._ends("started", "from", task["task_id"]):
                branch.add(f"started {_job(self._jobs[job])}")
            for other in self._edges:
                if other["task_id"] == edge["task_id"] and other["kind"] == beyond and other["name"] != LOGS:
                    self._artifact(branch, other["artifact_id"])
        self._add_jobs(tree, id)

    def _add_jobs(self, tree: Tree, id: str) -> None:
        """Those that no task in here started: with the task all is said."""
        near, far = (("made", "to"), ("read", "to")) if self._up else (("read", "from"), ("made", "from"))
        for job in self._ends(*near, id):
            if not self._ends("started", "to", job):
                branch = tree.add(_job(self._jobs[job]))
                for other in self._ends(*far, job):
                    self._artifact(branch, other)

    def _artifact(self, tree: Tree, id: str) -> None:
        self._add(tree.add(_artifact(self._made, id)), id)

    def _ends(self, kind: str, end: str, id: str) -> list[str]:
        """The other ends of the links that have `id` at this end."""
        other = "to" if end == "from" else "from"
        return [link[other] for link in self._links if link["kind"] == kind and link[end] == id]


def _releases(told: Told) -> Tree:
    """From artifacts (or jobs, where no run knows what they made) to versions to endpoints."""
    made = {one["artifact_id"]: one for one in told["artifacts"]}
    names = {one["id"]: _job(one) for one in told["jobs"]}
    for one in told["model_versions"]:
        names[one["id"]] = f"[bold]{REGISTRY}{escape(one['model'])}/{escape(one['version'])}[/]"
    for one in told["endpoints"]:
        state = "gone" if one["gone"] else one["url"]
        names[one["id"]] = (
            f"[bold]inferenceservice/{escape(one['name'])}[/] {escape(one['revision'])} [dim]{escape(state)}[/]"
        )
    whole, found = Tree("registered and served as"), {}
    for link in (one for one in told["links"] if one["kind"] in RELEASED):
        if link["from"] not in found:
            found[link["from"]] = whole.add(names.get(link["from"]) or _artifact(made, link["from"]))
        found.setdefault(link["to"], found[link["from"]].add(names[link["to"]]))
    return whole


def _job(job: Told) -> str:
    return f"{escape(job['kind'])} [bold]{escape(job['name'])}[/] [dim]{job['state'].lower()}[/]"


def _artifact(made: Told, id: str) -> str:
    one = made.get(id)
    return f"[bold]{escape(one['name'])}[/] {escape(one['type'])} [dim]{escape(one['uri'])}[/]" if one else id


def _short(parameters: Told) -> str:
    text = ", ".join(f"{name}={json.dumps(value)}" for name, value in parameters.items())
    return f"({text})" if len(text) <= 100 else f"({text[:97]}...)"
