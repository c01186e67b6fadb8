"""Runs over KFP's own REST API: submit, find, follow; the same calls that kfp's client makes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from millstream.client import Client
from millstream.errors import ClientError, NotThere

API = "/apis/v2beta1"
OVER = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
LOOK_EVERY_S = 0.5
PATIENT_LOOKS = 120
"""A minute, with what asking itself takes."""
PAGE = 100
BEGINNING = re.compile(r"[0-9a-f]{4}[0-9a-f-]*")
"""Of a run's id, as much of it as people type."""

Run = dict[str, Any]


def experiment(client: Client, name: str, namespace: str) -> str:
    """The id of the experiment of this name, made if there is none."""
    wanted = json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
    query = {"filter": wanted, "namespace": namespace}
    found = client.request("GET", f"{API}/experiments", params=query).json().get("experiments") or []
    if found:
        return str(found[0]["experiment_id"])
    body = {"display_name": name, "namespace": namespace}
    return str(client.request("POST", f"{API}/experiments", json=body).json()["experiment_id"])


@dataclass(frozen=True)
class Options:
    """What a run may be told beyond KFP's own fields. `queue` is where those steps wait that name none themselves."""

    queue: str = ""
    priority_class: str = ""
    timeout_seconds: int | None = None
    exit_timeout_seconds: int | None = None
    fail_fast: bool | None = None
    caching: bool | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value not in ("", None)}


def submit(
    client: Client,
    name: str,
    body: Mapping[str, Any],
    parameters: Mapping[str, Any],
    experiment_id: str,
    options: Options = Options(),
) -> Run:
    """`body` is the compiled pipeline."""
    sent = {
        "display_name": name,
        "experiment_id": experiment_id,
        "pipeline_spec": body,
        "runtime_config": {"parameters": dict(parameters), **options.to_json()},
    }
    return dict(client.request("POST", f"{API}/runs", json=sent).json())


def get(client: Client, run_id: str) -> Run:
    return dict(client.request("GET", f"{API}/runs/{run_id}").json())


def is_there(client: Client, run_id: str) -> bool:
    try:
        get(client, run_id)
    except NotThere:
        return False
    return True


def find(client: Client, word: str, namespace: str) -> Run:
    """The run with this id, or the newest whose name is this or, failing that, holds it, or the one of the newest whose
    id begins so. Raises NotThere.
    """
    try:
        return get(client, word)
    except ClientError as error:
        if error.code not in (400, 404):
            raise
    for operation in ("EQUALS", "IS_SUBSTRING"):
        wanted = json.dumps({"predicates": [{"operation": operation, "key": "display_name", "stringValue": word}]})
        query = {"filter": wanted, "namespace": namespace, "sort_by": "created_at desc", "page_size": "1"}
        found = client.request("GET", f"{API}/runs", params=query).json().get("runs") or []
        if found:
            return get(client, str(found[0]["run_id"]))
    if BEGINNING.fullmatch(word):
        begun_so = [run["run_id"] for run in newest(client, namespace, PAGE) if run["run_id"].startswith(word)]
        if len(begun_so) == 1:
            return get(client, begun_so[0])
    raise NotThere(f"no run has the id or the name {word!r} in {namespace}; see `millstream pipeline list`", 404)


def spec_of(client: Client, run: Run) -> Mapping[str, Any]:
    """The compiled pipeline of a run, which the API shows with the version that was uploaded if there was one."""
    found = run.get("pipeline_spec")
    if found is None:
        reference = run["pipeline_version_reference"]
        path = f"{API}/pipelines/{reference['pipeline_id']}/versions/{reference['pipeline_version_id']}"
        found = client.request("GET", path).json()["pipeline_spec"]
    spec: Mapping[str, Any] = found.get("pipeline_spec", found)
    return spec


def records(client: Client, run_id: str) -> list[Run]:
    """Its tasks as the platform keeps them, with all values, which KFP's own API leaves out; the run's own left out."""
    return [task for task in _records(client, run_id) if task["path"] != "root"]


def recorded(client: Client, run_id: str) -> Run:
    """The run's own task: what the pipeline was given and gave."""
    return next(task for task in _records(client, run_id) if task["path"] == "root")


def _records(client: Client, run_id: str) -> list[Run]:
    return list(client.request("GET", f"/pipelines/v1/runs/{run_id}/tasks").json()["tasks"])


def newest(client: Client, namespace: str, limit: int) -> list[Run]:
    found: list[Run] = []
    query = {"namespace": namespace, "sort_by": "created_at desc", "page_size": str(min(limit, PAGE))}
    while True:
        page = client.request("GET", f"{API}/runs", params=query).json()
        found += page.get("runs") or []
        if len(found) >= limit or not page.get("next_page_token"):
            return found[:limit]
        query["page_token"] = page["next_page_token"]


@dataclass(frozen=True)
class Line:
    """A task in the tree of its run: `depth` 0 for the run's own; `path` names it and the groups that it is in."""

    task: Mapping[str, Any]
    depth: int
    path: str

    @property
    def is_group(self) -> bool:
        return bool(self.task.get("child_tasks"))


def tree(run: Run) -> list[Line]:
    """Its tasks, each below the one that it belongs to, in the order in which they began; the run itself left out."""
    found = (run.get("run_details") or {}).get("task_details") or []
    below: dict[str, list[dict[str, Any]]] = {}
    for task in found:
        below.setdefault(task.get("parent_task_id") or "", []).append(task)
    lines: list[Line] = []

    def add(parent: str, depth: int, path: str) -> None:
        for task in sorted(below.get(parent, ()), key=_began):
            name = f"{path}/{task['display_name']}" if path else str(task["display_name"])
            lines.append(Line(task, depth, name))
            add(task["task_id"], depth + 1, name)

    for root in below.get("", ()):
        add(root["task_id"], 0, "")
    return lines


def _began(task: Mapping[str, Any]) -> tuple[str, str]:
    """Of those that began together the order of their names; numbers in them count as numbers."""
    name = re.sub(r"\d+", lambda found: found[0].zfill(6), str(task["display_name"]))
    return str(task.get("create_time") or "~"), name


def follow(client: Client, run_id: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[Run]:
    """The run again and again until it is over; the last one is how it ended. That nobody answers for a while, as when
    a service is replaced, ends nothing: the run goes on, too."""
    failures = 0
    while True:
        try:
            run = get(client, run_id)
        except ClientError as error:
            failures += 1
            if failures > PATIENT_LOOKS or not (error.code in (0, 429) or error.code >= 500):
                raise
        else:
            failures = 0
            yield run
            if run.get("state") in OVER:
                return
        sleep(LOOK_EVERY_S)


def act(client: Client, run_id: str, verb: str) -> None:
    """`terminate`, `retry`, `archive` or `unarchive`."""
    client.request("POST", f"{API}/runs/{run_id}:{verb}")
