"""`apply`, `get`, `describe`, `delete`, `logs`: any kind the platform serves, found by discovery."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from millstream.cli.options import AllNamespaces, Home, Namespace, connect, connect_for, read_source
from millstream.cli.show import out, server_table
from millstream.errors import ClientError, NotThere

Kind = Annotated[str, typer.Argument(help="A kind as discovery knows it: trainjobs, tj, isvc, pods, ...")]
Name = Annotated[str, typer.Argument(help="The object's name")]


def _documents(source: str) -> list[dict[str, Any]]:
    import yaml

    text = read_source(source)
    try:
        found = [doc for doc in yaml.safe_load_all(text) if doc]
    except yaml.YAMLError as error:
        raise ClientError(f"{source} is not YAML: {error}") from error
    if not found or not all(isinstance(doc, dict) for doc in found):
        raise ClientError(f"{source} holds no manifest (a mapping with apiVersion, kind and metadata)")
    return found


def apply(
    file: Annotated[str, typer.Option("--file", "-f", help="A YAML or JSON file; - reads standard input")],
    namespace: Namespace = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask the server what would happen; store nothing")] = False,
    home: Home = None,
) -> None:
    """Create objects, or change them to what the file says."""
    with connect(home) as client:
        for manifest in _documents(file):
            stored = client.apply(manifest, namespace, dry_run)
            resource = client.resource_of(stored)
            ending = " (dry run)" if dry_run else ""
            out.print(f"{resource.plural}/{stored['metadata']['name']} applied{ending}")


def get(
    kind: Kind,
    name: Annotated[str | None, typer.Argument(help="One object; all of the kind if left out")] = None,
    namespace: Namespace = "default",
    all_namespaces: AllNamespaces = False,
    selector: Annotated[str, typer.Option("--selector", "-l", help="Label selector: a=b, c in (x, y)")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="table, yaml, json or name")] = "table",
    home: Home = None,
) -> None:
    """Show objects as a table, or whole as YAML or JSON."""
    where = None if all_namespaces else namespace
    with connect(home) as client:
        if output == "table":
            table = client.table(kind, where, name, selector)
            out.print(
                server_table(table, all_namespaces) if table["rows"] else f"no {kind} in {where or 'any namespace'}"
            )
            return
        items = [client.get(kind, name, namespace)] if name else client.list(kind, where, selector)
        _dump(items[0] if name else {"apiVersion": "v1", "kind": "List", "items": items}, output, kind)


def _dump(obj: dict[str, Any], output: str, kind: str) -> None:
    if output == "json":
        out.print_json(json.dumps(obj))
    elif output == "yaml":
        import yaml

        out.print(yaml.safe_dump(obj, sort_keys=False), end="", markup=False)
    elif output == "name":
        for item in obj.get("items", [obj]):
            out.print(f"{kind}/{item['metadata']['name']}")
    else:
        raise ClientError(f"--output {output!r} is not known: use table, yaml, json or name")


def describe(kind: Kind, name: Name, namespace: Namespace = "default", home: Home = None) -> None:
    """Show one object with its conditions and the Kubernetes events about it."""
    from millstream.cli.describe import describe_object

    with connect(home) as client:
        out.print(describe_object(client, kind, name, namespace))


def delete(kind: Kind, name: Name, namespace: Namespace = "default", home: Home = None) -> None:
    """Delete one object and everything it owns."""
    with connect(home) as client:
        client.delete(kind, name, namespace)
    out.print(f"{kind}/{name} deleted")


def logs(
    target: Annotated[str, typer.Argument(help="A pod, or a training job: NAME, trainjob/NAME, pytorchjob/NAME, ...")],
    namespace: Namespace = "default",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written, over restarts")] = False,
    container: Annotated[str, typer.Option("--container", "-c", help="One container of the pod")] = "",
    tail: Annotated[int, typer.Option("--tail", help="Only the last lines (-1: all)")] = -1,
    since: Annotated[str, typer.Option("--since", help="Only lines since: 90s, 5m, 2h, 1d ago, or a time")] = "",
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Each line with its time")] = False,
    rank: Annotated[int | None, typer.Option("--rank", help="Of a job, only the node of this rank")] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", help="Of a job that began again: 0 is the first")] = None,
    every: Annotated[bool, typer.Option("--all", help="Of a job, all attempts")] = False,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Before the last restart")] = False,
    home: Home = None,
) -> None:
    """Print a pod's log, or those of all nodes of a training job, each line with its node; also when they are gone."""
    from millstream.archive import job_named
    from millstream.cli.joblogs import LogChoice, print_job_logs, since_time

    params = ({"container": container} if container else {}) | ({"tailLines": str(tail)} if tail >= 0 else {})
    params |= {"sinceTime": since_time(since)} if since else {}
    with connect_for(home, namespace) as client:
        is_pod = "/" not in target and client.find("pods", target, namespace) is not None
        job = None if is_pod else job_named(client, target, namespace)
        if job is not None:
            wished = -2 if previous and attempt is None else attempt
            print_job_logs(job, LogChoice(rank, wished, every, timestamps, params), follow)
            return
        params |= {"previous": "true"} if previous else {}
        params |= {"timestamps": "true"} if timestamps else {}
        try:
            for line in client.logs(target, namespace, follow, **params):
                print(line, flush=follow)
        except NotThere:
            if is_pod:
                raise
            raise ClientError(
                f"no pod and no TrainJob is called {target!r} in {namespace}; other jobs: pytorchjob/{target}, ..."
            ) from None
