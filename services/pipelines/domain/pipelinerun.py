"""The PipelineRun kind: what its status says of the run that it became, and what is told of it; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts.events.pipelines.v1 import (
    PipelineRunDeleted,
    PipelineRunFailed,
    PipelineRunStarted,
    PipelineRunSucceeded,
)
from contracts.kinds.pipelinerun import GROUP
from contracts.messages import Event
from libs.base import Cause, Invalid, from_milliseconds, rfc3339
from services.pipelines.domain import runs as words
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.runs import Run

Object = dict[str, Any]
SUCCEEDED = "Succeeded"
"""The one condition, as Tekton and others have it: Unknown while it goes on, then True or False."""
DELETED = "RunDeleted"


def unchanging(obj: Object, old: Object | None) -> Iterator[Cause]:
    """A run happens once: who wants another one gives it another name."""
    if old is not None and obj.get("spec") != old.get("spec"):
        yield Cause("spec", "cannot be changed: a run happens once; create one of another name", "FieldValueForbidden")


def check(obj: Object, old: Object | None) -> Object:
    """Raises Invalid."""
    if causes := [*unchanging(obj, old)]:
        raise Invalid.about(f"pipelineruns.{GROUP}", obj["metadata"].get("name") or "", causes=causes)
    return obj


def causes(error: SpecError, pipeline: str) -> list[Cause]:
    """Problems of its parameters by the field of the object; those of its pipeline by `pipeline`, where that stands."""
    given, here = "runtime_config.parameters", "spec.parameters"
    return [
        Cause(
            f"{here}{each.field.removeprefix(given)}" if each.field.startswith(given) else f"{pipeline}.{each.field}",
            each.message,
        )
        for each in error.problems
    ]


def lends(spec: Mapping[str, Any]) -> str:
    """The field by which its pods use what a person may have to be allowed to use; empty for none."""
    return next((field for field in ("platformSpec", "serviceAccountName") if spec.get(field)), "")


def is_over(obj: Object) -> bool:
    return any(c["type"] == SUCCEEDED and c["status"] != "Unknown" for c in _conditions(obj))


def status(obj: Object, run: Run) -> Object:
    """What the object says of its run."""
    told = {words.SUCCEEDED: "True", words.FAILED: "False", words.CANCELED: "False"}.get(run.state, "Unknown")
    began = next((ms for ms, state in run.history if state == words.RUNNING), None)
    return {
        **_head(obj, run.id),
        "state": run.state,
        **({"startTime": _time(began)} if began else {}),
        **({"completionTime": _time(run.finished_ms)} if run.finished_ms else {}),
        "conditions": _condition(obj, told, run.state.capitalize(), run.error or f"the run is {run.state}"),
    }


def has_begun(obj: Object) -> bool:
    """Whether it has had its run: there is no second one, even if that is gone."""
    return bool((obj.get("status") or {}).get("runId"))


def forgotten(obj: Object) -> Object:
    """Of one whose run somebody deleted."""
    told = "its run was deleted; a PipelineRun of another name runs it again"
    before = obj["status"]
    kept = {name: before[name] for name in ("startTime",) if name in before}
    gone = {"state": words.FAILED, "conditions": _condition(obj, "False", DELETED, told)}
    return {**_head(obj, str(before["runId"])), **kept, **gone}


def refused(obj: Object, message: str) -> Object:
    """Of one that cannot become a run."""
    return {**_head(obj, ""), "state": words.FAILED, "conditions": _condition(obj, "False", "Refused", message)}


def said(obj: Object, after: Object) -> Sequence[Event]:
    """What a change of its status tells, each once."""
    if is_over(obj):
        return []
    about, id = _about(obj), after.get("runId")
    told: list[Event] = []
    if id and not has_begun(obj):
        told.append(PipelineRunStarted(**about, run_id=id))
    found = after["conditions"][0]
    if found["status"] == "True":
        told.append(PipelineRunSucceeded(**about, run_id=str(id)))
    elif found["status"] == "False":
        reason = f"Run{found['reason'].removeprefix('Run')}" if id else found["reason"]
        told.append(PipelineRunFailed(**about, run_id=id, reason=reason, message=found["message"]))
    return told


def events(op: str, obj: Object, old: Object | None) -> Sequence[Event]:
    return [PipelineRunDeleted(**_about(obj))] if op == "DELETED" else []


def _about(obj: Object) -> dict[str, Any]:
    meta = obj["metadata"]
    return {"namespace": meta.get("namespace", ""), "name": meta["name"], "uid": meta["uid"]}


def _head(obj: Object, run_id: str) -> Object:
    head: Object = {"observedGeneration": obj["metadata"].get("generation") or 0}
    return {**head, "runId": run_id} if run_id else head


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []


def _condition(obj: Object, told: str, reason: str, message: str) -> list[Object]:
    before = next((c for c in _conditions(obj) if c["type"] == SUCCEEDED), None)
    same = before is not None and before["status"] == told
    since = before["lastTransitionTime"] if same and before else ""
    found = {"type": SUCCEEDED, "status": told, "reason": reason, "message": message}
    return [{**found, "lastTransitionTime": since}]


def dated(after: Object, now: datetime) -> Object:
    """The status with the time of a transition that is new."""
    return {
        **after,
        "conditions": [
            {**c, "lastTransitionTime": c["lastTransitionTime"] or rfc3339(now)} for c in after["conditions"]
        ],
    }


def _time(ms: int) -> str:
    return rfc3339(from_milliseconds(ms))
