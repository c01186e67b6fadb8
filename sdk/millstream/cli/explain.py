"""`millstream explain`: why a job waits, or what would become of one that is not submitted yet."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from millstream.cli.options import Home, Namespace, connect
from millstream.cli.show import out
from millstream.client import Client, conditions_of
from millstream.errors import ClientError

JOB_WORDS = ("job", "jobs")
"""For most people a job is one that trains."""


def explain(
    kind: Annotated[str, typer.Argument(help="job, workload, or any kind that waits in queues: trainjob, ...")] = "",
    name: Annotated[str, typer.Argument(help="The object's name")] = "",
    file: Annotated[str, typer.Option("--file", "-f", help="A manifest that is not submitted yet; - reads stdin")] = "",
    namespace: Namespace = "default",
    output: Annotated[str, typer.Option("--output", "-o", help="text or json")] = "text",
    home: Home = None,
) -> None:
    """Say why a job waits, in what place, and what would have to finish; or what would happen to one in a file."""
    if bool(file) == bool(name):
        raise ClientError("say which job (`millstream explain job NAME`) or give a manifest (`-f job.yaml`)")
    with connect(home) as client:
        told = _forecast(client, file, namespace) if file else _explanation(client, kind, name, namespace)
    if output == "json":
        out.print_json(json.dumps(told))
        return
    for sentence in told["sentences"]:
        out.print(sentence, markup=False, soft_wrap=True)


def _explanation(client: Client, kind: str, name: str, namespace: str) -> dict[str, Any]:
    word = "trainjobs" if kind.lower() in JOB_WORDS else kind
    obj = client.get(word, name, namespace)
    return _worded(client.explain(obj), obj)


def _worded(told: dict[str, Any], obj: dict[str, Any]) -> dict[str, Any]:
    """What its queue says of it, or what it says itself when no queue knows of it."""
    over = [found for type, found in conditions_of(obj).items() if type in ("Complete", "Failed", "Succeeded")]
    ended = next((found for found in over if found.get("status") == "True"), None)
    if ended is not None:
        said = f"It does not wait: it is over ({ended['type']}). {ended.get('message', '')}".strip()
        return {**told, "state": ended["type"], "sentences": [said]}
    if told["state"] == "Unknown":
        said = "It has not asked for quota yet, or it is of a kind that does not wait in queues."
        unmet = [found for found in conditions_of(obj).values() if found.get("status") == "False"]
        return {**told, "sentences": [said, *dict.fromkeys(each["message"] for each in unmet if each.get("message"))]}
    if told["state"] == "Admitted":
        return {**told, "sentences": ["It does not wait.", *told["sentences"]]}
    return told


def _forecast(client: Client, file: str, namespace: str) -> dict[str, Any]:
    from millstream.cli.objects import _documents

    manifests = _documents(file)
    if len(manifests) > 1:
        raise ClientError(f"{file} holds {len(manifests)} manifests: ask about one job at a time")
    return client.forecast(manifests[0], namespace)
