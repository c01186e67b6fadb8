"""`millstream pipeline cache|artifacts|lineage`: why tasks ran, and what they made of what."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.markup import escape

from millstream.cli import lineagetext
from millstream.cli.lineagetext import REGISTRY
from millstream.cli.options import Home, Namespace, RunWord, connect
from millstream.cli.pipelineshow import API, LOGS
from millstream.cli.show import BAD, GOOD, out, plain_table
from millstream.errors import ClientError

SERVICE = "inferenceservice/"
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
    """What the run made and imported; what it printed is in `logs`."""
    from millstream.pipelines import runs

    with connect(home) as client:
        found = runs.find(client, run, namespace)
        told = client.request("GET", f"{API}/runs/{found['run_id']}/artifacts").json()["artifacts"]
    if output == "json":
        out.print_json(json.dumps(told))
        return
    shown = ("artifact_id", "name", "type", "artifact_size", "uri")
    own = re.compile(rf"s3://[^/]+/pipelines/{namespace}/({found['run_id']}/)?")
    rows = [[escape(own.sub(".../", one[field])) for field in shown] for one in told if one["name"] != LOGS]
    table = plain_table(["ARTIFACT", "NAME", "TYPE", "BYTES", "URI"], rows, whole="ARTIFACT")
    out.print(table if rows else "the run made none")


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
    if svg is not None and of.startswith((REGISTRY, SERVICE)):
        raise ClientError(f"--svg draws the lineage of an artifact: give the id of the one that {of} came from")
    with connect(home) as client:
        told = client.request("GET", f"{API}/{_place(of, namespace)}/lineage").json()
        if svg is not None:
            svg.write_text(client.request("GET", f"{API}/{_place(of, namespace)}/lineage.svg").text)
    if output == "json":
        out.print_json(json.dumps(told))
        return
    for tree in lineagetext.trees(told, of):
        out.print(tree)
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


def _coloured(why: str) -> str:
    return f"[{GOOD if why.startswith('hit') else BAD}]{escape(why)}[/]"


COMMANDS = (cache, artifacts, lineage)
