"""Which of these jobs may be stored, with what defaults, and what may still change once one is there."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from contracts import demand
from contracts.kinds.legacyjob import MANAGER, template_error
from libs.base.errors import Cause
from services.trainer.domain.legacy import state, words
from services.trainer.domain.legacy.family import Family, Job
from services.trainer.domain.state import is_finished

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
CHANGEABLE = ("suspend", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit", "cleanPodPolicy")
"""Fields of runPolicy that may change while the job runs."""


def defaulted(job: Job, family: Family) -> Job:
    """The job as it is stored: roles in their own spelling, counts and restart policies filled in.

    The client cannot read a job without a runPolicy.
    """
    out = deepcopy(job)
    spec = out.get("spec")
    if not isinstance(spec, dict):
        return out
    policy = spec["runPolicy"] = dict(spec.get("runPolicy") or {})
    own = spec.get("cleanPodPolicy") if family.kind == "MPIJob" else None
    policy["cleanPodPolicy"] = policy.get("cleanPodPolicy") or own or "Running"
    for key, value in family.defaults.items():
        if spec.get(key) is None:
            spec[key] = value
    given = spec.get(family.specs)
    if isinstance(given, dict):
        spec[family.specs] = {_spelt(role, family): _filled(found, family) for role, found in given.items()}
    return out


def _spelt(role: str, family: Family) -> str:
    return next((known for known in family.roles if known.lower() == role.lower()), role)


def _filled(replica: Any, family: Family) -> Any:
    if not isinstance(replica, dict):
        return replica
    found = {"replicas": 1, "restartPolicy": family.restart}
    return {**found, **{key: value for key, value in replica.items() if value is not None}}


def causes(job: Job, old: Job | None, family: Family) -> list[Cause]:
    """What is wrong with a defaulted, schema-valid job, [] when nothing is; `old` is the stored one on an update."""
    spec = job.get("spec") or {}
    asked = [Cause(*wrong) for wrong in demand.of_object(job)]
    found = [*_name(job), *_run_policy(spec), *_roles(spec, family), *_own(spec, family), *asked]
    return found or (list(_frozen(spec, old, family)) if old else [])


def _name(job: Job) -> Iterator[Cause]:
    name = (job.get("metadata") or {}).get("name")
    if name and (not NAME.match(name) or len(name) > words.NAME_LENGTH_MAX):
        rule = f"at most {words.NAME_LENGTH_MAX} lower-case letters, digits or '-', beginning with a letter"
        yield Cause("metadata.name", f"{name!r} names host names of pods: {rule}")


def _run_policy(spec: Job) -> Iterator[Cause]:
    manager = spec["runPolicy"].get("managedBy")
    if manager and manager != MANAGER:
        why = f"{manager!r} is no manager that runs jobs here; remove it or write {MANAGER}"
        yield Cause("spec.runPolicy.managedBy", why, "FieldValueNotSupported")


def _roles(spec: Job, family: Family) -> Iterator[Cause]:
    where, given = f"spec.{family.specs}", spec.get(family.specs) or {}
    if not given:
        yield Cause(where, f"must have at least one of {', '.join(family.roles)}", "FieldValueRequired")
        return
    for role in family.required:
        if role not in given:
            yield Cause(f"{where}[{role}]", f"a {family.kind} needs this role", "FieldValueRequired")
    if len([role for role in family.leaders if role in given]) > 1:
        yield Cause(where, f"must not have more than one of {' and '.join(family.leaders)}", "FieldValueForbidden")
    for role, found in given.items():
        if role in family.roles:
            yield from _replicas(f"{where}[{role}]", role, found, family)
        else:
            why = f"{role!r} is no role of a {family.kind}; use {', '.join(family.roles)}"
            yield Cause(f"{where}[{role}]", why, "FieldValueNotSupported")


def _replicas(where: str, role: str, found: Job, family: Family) -> Iterator[Cause]:
    count = found["replicas"]
    if role in family.single and count != 1:
        yield Cause(f"{where}.replicas", f"{count} must be 1: there is one {role}", "FieldValueForbidden")
    elif count < 1:
        yield Cause(f"{where}.replicas", f"{count} must be at least 1; leave the role out instead")
    yield from _template(f"{where}.template", found["template"], family)


def _template(where: str, template: Job, family: Family) -> Iterator[Cause]:
    pod = template.get("spec")
    containers = pod.get("containers") if isinstance(pod, dict) else None
    if not isinstance(containers, list) or not containers:
        yield Cause(f"{where}.spec.containers", "must have at least one container", "FieldValueRequired")
        return
    if not all(isinstance(container, dict) for container in containers):
        yield Cause(f"{where}.spec.containers", "must be a list of objects", "FieldValueTypeInvalid")
        return
    for index, container in enumerate(containers):
        if not container.get("image"):
            yield Cause(f"{where}.spec.containers[{index}].image", "must name an image", "FieldValueRequired")
    if family.container not in [container.get("name") for container in containers]:
        why = f"one container must be called {family.container!r}: it is the one that trains"
        yield Cause(f"{where}.spec.containers", why, "FieldValueRequired")
    odd = [Cause(*wrong) for wrong in demand.of_template(template, where)]
    yield from odd
    if not odd and (wrong := template_error(template)):
        yield Cause(where, wrong)


def _own(spec: Job, family: Family) -> Iterator[Cause]:
    elastic = spec.get("elasticPolicy") or {}
    if elastic and "Worker" not in (spec.get(family.specs) or {}):
        yield Cause(f"spec.{family.specs}[Worker]", "must be there with an elasticPolicy", "FieldValueRequired")
    least, most = elastic.get("minReplicas"), elastic.get("maxReplicas")
    if least and most and least > most:
        yield Cause("spec.elasticPolicy.minReplicas", f"{least} must not exceed maxReplicas, which is {most}")
    if family.kind != "PyTorchJob":
        return
    given = str(spec.get("nprocPerNode") or "")
    if given and given not in ("auto", "cpu", "gpu") and not re.fullmatch(r"[1-9]\d{0,3}", given):
        yield Cause("spec.nprocPerNode", f"{given!r} must be auto, cpu, gpu or a number of processes")
    if elastic.get("nProcPerNode") and given not in ("", "auto"):
        why = f"{elastic['nProcPerNode']} is said by spec.nprocPerNode already; keep that one"
        yield Cause("spec.elasticPolicy.nProcPerNode", why, "FieldValueForbidden")


def _frozen(spec: Job, old: Job, family: Family) -> Iterator[Cause]:
    """A parked job may be changed as one likes. One that runs may not: its pods would differ from what it says."""
    before = old.get("spec") or {}
    if state.is_parked(old) and not is_finished(old):
        return
    why = "is immutable while the job is not suspended; create a new job instead"
    for field in sorted(spec.keys() | before.keys()):
        if field == "runPolicy":
            now, then = spec.get(field) or {}, before.get(field) or {}
            for part in sorted((now.keys() | then.keys()) - set(CHANGEABLE)):
                if now.get(part) != then.get(part):
                    yield Cause(f"spec.runPolicy.{part}", why, "FieldValueForbidden")
        elif _alike(spec.get(field)) != _alike(before.get(field)):
            yield Cause(f"spec.{field}", why, "FieldValueForbidden")


def _alike(value: Any) -> Any:
    """The value as the client gives it back: it sends an amount as a number and returns what it read as text."""
    if isinstance(value, dict):
        return {key: _alike(found) for key, found in value.items() if found is not None}
    if isinstance(value, list):
        return [_alike(found) for found in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
