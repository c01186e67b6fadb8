"""The tuner's objects in its store: the Trials port, and what is read and written for one Experiment at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.resources import Resources
from libs.resources.reconcile import owner_reference
from libs.resources.selectors import selectors
from services.tuner.adapters.kinds import SUGGESTION, TRIAL
from services.tuner.domain import trials as lives
from services.tuner.domain import words
from services.tuner.domain.states import moved

Object = dict[str, Any]
SHOWN_MAX = 100
"""So many suggestions a Suggestion tells: an Experiment may have thousands, and all are in its trials."""


class StoredTrials:
    """`resources` is a view on the open unit of work."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def find(self, namespace: str, name: str) -> Object | None:
        return await self._resources.find(TRIAL, namespace, name)

    async def set_status(self, trial: Object, status: Object) -> None:
        meta = trial["metadata"]
        await self._resources.update_status(TRIAL, meta["namespace"], meta["name"], status)


async def trials_of(resources: Resources, experiment: Object) -> list[Object]:
    """Not those of a namesake that was there before and still goes."""
    meta = experiment["metadata"]
    page = await resources.list(TRIAL, meta["namespace"], selectors=selectors(f"{lives.OWNER}={meta['name']}"))
    return [one for one in page.items if _owner(one) == meta["uid"]]


async def note_suggestions(resources: Resources, experiment: Object, made: Sequence[Object], now: datetime) -> None:
    """The Suggestion as Katib's clients read it, brought up to date with the trials that begin."""
    meta = experiment["metadata"]
    found = await resources.find(SUGGESTION, meta["namespace"], meta["name"])
    if found is not None and _owner(found) != meta["uid"]:
        return  # a namesake's, which still goes
    found = found or await resources.create(SUGGESTION, _suggestion(experiment))
    status = found.get("status") or {}
    count = status.get("suggestionCount", 0) + len(made)
    patch = {"spec": {"requests": count}}
    await resources.patch(SUGGESTION, meta["namespace"], meta["name"], patch)
    told = moved(status.get("conditions") or [], words.RUNNING, True, "SuggestionRunning", "Suggestion is running", now)
    newest = [*(status.get("suggestions") or []), *map(_suggested, made)][-SHOWN_MAX:]
    started = status.get("startTime") or told[0]["lastUpdateTime"]
    after = {"startTime": started, "conditions": told, "suggestionCount": count, "suggestions": newest}
    await resources.update_status(SUGGESTION, meta["namespace"], meta["name"], after)


def _suggestion(experiment: Object) -> Object:
    meta = experiment["metadata"]
    own = {"name": meta["name"], "namespace": meta["namespace"], "ownerReferences": [owner_reference(experiment)]}
    spec = {"algorithm": experiment["spec"]["algorithm"], "requests": 0}
    return {"apiVersion": SUGGESTION.api_version, "kind": SUGGESTION.kind, "metadata": own, "spec": spec}


def _suggested(trial: Object) -> Object:
    return {"name": trial["metadata"]["name"], "parameterAssignments": trial["spec"]["parameterAssignments"]}


def _owner(obj: Object) -> str:
    return next((str(one["uid"]) for one in obj["metadata"].get("ownerReferences") or []), "")
