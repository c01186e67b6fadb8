"""What an object must look like before it is stored: identity, known fields, metadata, status, generation; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.base import ApiError, BadRequest, Cause, Invalid
from libs.resources.kinds import Admission, Kind, Object
from libs.resources.names import metadata_problems
from libs.resources.schemas import problems_of, schema_of
from libs.resources.shapes import pruned, unknown_fields

VALIDATIONS = ("Strict", "Warn", "Ignore")
_FIXED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")
_SERVERS = (*_FIXED, "resourceVersion", "managedFields")


def identified(kind: Kind, body: Any, namespace: str | None, name: str | None = None) -> Object:
    """The body as an object of `kind` in `namespace`; raises BadRequest where it says it is something else."""
    if not isinstance(body, dict):
        raise BadRequest(f"the body must be a {kind.kind} object, not a {_json_name(body)}")
    for field, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if body.get(field, wanted) != wanted:
            raise BadRequest(f"{field}: {body[field]!r} does not match this URL, which serves {wanted!r}")
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise BadRequest(f"metadata: must be an object, not a {_json_name(metadata)}")
    metadata = {k: v for k, v in metadata.items() if v is not None}
    _settle(metadata, "name", name, "the name of the object does not match the name on the URL")
    _settle(
        metadata,
        "namespace",
        (namespace or "") if kind.namespaced else "",
        "the namespace of the object does not match",
    )
    if not metadata.get("namespace"):
        metadata.pop("namespace", None)
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def _settle(metadata: Object, field: str, wanted: str | None, told: str) -> None:
    if wanted is None:
        return
    if metadata.get(field) not in (None, "", wanted):
        raise BadRequest(f"metadata.{field}: {told}: {metadata[field]!r} is not {wanted!r}")
    metadata[field] = wanted


def _json_name(value: Any) -> str:
    names = {dict: "map", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def known_fields_only(
    kind: Kind, obj: Object, mode: str, warnings: list[str], duplicates: Sequence[str] = ()
) -> Object:
    """The object without unknown fields. Strict refuses them (and duplicates), Warn tells of them, Ignore is silent."""
    if mode not in VALIDATIONS:
        raise BadRequest(f"fieldValidation: {mode!r} is none of {', '.join(VALIDATIONS)}")
    shape = schema_of(kind).shape
    unknown = sorted(unknown_fields(obj, shape))
    told = [*(f'duplicate field "{d}"' for d in duplicates), *(f'unknown field "{u}"' for u in unknown)]
    if told and mode == "Strict":
        raise BadRequest(
            f"{kind.kind} in version {kind.version!r} cannot be handled: strict decoding error: {', '.join(told)}"
        )
    if mode == "Warn":
        warnings.extend(told)
    return pruned(obj, shape) if unknown else obj


def newborn(kind: Kind, obj: Object, *, uid: str, now: str) -> Object:
    """A new object's metadata as the server sets it; the status of the sender is dropped where it has its own
    subresource.
    """
    metadata = {k: v for k, v in obj["metadata"].items() if k not in _SERVERS}
    metadata |= {"uid": uid, "creationTimestamp": now, "generation": 1}
    if kind.finalizer and kind.finalizer not in (finalizers := metadata.get("finalizers") or []):
        metadata["finalizers"] = [*finalizers, kind.finalizer]
    out = {**obj, "metadata": metadata}
    if kind.status_subresource:
        out.pop("status", None)
    return out


def successor(kind: Kind, old: Object, new: Object, part: str) -> Object:
    """What a write through the main resource (`part` "") or through `status` may change of `old`; the rest stays."""
    if part == "status":
        managed = new["metadata"].get("managedFields")
        metadata = {**old["metadata"], **({"managedFields": managed} if managed else {})}
        out = {**old, "metadata": metadata}
        out.pop("status", None)
        return {**out, "status": new["status"]} if new.get("status") is not None else out
    metadata = {k: v for k, v in new["metadata"].items() if k not in _FIXED}
    metadata |= {k: old["metadata"][k] for k in _FIXED if k in old["metadata"]}
    out = {**new, "metadata": metadata}
    if kind.status_subresource:
        out.pop("status", None)
        if "status" in old:
            out["status"] = old["status"]
    return out


def with_generation(kind: Kind, old: Object, new: Object) -> Object:
    """`new` with the next generation if anything but metadata and status changed."""
    if desired(kind, old) == desired(kind, new):
        return new
    generation = int(old["metadata"].get("generation") or 0) + 1
    return {**new, "metadata": {**new["metadata"], "generation": generation}}


def desired(kind: Kind, obj: Object) -> Object:
    hidden = ("metadata", "status") if kind.status_subresource else ("metadata",)
    return {k: v for k, v in obj.items() if k not in hidden}


def admitted(kind: Kind, obj: Object, old: Object | None, admission: Admission) -> Object:
    """The object as the kind's `admit` leaves it, checked; raises Invalid that names every wrong field.

    `admit` may fill in what the model requires, so the model judges afterwards; metadata is checked before. Where
    `admit`
    stumbles over a value of a wrong type, the model's complaint about that value is the better answer.
    """
    _check_metadata(kind, obj, old)
    try:
        new = kind.admit(obj, old, admission)
    except ApiError:
        raise
    except Exception:
        _raise_if(kind, obj, list(problems_of(kind, obj)))
        raise
    check(kind, new, old)
    return new


def check(kind: Kind, obj: Object, old: Object | None) -> None:
    """Raises Invalid that names every wrong field."""
    _check_metadata(kind, obj, old)
    _raise_if(kind, obj, list(problems_of(kind, obj)))


def _check_metadata(kind: Kind, obj: Object, old: Object | None) -> None:
    metadata = obj["metadata"]
    causes = list(metadata_problems(metadata, namespaced=kind.namespaced, name_is_label=kind.name_is_label))
    if old is not None and not causes:
        causes = _frozen(metadata, old["metadata"])
    # The model tells of the other fields in the same answer, if it can make sense of the object at all.
    _raise_if(kind, obj, [*causes, *problems_of(kind, obj)] if causes else [])


def _raise_if(kind: Kind, obj: Object, causes: list[Cause]) -> None:
    if causes:
        raise Invalid.about(title(kind), str(obj["metadata"].get("name", "")), causes=causes)


def _frozen(metadata: Object, old: Object) -> list[Cause]:
    added = set(metadata.get("finalizers") or []) - set(old.get("finalizers") or [])
    if added and old.get("deletionTimestamp"):
        told = f"Forbidden: no new finalizers can be added if the object is being deleted, found {sorted(added)}"
        return [Cause("metadata.finalizers", told, "FieldValueForbidden")]
    return []


def title(kind: Kind) -> str:
    """`TrainJob.trainer.kubeflow.org`: how Kubernetes names a kind in its complaints."""
    return f"{kind.kind}.{kind.group}" if kind.group else kind.kind


def same(a: Object, b: Object) -> bool:
    """Whether a write would change nothing worth a new version; the times in managedFields do not count."""
    return _comparable(a) == _comparable(b) and repr(_comparable(a)) == repr(_comparable(b))


def _comparable(obj: Object) -> Object:
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion" and v not in ({}, [])}
    managed = [{k: v for k, v in e.items() if k != "time"} for e in metadata.pop("managedFields", ())]
    return {**obj, "metadata": metadata, "managed": managed}
