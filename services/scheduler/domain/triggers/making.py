"""The manifest of one firing: its name comes from what fired it, so that the same firing never makes two objects."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from contracts.reaching import reaching
from libs.base import rfc3339
from services.scheduler.domain.triggers.targets import Target, noun, target_of
from services.scheduler.domain.triggers.templates import NoValue, as_text, filled, written

LABEL, KEY = "millstream.dev/trigger", "millstream.dev/trigger-key"
SUFFIX_CHARS = 11
"""A dash and ten characters: seconds since 1970, or as much of an event's hash."""


class Refused(ValueError):
    """No manifest can be made of this firing; the text says why."""


@dataclass(frozen=True)
class Cause:
    """What fired: a scheduled time, an event (a CloudEvent as JSON), or somebody who gave a `key`."""

    key: str
    scheduled: datetime | None = None
    event: Mapping[str, Any] | None = None
    now: datetime | None = None
    """When it is fired: the time that a schedule's template gets when somebody fires it by hand."""


def object_name(trigger: str, cause: Cause) -> str:
    if cause.scheduled is not None:
        return f"{trigger}-{int(cause.scheduled.timestamp())}"
    return f"{trigger}-{sha256(cause.key.encode()).hexdigest()[: SUFFIX_CHARS - 1]}"


def could_be_made(trigger: Mapping[str, Any], type: str, name: str) -> bool:
    """Whether an event of this type tells of an object that the trigger itself made, by the name, as its history ends:
    it would fire itself for ever."""
    template, own = trigger["spec"]["template"], trigger["metadata"]["name"]
    target = target_of(template)
    if target is None or target.noun != noun(type):
        return False
    if target.delete is None:
        return bool((template.get("metadata") or {}).get("name") == name)
    return re.fullmatch(rf"{re.escape(own)}-([0-9a-f]{{{SUFFIX_CHARS - 1}}}|\d{{9,}})", name) is not None


def manifest(trigger: Mapping[str, Any], cause: Cause) -> tuple[Target, dict[str, Any]]:
    """What to apply, for whom. Raises Refused."""
    metadata, template = trigger["metadata"], trigger["spec"]["template"]
    target = target_of(template)
    if target is None:
        raise Refused(f"nobody takes commands for {template.get('apiVersion')} {template.get('kind')}")
    try:
        made = filled(template, _known(metadata, cause))
    except NoValue as error:
        raise Refused(str(error)) from None
    if brought := sorted({*reaching(made, "spec.template")} - {*reaching(template, "spec.template")}):
        raise Refused(f"{brought[0]}: reaches beyond the pods and came with the event; write it into the template")
    made = {**made, "metadata": _metadata(metadata, made.get("metadata") or {}, target, cause)}
    if problems := target.problems(made):
        where, why = problems[0]
        raise Refused(f"spec.template.{written(where)}: {why}")
    return target, made


def _known(metadata: Mapping[str, Any], cause: Cause) -> dict[str, Any]:
    known: dict[str, Any] = {"trigger": {"name": metadata["name"], "namespace": metadata["namespace"]}}
    if cause.event is not None:
        known["event"] = cause.event
    if moment := cause.scheduled or cause.now:
        known["schedule"] = {"time": rfc3339(moment)}
    return known


def _metadata(owner: Mapping[str, Any], given: Mapping[str, Any], target: Target, cause: Cause) -> dict[str, Any]:
    for part in ("labels", "annotations"):
        if not isinstance(given.get(part) or {}, Mapping):
            raise Refused(f"spec.template.metadata.{part}: {given[part]!r} is no object")
    name = object_name(owner["name"], cause) if target.delete else str(given.get("name"))
    labels = {**_texts(given.get("labels")), LABEL: owner["name"]}
    notes = {**_texts(given.get("annotations")), KEY: cause.key}
    return {**given, "name": name, "namespace": owner["namespace"], "labels": labels, "annotations": notes}


def _texts(given: Any) -> dict[str, str]:
    """Labels and annotations are text, whatever the event had there."""
    return {key: value if isinstance(value, str) else as_text(value) for key, value in (given or {}).items()}
