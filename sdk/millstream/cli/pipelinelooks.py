"""`millstream pipeline cache|artifacts|lineage`: why tasks ran, and what they made of what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.tree import Tree

from millstream.cli.options import Home, Namespace, connect
from millstream.cli.show import BAD, GOOD, out, plain_table

API = "/pipelines/v1"
REGISTRY, SERVICE = "model-registry://", "inferenceservice/"
RunWord = Annotated[str, typer.Argument(metavar="RUN", help="A run's id or its name")]
Output = Annotated[str, typer.Option("--output", "-o", help="table or json")]


def cache(run: RunWord, namespace: Namespace = "default", output: Output = "table", home: Home = None) -> None:
    """Why each step's outputs came from the cache, or did not."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, run, namespace)
        told = client.request("GET", f"{API}/runs/{found['run_id']}/cache").json()["tasks"]
    if output == "json":
        out.print_json(json.dumps(told))
        return
    rows = [[escape(one["path"].removeprefix("root/")), _coloured(one["cache"])] for one in told]
    out.print(plain_table(["TASK", "CACHE"], rows) if rows else "no step was looked up in the cache")


def artifacts(run: RunWord, namespace: Namespace = "default", output: Output = "table", home: Home = None) -> None:
    """What the run made and imported."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, run, namespace)
        told = client.request("GET", f"{API}/runs/{found['run_id']}/artifacts").json()["artifacts"]
    if output == "json":
        out.print_json(json.dumps(told))
        return
    rows = [[one["artifact_id"], one["name"], one["type"], one["artifact_size"], one["uri"]] for one in told]
    out.print(
        plain_table(["ARTIFACT", "NAME", "TYPE", "BYTES", "URI"], rows, whole="ARTIFACT")
        if rows
        else "the run made none"
    )


def lineage(
    of: Annotated[
        str,
        typer.Argument(
            help="An artifact's id (`millstream pipeline artifacts RUN` lists them), model-registry://NAME/VERSION "
            "or inferenceservice/NAME"
        ),
    ],
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw it into this file; of an artifact")] = None,
    namespace: Namespace = "default",
    output: Annotated[str, typer.Option("--output", "-o", help="tree or json")] = "tree",
    home: Home = None,
) -> None:
    """What an artifact was made from, step by step, what was made from it, and where that is registered and served."""
    with connect(home) as client:
        told = client.request("GET", f"{API}/{_place(of, namespace)}/lineage").json()
        if svg is not None:
            svg.write_text(client.request("GET", f"{API}/{_place(of, namespace)}/lineage.svg").text)
    if output == "json":
        out.print_json(json.dumps(told))
        return
    made = {one["artifact_id"]: one for one in told["artifacts"]}
    for artifact in [next(iter(made))] if of not in made else [of]:
        out.print(_branch(told, made, artifact, "out", "made from"))
        if any(edge["kind"] == "in" and edge["artifact_id"] == artifact for edge in told["edges"]):
            out.print(_branch(told, made, artifact, "in", "gone into"))
    if told["links"]:
        out.print(_releases(told, made))
    if not told["is_whole"]:
        out.print("there is more of it: -o json says where it was cut", style="dim")


def _place(word: str, namespace: str) -> str:
    """The path of what is meant."""
    if word.startswith(REGISTRY):
        model, _, version = word.removeprefix(REGISTRY).partition("/")
        return f"models/{quote(model, safe='')}/versions/{quote(version, safe='')}"
    if word.startswith(SERVICE):
        return f"endpoints/{namespace}/{quote(word.removeprefix(SERVICE), safe='')}"
    return f"artifacts/{quote(word, safe='')}"


def _releases(told: dict[str, Any], made: dict[str, Any]) -> Tree:
    """From artifacts to versions to endpoints."""
    names = {
        one["id"]: f"[bold]{REGISTRY}{escape(one['model'])}/{escape(one['version'])}[/]"
        for one in told["model_versions"]
    }
    for one in told["endpoints"]:
        state = "gone" if one["gone"] else one["url"]
        names[one["id"]] = (
            f"[bold]inferenceservice/{escape(one['name'])}[/] {escape(one['revision'])} [dim]{escape(state)}[/]"
        )
    whole, trees = Tree("released as"), {}
    for link in told["links"]:
        if link["from"] not in trees:
            trees[link["from"]] = whole.add(names.get(link["from"]) or _artifact(made, link["from"]))
        trees.setdefault(link["to"], trees[link["from"]].add(names[link["to"]]))
    return whole


def _branch(told: dict[str, Any], made: dict[str, Any], root: str, towards: str, title: str) -> Tree:
    """The tasks beside an artifact and the artifacts beyond them, each once; `towards` is the edge from the artifact to
    the task: `out` for who made it, `in` for who took it."""
    beyond = "in" if towards == "out" else "out"
    tasks = {task["task_id"]: task for task in told["tasks"]}
    seen: set[str] = set()

    def add(tree: Tree, id: str) -> None:
        if id in seen:
            return
        seen.add(id)
        for edge in (one for one in told["edges"] if one["artifact_id"] == id and one["kind"] == towards):
            task = tasks[edge["task_id"]]
            branch = tree.add(f"{escape(task['path'].removeprefix('root/'))} {escape(_short(task['parameters']))}")
            for other in told["edges"]:
                if other["task_id"] == edge["task_id"] and other["kind"] == beyond:
                    add(branch.add(_artifact(made, other["artifact_id"])), other["artifact_id"])

    whole = Tree(f"{_artifact(made, root)} [dim]{title}[/]")
    add(whole, root)
    return whole


def _artifact(made: dict[str, Any], id: str) -> str:
    one = made.get(id)
    return f"[bold]{escape(one['name'])}[/] {escape(one['type'])} [dim]{escape(one['uri'])}[/]" if one else id


def _short(parameters: dict[str, Any]) -> str:
    text = ", ".join(f"{name}={json.dumps(value)}" for name, value in parameters.items())
    return f"({text})" if len(text) <= 100 else f"({text[:97]}...)"


def _coloured(why: str) -> str:
    return f"[{GOOD if why.startswith('hit') else BAD}]{escape(why)}[/]"


COMMANDS = (cache, artifacts, lineage)
