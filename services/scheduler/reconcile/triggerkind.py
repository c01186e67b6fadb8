"""The Trigger kind as the scheduler serves it: columns, rules, and the rights of whoever writes one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.kinds.trigger import GROUP, VERSION, Trigger
from contracts.reaching import reaching
from libs.base import Invalid
from libs.resources.kinds import Admission, Column, Kind, Object, Right
from services.scheduler.domain.triggers.rules import causes
from services.scheduler.domain.triggers.targets import target_of

SAYS_WHAT = ("template", "event")


def _admit(obj: Object, old: Object | None, admission: Admission) -> Object:
    if found := causes(obj):
        raise Invalid.about(f"triggers.{GROUP}", obj["metadata"].get("name") or "", causes=found)
    return obj


def _rights(obj: Object, old: Object | None) -> frozenset[Right]:
    """What a trigger makes is made in its writer's name: they must be allowed to make it themselves. Who chooses other
    events chooses what the template is filled with."""
    template, space = obj["spec"]["template"], obj["metadata"].get("namespace", "")
    target = target_of(template)
    if target is None or (old is not None and all(old["spec"].get(k) == obj["spec"].get(k) for k in SAYS_WHAT)):
        return frozenset()
    group, version = template["apiVersion"].split("/")
    verbs = ("create",) if target.delete else ("create", "patch")
    rights = {Right(verb, group, version, target.plural, space, "spec.template") for verb in verbs}
    if field := next(reaching(template, "spec.template"), None):
        rights.add(Right("create", "", "v1", "pods", space, field))
    return frozenset(rights)


def _what(obj: Object, now: datetime) -> Any:
    spec: Mapping[str, Any] = obj["spec"]
    return (spec.get("schedule") or {}).get("cron") or (spec.get("event") or {}).get("type")


TRIGGER = Kind(
    group=GROUP,
    version=VERSION,
    kind="Trigger",
    plural="triggers",
    singular="trigger",
    model=Trigger,
    categories=("all", "millstream"),
    columns=(
        Column("When", "string", _what, description="The cron expression, or the type of the event."),
        Column("Makes", "string", ".spec.template.kind"),
        Column("Suspend", "boolean", lambda obj, now: bool(obj["spec"].get("suspend"))),
        Column("Active", "integer", lambda obj, now: len((obj.get("status") or {}).get("active") or [])),
        Column("Last Fired", "date", ".status.lastFiredTime"),
        Column("Next", "string", ".status.nextScheduleTime"),
        Column("Age", "date", ".metadata.creationTimestamp"),
        Column("Time Zone", "string", ".spec.schedule.timeZone", priority=1),
    ),
    admit=_admit,
    rights=_rights,
    name_is_label=True,
    description="Trigger makes a manifest at the times of a cron expression, or for each event that passes its filter.",
)
