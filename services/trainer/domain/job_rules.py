"""Which TrainJobs may be stored, with what defaults, and what may still change once one runs."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from contracts import demand
from contracts.kinds.quantity import amount
from contracts.kinds.trainjob import GROUP, pod_patch_error
from libs.base.errors import Cause
from services.trainer.domain import initializers, runtime_rules, words
from services.trainer.domain.state import is_finished, is_parked

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
SERVED_CHARS_MAX = 53
RESERVED_ENV = ("PET_", "KUBEFLOW_TRAINER_SERVER_")
TTL = "ttlSecondsAfterFinished"
MUTABLE = ("suspend", "activeDeadlineSeconds", TTL)


def defaulted(job: dict[str, Any]) -> dict[str, Any]:
    """The job as it is stored: a full runtimeRef, and no `auto` in numProcPerNode, which the SDK reads as an integer.

    `auto`, `cpu` and `gpu` all mean "one process per device of the node", which is what an absent field means.
    """
    out = deepcopy(job)
    spec = out.get("spec") or {}
    if isinstance(spec.get("runtimeRef"), dict):
        spec["runtimeRef"] = {"apiGroup": GROUP, "kind": "ClusterTrainingRuntime"} | {
            key: value for key, value in spec["runtimeRef"].items() if value is not None
        }
    trainer = spec.get("trainer") or {}
    if isinstance(trainer.get("numProcPerNode"), str):
        del trainer["numProcPerNode"]
    return out


def job_causes(job: dict[str, Any], old: dict[str, Any] | None) -> list[Cause]:
    """What is wrong with a (schema-valid) job, [] when nothing is; `old` is the stored one on an update."""
    spec = job.get("spec") or {}
    fetched = initializers.causes(spec.get("initializer") or {})
    asked = [Cause(*wrong) for wrong in demand.of_object(job)]
    causes = [*_name(job), *_env(spec), *_resources(spec), *fetched, *_patches(spec), *_annotations(job), *asked]
    return causes + (list(_frozen(spec, old)) if old else [])


def _name(job: dict[str, Any]) -> Iterator[Cause]:
    name = (job.get("metadata") or {}).get("name")
    if name and (not NAME.match(name) or len(name) > words.NAME_LENGTH_MAX):
        rule = f"at most {words.NAME_LENGTH_MAX} lower-case letters, digits or '-', beginning with a letter"
        yield Cause("metadata.name", f"{name!r} names host names of pods: {rule}")


def _env(spec: dict[str, Any]) -> Iterator[Cause]:
    for index, entry in enumerate((spec.get("trainer") or {}).get("env") or []):
        if str(entry.get("name", "")).startswith(RESERVED_ENV):
            where = f"spec.trainer.env[{index}].name"
            yield Cause(where, f"{entry['name']} is set by the trainer; use numNodes and numProcPerNode instead")


def _resources(spec: dict[str, Any]) -> Iterator[Cause]:
    per_node = (spec.get("trainer") or {}).get("resourcesPerNode") or {}
    limits, requests = per_node.get("limits") or {}, per_node.get("requests") or {}
    for sort, amounts in (("limits", limits), ("requests", requests)):
        yield from (Cause(*wrong) for wrong in demand.of_amounts(amounts, f"spec.trainer.resourcesPerNode.{sort}"))
    for name in limits.keys() & requests.keys():
        if amount(requests[name]) > amount(limits[name]):
            where = f"spec.trainer.resourcesPerNode.requests.{name}"
            yield Cause(where, f"{requests[name]} must not exceed the limit of {limits[name]}")


def _patches(spec: dict[str, Any]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, patch in enumerate(spec.get("runtimePatches") or []):
        where = f"spec.runtimePatches[{index}]"
        if patch["manager"] in seen:
            yield Cause(f"{where}.manager", f"{patch['manager']!r} has a patch already", "FieldValueDuplicate")
        seen.add(patch["manager"])
        body = patch.get("trainingRuntimeSpec")
        if odd := list(runtime_rules.shapes(body or {}, f"{where}.trainingRuntimeSpec")):
            yield from odd
            continue
        wrong = pod_patch_error(body) if body else None
        if wrong:
            yield Cause(f"{where}.trainingRuntimeSpec", wrong)
            continue
        for place, template in runtime_rules.templates(body or {}):
            yield from (Cause(*odd) for odd in demand.of_template(template, f"{where}.trainingRuntimeSpec.{place}"))


def _annotations(job: dict[str, Any]) -> Iterator[Cause]:
    asked = words.annotation(job, words.MODEL_FORMAT)
    if asked and asked not in words.FORMATS:
        where = f"metadata.annotations[{words.MODEL_FORMAT}]"
        yield Cause(where, f"{asked!r} must be one of {', '.join(words.FORMATS)}", "FieldValueNotSupported")
    if words.annotation(job, words.SERVE_AS) and not words.annotation(job, words.MODEL_NAME):
        where = f"metadata.annotations[{words.MODEL_NAME}]"
        why = f"is required with {words.SERVE_AS}: only what is registered is served"
        yield Cause(where, why, "FieldValueRequired")
    served = words.annotation(job, words.SERVE_AS)
    if served and not (NAME.match(served) and len(served) <= SERVED_CHARS_MAX):
        why = f"{served!r} must be at most {SERVED_CHARS_MAX} lower case letters, digits and '-', a letter first"
        yield Cause(f"metadata.annotations[{words.SERVE_AS}]", why)
    restarts = words.annotation(job, words.MAX_RESTARTS)
    if restarts and not re.fullmatch(r"\d{1,3}", restarts):
        yield Cause(f"metadata.annotations[{words.MAX_RESTARTS}]", f"{restarts!r} must be a whole number from 0 to 999")
    timeout = words.annotation(job, words.HANG_TIMEOUT)
    if timeout and not re.fullmatch(r"[1-9]\d{0,6}", timeout):
        yield Cause(f"metadata.annotations[{words.HANG_TIMEOUT}]", f"{timeout!r} must be a whole number of seconds")
    yield from _elastic(job)


def _elastic(job: dict[str, Any]) -> Iterator[Cause]:
    given = {key: words.annotation(job, key) for key in (words.MIN_NODES, words.MAX_NODES)}
    known = {key: text for key, text in given.items() if text}
    wrong = [key for key, text in known.items() if not re.fullmatch(r"[1-9]\d{0,3}", text)]
    yield from (Cause(f"metadata.annotations[{key}]", f"{known[key]!r} must be a whole number from 1") for key in wrong)
    if wrong or not known:
        return
    asked = ((job.get("spec") or {}).get("trainer") or {}).get("numNodes")
    numbers = [int(known[key]) if key in known else asked for key in (words.MIN_NODES, words.MAX_NODES)]
    low, high = numbers[0] or 1, numbers[1] or numbers[0] or 1
    if low > high:
        where = f"metadata.annotations[{words.MIN_NODES}]"
        yield Cause(where, f"{low} must not exceed {high}, the most nodes ({words.MAX_NODES}, else numNodes)")
    elif asked and not low <= asked <= high:
        yield Cause("spec.trainer.numNodes", f"{asked} must lie between {low} and {high}, as {', '.join(known)} say")


def _frozen(spec: dict[str, Any], old: dict[str, Any]) -> Iterator[Cause]:
    before = old.get("spec") or {}
    why = "is immutable once the job is over" if is_finished(old) else "is immutable while the job is not suspended"
    allowed = (TTL,) if is_finished(old) else MUTABLE
    loose = is_parked(old) and not is_finished(old)
    for field in sorted(spec.keys() | before.keys()):
        if (field == "runtimePatches" and loose) or field in allowed:
            continue
        if _kept(field, spec, old) != _kept(field, before, old):
            told = "is immutable" if loose or field in ("runtimeRef", "managedBy", "initializer") else why
            yield Cause(f"spec.{field}", f"{told}; create a new job instead", "FieldValueForbidden")


def _kept(field: str, spec: dict[str, Any], old: dict[str, Any]) -> Any:
    """What must stay as it is: the number of nodes of a running elastic job need not."""
    is_elastic = words.annotation(old, words.MIN_NODES) or words.annotation(old, words.MAX_NODES)
    if field != "trainer" or not is_elastic or is_finished(old):
        return spec.get(field)
    return {key: value for key, value in (spec.get("trainer") or {}).items() if key != "numNodes"}
