"""Which triggers may be stored: everything that can be known to fail is refused on write, with the field named."""

from collections.abc import Iterator, Mapping
from typing import Any

from libs.base.errors import Cause
from services.scheduler.domain.triggers.making import LABEL, SUFFIX_CHARS
from services.scheduler.domain.triggers.targets import Target, names, target_of
from services.scheduler.domain.triggers.templates import PLACEHOLDER, ROOTS, Path, placeholders, written
from services.scheduler.domain.triggers.times import problem

EVENT_PARTS = ("id", "source", "type", "subject", "time", "namespace", "data")
KNOWN = {"schedule": ("time",), "trigger": ("name", "namespace"), "event": EVENT_PARTS}
TEMPLATE = "spec.template"


def causes(trigger: Mapping[str, Any]) -> list[Cause]:
    """What is wrong with a (schema-valid) trigger, [] when nothing is."""
    return [*_name(trigger), *_source(trigger["spec"]), *_template(trigger)]


def _name(trigger: Mapping[str, Any]) -> Iterator[Cause]:
    name, target = trigger["metadata"].get("name") or "", target_of(trigger["spec"]["template"])
    most = target.name_max - SUFFIX_CHARS if target and target.delete else 63
    if len(name) > most:
        yield Cause("metadata.name", f"must have at most {most} characters, since objects are named after it")


def _source(spec: Mapping[str, Any]) -> Iterator[Cause]:
    schedule, event = spec.get("schedule"), spec.get("event")
    if bool(schedule) == bool(event):
        yield Cause("spec", "needs either a schedule or an event", "FieldValueRequired")
    if schedule and (wrong := problem(schedule["cron"], schedule.get("timeZone") or "Etc/UTC")):
        yield Cause(f"spec.schedule.{wrong[0]}", wrong[1])
    for path in (event or {}).get("filter") or {}:
        if not path or any(not word for word in path.split(".")):
            yield Cause(f"spec.event.filter[{path}]", "must be a path into the event's data, such as model.name")


def _template(trigger: Mapping[str, Any]) -> Iterator[Cause]:
    template = trigger["spec"]["template"]
    target = target_of(template)
    if target is None:
        found = f"{template.get('apiVersion')} {template.get('kind')}"
        yield Cause(f"{TEMPLATE}.kind", f"{found}: must be one of {names()}")
        return
    holes = list(placeholders(template))
    yield from _holes(trigger["spec"], holes)
    yield from _metadata(template.get("metadata") or {}, target)
    yield from _manifest(template, target, [where for where, _ in holes])


def _holes(spec: Mapping[str, Any], holes: list[tuple[Path, str]]) -> Iterator[Cause]:
    roots = [root for root in ROOTS if root == "trigger" or spec.get(root)]
    for where, path in holes:
        root, _, rest = path.partition(".")
        if root not in roots or rest.split(".")[0] not in KNOWN[root]:
            known = ", ".join(f"{each}.{part}" for each in roots for part in KNOWN[each])
            yield Cause(f"{TEMPLATE}.{written(where)}", f"${{{path}}} is not known; here are known: {known}")


def _metadata(metadata: Any, target: Target) -> Iterator[Cause]:
    if not isinstance(metadata, Mapping):
        yield Cause(f"{TEMPLATE}.metadata", "must be an object")
        return
    for part in ("labels", "annotations"):
        given = metadata.get(part) or {}
        if not isinstance(given, Mapping) and not (isinstance(given, str) and PLACEHOLDER.fullmatch(given)):
            yield Cause(f"{TEMPLATE}.metadata.{part}", f"{given!r} must be an object")
            return
    if target.delete and (metadata.get("name") or metadata.get("generateName")):
        yield Cause(f"{TEMPLATE}.metadata.name", "must not be set: the name comes from the trigger and what fired it")
    if target.delete is None and not isinstance(metadata.get("name"), str):
        yield Cause(f"{TEMPLATE}.metadata.name", "is needed: each firing changes this one object", "FieldValueRequired")
    if metadata.get("namespace"):
        yield Cause(f"{TEMPLATE}.metadata.namespace", "must not be set: it is the trigger's own")
    if LABEL in (metadata.get("labels") or {}):
        yield Cause(f"{TEMPLATE}.metadata.labels[{LABEL}]", "must not be set: it is the trigger's name")


def _manifest(template: Mapping[str, Any], target: Target, holes: list[Path]) -> Iterator[Cause]:
    """What the kind itself says; where a placeholder stands only the firing can tell."""
    sample = {**template, "metadata": {"name": "x"}}
    for where, why in target.problems(sample):
        if where[:1] != ("metadata",) and not any(
            hole[: len(where)] == where or where[: len(hole)] == hole for hole in holes
        ):
            yield Cause(f"{TEMPLATE}.{written(where)}", why)
