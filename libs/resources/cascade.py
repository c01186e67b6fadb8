"""Deletion: finalizers, owners and their dependents among the kinds of one store (Background, Foreground, Orphan)."""

from __future__ import annotations

from collections.abc import Sequence

from libs.base import BadRequest, Cause, Conflict, Invalid, rfc3339
from libs.resources.kinds import Kind, Object
from libs.resources.transaction import Transaction

FOREGROUND = "foregroundDeletion"
POLICIES = ("Background", "Foreground", "Orphan")
Found = tuple[Kind, Object]


async def delete(
    tx: Transaction, kinds: Sequence[Kind], kind: Kind, obj: Object, *, propagation: str, grace_s: int | None = None
) -> Object:
    """Deletes an object, or marks it as being deleted while finalizers hold it; returns it as it then is (or
    last was).
    """
    if propagation not in POLICIES:
        raise BadRequest(f"propagationPolicy: {propagation!r} is none of {', '.join(POLICIES)}")
    children = await dependents(tx, kinds, obj) if propagation != "Background" else []
    if propagation == "Orphan":
        for child_kind, child in children:
            await _disown(tx, child_kind, child, obj)
    hold = [FOREGROUND] if propagation == "Foreground" and children else []
    finalizers = [*(obj["metadata"].get("finalizers") or []), *hold]
    if not finalizers:
        await finish(tx, kinds, kind, obj)
        return obj
    marked = await _mark(tx, kind, obj, list(dict.fromkeys(finalizers)), grace_s)
    for child_kind, child in children if hold else []:
        await delete(tx, kinds, child_kind, child, propagation="Foreground")
    return (await tx.find(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])) or marked


async def _mark(tx: Transaction, kind: Kind, obj: Object, finalizers: list[str], grace_s: int | None) -> Object:
    metadata = {**obj["metadata"], "finalizers": finalizers}
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = rfc3339(tx.now)
        metadata["generation"] = int(metadata.get("generation") or 0) + 1
    if grace_s is not None:
        metadata["deletionGracePeriodSeconds"] = min(grace_s, metadata.get("deletionGracePeriodSeconds", grace_s))
    marked = {**obj, "metadata": metadata}
    return obj if marked == obj else await tx.update(kind, marked, obj)


async def finish(tx: Transaction, kinds: Sequence[Kind], kind: Kind, obj: Object) -> None:
    """Removes an object that nothing holds any more, then its dependents, then owners that waited for it."""
    await tx.remove(kind, obj)
    for child_kind, child in await dependents(tx, kinds, obj):
        if await _another_owner(tx, kinds, child, obj):
            await _disown(tx, child_kind, child, obj)
        elif not child["metadata"].get("deletionTimestamp"):
            await delete(tx, kinds, child_kind, child, propagation="Background")
    for owner_kind, owner in await _owners(tx, kinds, obj):
        if FOREGROUND in (owner["metadata"].get("finalizers") or []) and not await dependents(tx, kinds, owner):
            await _release(tx, kinds, owner_kind, owner)


async def _release(tx: Transaction, kinds: Sequence[Kind], kind: Kind, obj: Object) -> None:
    rest = [f for f in obj["metadata"]["finalizers"] if f != FOREGROUND]
    if rest:
        await tx.update(kind, {**obj, "metadata": {**obj["metadata"], "finalizers": rest}}, obj)
    else:
        await finish(tx, kinds, kind, obj)


async def dependents(tx: Transaction, kinds: Sequence[Kind], owner: Object) -> list[Found]:
    """Objects of this store that name `owner` in their ownerReferences."""
    uid = owner["metadata"].get("uid")
    if not uid:
        return []
    by_resource = {kind.resource: kind for kind in kinds}
    namespace = owner["metadata"].get("namespace")
    found = await tx.owned_by(uid, namespace)
    return [(by_resource[resource], obj) for resource, obj in found if resource in by_resource]


async def _owners(tx: Transaction, kinds: Sequence[Kind], obj: Object) -> list[Found]:
    """The owners that this store holds, as they are now."""
    found = []
    for reference in obj["metadata"].get("ownerReferences") or []:
        kind = local_kind(kinds, reference)
        owner = await tx.find(kind, obj["metadata"].get("namespace", ""), reference["name"]) if kind else None
        if kind and owner and owner["metadata"]["uid"] == reference["uid"]:
            found.append((kind, owner))
    return found


def local_kind(kinds: Sequence[Kind], reference: Object) -> Kind | None:
    """The kind of an ownerReference if this store serves it."""
    named = (reference.get("apiVersion"), reference.get("kind"))
    return next((k for k in kinds if (k.api_version, k.kind) == named), None)


async def _another_owner(tx: Transaction, kinds: Sequence[Kind], child: Object, gone: Object) -> bool:
    others = [r for r in child["metadata"]["ownerReferences"] if r["uid"] != gone["metadata"]["uid"]]
    if any(local_kind(kinds, r) is None for r in others):
        return True
    return bool(
        others and await _owners(tx, kinds, {**child, "metadata": {**child["metadata"], "ownerReferences": others}})
    )


async def _disown(tx: Transaction, kind: Kind, child: Object, owner: Object) -> None:
    rest = [r for r in child["metadata"]["ownerReferences"] if r["uid"] != owner["metadata"]["uid"]]
    await tx.update(kind, {**child, "metadata": {**child["metadata"], "ownerReferences": rest}}, child)


async def check_owners(tx: Transaction, kinds: Sequence[Kind], kind: Kind, obj: Object) -> None:
    """Refuses a new object all of whose owners are kinds of this store and gone: it would be garbage at birth."""
    references = obj["metadata"].get("ownerReferences") or []
    if not references or any(local_kind(kinds, r) is None for r in references):
        return
    if not await _owners(tx, kinds, obj):
        first = references[0]
        who = f"{first['kind']} {first['name']!r} with uid {first['uid']}"
        causes = [Cause("metadata.ownerReferences[0]", f"Invalid value: {who} does not exist: remove the reference")]
        raise Invalid.about(kind.resource, str(obj["metadata"].get("name", "")), causes=causes)


def check_preconditions(kind: Kind, obj: Object, preconditions: Object | None) -> None:
    """Raises Conflict when the object is not the one, or not in the version, that the caller meant."""
    for field in ("uid", "resourceVersion"):
        wanted, found = (preconditions or {}).get(field), obj["metadata"].get(field)
        if wanted is not None and wanted != found:
            told = f"the {field} in the precondition ({wanted}) does not match that of the object ({found})"
            raise Conflict.about(kind.resource, obj["metadata"]["name"], told)
