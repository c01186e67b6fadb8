"""Which questions about pods may be answered from the trainer's archive, and how both answers become one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

ARCHIVE = "/training/v1/namespaces/{namespace}/archive"
NAME_LABELS = ("jobset.sigs.k8s.io/jobset-name", "training.kubeflow.org/job-name")
"""Labels by which clients look for the pods of one job."""
ROLE_LABELS = ("jobset.sigs.k8s.io/replicatedjob-name", "training.kubeflow.org/replica-type")
RANK_LABELS = ("batch.kubernetes.io/job-completion-index", "training.kubeflow.org/replica-index")
_PATH = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[a-z0-9-]+)/(?P<plural>pods|events)(?:/(?P<name>[a-z0-9.-]+)(?P<log>/log)?)?"
)

Object = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """`path` is where the archive answers the same."""

    path: str
    plural: str
    is_list: bool


def question(method: str, path: str, query: str) -> Question | None:
    """None for what only the cluster can answer: watches, and lists of pods that are not those of one job."""
    found = _PATH.fullmatch(path)
    if method != "GET" or found is None:
        return None
    asked = parse_qs(query)
    plural, name = found["plural"], found["name"]
    if name is None and not _is_of_archive(plural, asked):
        return None
    if name is not None and plural == "events":
        return None
    where = ARCHIVE.format(namespace=found["namespace"])
    rest = f"/{name}{found['log'] or ''}" if name else ""
    return Question(f"{where}/{plural}{rest}", plural, name is None)


def _is_of_archive(plural: str, asked: dict[str, list[str]]) -> bool:
    if asked.get("watch", ["false"])[-1].lower() in ("true", "1") or "continue" in asked:
        return False
    chosen = ",".join(asked.get("labelSelector", []))
    return plural == "events" or any(f"{label}=" in chosen for label in NAME_LABELS)


def merged(plural: str, live: Object, kept: Sequence[Object]) -> Object:
    """The living first; of what is kept only that which the cluster has no more."""
    if (live.get("metadata") or {}).get("continue"):
        return live
    here = live.get("items") or []
    return {**live, "items": [*here, *_more(plural, here, kept)]}


def table_with(live: Object, kept: Sequence[Object]) -> Object:
    """The same where the answer is a Table."""
    rows = live.get("rows") or []
    here = [row.get("object") or {} for row in rows]
    names = [column["name"] for column in live.get("columnDefinitions") or []]
    return {**live, "rows": [*rows, *(_row(names, pod) for pod in _more("pods", here, kept))]}


def _more(plural: str, here: Sequence[Object], kept: Sequence[Object]) -> list[Object]:
    known = {_place(plural, each) for each in here}
    return [each for each in kept if _place(plural, each) not in known]


def _place(plural: str, obj: Object) -> tuple[str, ...]:
    """What an object is told by: an Event by its name, a pod by the place in its job that it had."""
    meta = obj.get("metadata") or {}
    labels = meta.get("labels") or {}
    place = [next((labels[key] for key in keys if key in labels), "") for keys in (ROLE_LABELS, RANK_LABELS)]
    return tuple(place) if plural == "pods" and any(place) else (str(meta.get("name")),)


def _row(names: Sequence[str], pod: Object) -> Object:
    meta, containers = pod["metadata"], pod["spec"].get("containers") or []
    known = {
        "Name": meta["name"],
        "Ready": f"0/{len(containers)}",
        "Status": f"{(pod.get('status') or {}).get('phase')} (archived)",
        "Restarts": 0,
        "Age": meta.get("creationTimestamp"),
    }
    about = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    return {"cells": [known.get(name, "") for name in names], "object": about}
