"""What the scheduler does for its triggers about each letter: fires them, and notes how what they made went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.commands.scheduling.v1 import FireTrigger
from contracts.envelope import Letter, Message
from contracts.events.scheduling.v1 import TriggerFired
from contracts.messages import Event
from libs.base import BadRequest
from services.scheduler.domain.triggers import history
from services.scheduler.domain.triggers.making import Cause, Refused, could_be_made, manifest
from services.scheduler.domain.triggers.matching import matches
from services.scheduler.domain.triggers.needs import Object, Triggers, TriggersNeeds
from services.scheduler.domain.triggers.targets import target_of

ENDINGS: Mapping[str, tuple[str, str]] = {
    "succeeded": ("succeeded", "successfulHistoryLimit"),
    "ready": ("succeeded", "successfulHistoryLimit"),
    "failed": ("failed", "failedHistoryLimit"),
    "rejected": ("failed", "failedHistoryLimit"),
}
LIMITS = {"successfulHistoryLimit": 3, "failedHistoryLimit": 1}


async def when_overheard(letter: Letter, needs: TriggersNeeds) -> Sequence[Message]:
    """Every trigger of its namespace that waits for this event is to be fired, each by a command of its own: one whose
    template does not fit becomes a dead letter and keeps nobody else from firing."""
    event = letter.to_dict()
    about = str(letter.data.get("name"))
    return [
        FireTrigger(namespace=letter.namespace or "", name=each["metadata"]["name"], key=_key(letter), event=event)
        for each in await needs.triggers.of(letter.namespace or "")
        if (source := each["spec"].get("event")) and not each["spec"].get("suspend")
        and matches(source, event) and not history.knows(each.get("status") or {}, about)
        and not could_be_made(each, letter.type, about)
    ]  # fmt: skip


async def when_fired(command: FireTrigger, needs: TriggersNeeds) -> Sequence[Message]:
    """Makes the manifest; a firing that is refused becomes a dead letter, from where it can be replayed."""
    trigger = await needs.triggers.find(command.namespace, command.name)
    if trigger is None:
        return []
    spec, status = trigger["spec"], trigger.get("status") or {}
    policy = spec.get("concurrencyPolicy") or "Allow"
    cause = Cause(command.key, command.scheduled, command.event, needs.triggers.now())
    try:
        target, made = manifest(trigger, cause)
    except Refused as error:
        raise BadRequest(f"trigger {command.namespace}/{command.name}: {error}") from None
    name = made["metadata"]["name"]
    if target.delete and history.knows(status, name):
        return []
    if policy == "Forbid" and status.get("active"):
        await needs.triggers.put_status(trigger, {**status, "skipped": status.get("skipped", 0) + 1})
        return []
    new = history.firing(name, made["kind"], command.key, needs.triggers.now())
    status, replaced = history.fired(status, new, replaces=policy == "Replace")
    await needs.triggers.put_status(trigger, status)
    about = {"namespace": command.namespace, "name": command.name, "uid": trigger["metadata"]["uid"]}
    fact = TriggerFired(**about, key=command.key, made=name, made_kind=made["kind"])
    apply = target.apply(namespace=command.namespace, manifest=made)
    return [*_deletes(trigger, [each for each in replaced if each["name"] != name]), apply, fact]


async def when_made_is_over(event: Event, needs: TriggersNeeds) -> Sequence[Message]:
    """It succeeded, failed, was refused or deleted: the firing is no longer active, and old ones are cleared away."""
    name, ending = str(getattr(event, "name", "")), event.type.split(".")[2]
    trigger = await _maker(event, name, needs.triggers)
    if trigger is None:
        return []
    status = trigger.get("status") or {}
    if ending == "deleted":
        await needs.triggers.put_status(trigger, history.gone(status, name))
        return []
    part, limit = ENDINGS[ending]
    most = trigger["spec"].get(limit, LIMITS[limit])
    status, old = history.over(status, name, part, most, _why(event))
    await needs.triggers.put_status(trigger, status)
    return _deletes(trigger, old) if ending != "rejected" else []


async def _maker(event: Event, name: str, triggers: Triggers) -> Object | None:
    """The trigger that made the object of which the event tells."""
    for trigger in await triggers.of(event.namespace):
        target = target_of(trigger["spec"]["template"])
        if target and target.is_told_of(event) and history.knows(trigger.get("status") or {}, name):
            return trigger
    return None


def _why(event: Any) -> dict[str, str]:
    refusal = getattr(event, "status", None)
    if isinstance(refusal, Mapping):
        return {"reason": str(refusal.get("reason")), "message": str(refusal.get("message"))}
    told = {part: str(getattr(event, part, "") or "") for part in ("reason", "message")}
    return {part: text for part, text in told.items() if text}


def _deletes(trigger: Object, firings: Sequence[Mapping[str, Any]]) -> list[Message]:
    target = target_of(trigger["spec"]["template"])
    if target is None:
        return []
    found = (target.deletion(trigger["metadata"]["namespace"], each["name"]) for each in firings)
    return [each for each in found if each is not None]


def _key(letter: Letter) -> str:
    """CloudEvents: source and id together are one event's own."""
    return f"{letter.source} {letter.id}"
