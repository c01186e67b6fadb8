"""How each write changes an object inside one open transaction: create, replace, patch, apply, status, finalizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.envelope import Event
from libs.base import AlreadyExists, BadRequest, Conflict, Forbidden, NotFound, UnsupportedMediaType, rfc3339
from libs.resources import cascade, managed, patches, shaping
from libs.resources.kinds import Admission, Kind, Object, Operation, Right
from libs.resources.schemas import schema_of
from libs.resources.transaction import Transaction

_NAMES_TRIED_MAX = 8


@dataclass(frozen=True)
class Ask:
    """What a caller says about a write besides the object."""

    user: Any = None
    dry_run: bool = False
    field_validation: str = "Strict"
    manager: str | None = None
    warnings: list[str] = field(default_factory=list)
    duplicates: Sequence[str] = ()
    granted: frozenset[Right] | None = None
    """What the asker is known to be allowed beside the write itself; None where nobody needs leave."""


class Unasked(Exception):  # no error: the caller asks and tries again
    """The write needs rights that nobody was asked for yet; nothing has been written."""

    def __init__(self, rights: frozenset[Right]) -> None:
        super().__init__(rights)
        self.rights = rights


async def create(
    tx: Transaction, kinds: Sequence[Kind], kind: Kind, body: Any, namespace: str, ask: Ask, *, owned: bool = False
) -> Object:
    obj = shaping.identified(kind, body, namespace)
    obj = shaping.known_fields_only(kind, obj, ask.field_validation, ask.warnings, ask.duplicates)
    if obj["metadata"].get("resourceVersion"):
        raise BadRequest("metadata.resourceVersion: must not be set on an object to be created")
    ownership = obj["metadata"].get("managedFields") if owned else None
    obj = shaping.newborn(kind, obj, uid=tx.ids.uid(), now=rfc3339(tx.now))
    obj = await _named(tx, kind, obj)
    obj = shaping.admitted(kind, obj, None, _admission(tx, ask, "CREATE", obj))
    _check_rights(kind, obj, None, ask)
    await _check_namespace(tx, kinds, kind, obj)
    await cascade.check_owners(tx, kinds, kind, obj)
    if ownership:
        obj = {**obj, "metadata": {**obj["metadata"], "managedFields": ownership}}
    elif ask.manager:
        obj = _owned(None, obj, kind, ask, tx, "")
    return await tx.insert(kind, obj)


async def _named(tx: Transaction, kind: Kind, obj: Object) -> Object:
    """The object with a name of its own; raises AlreadyExists before anything else is judged twice."""
    metadata = obj["metadata"]
    prefix, space = metadata.get("generateName"), metadata.get("namespace", "")
    if metadata.get("name") or not isinstance(prefix, str) or not prefix:
        name = metadata.get("name")
        if isinstance(name, str) and await tx.find(kind, space, name):
            raise AlreadyExists.about(kind.resource, name)
        return obj
    limit = (63 if kind.name_is_label else 253) - 5
    for _ in range(_NAMES_TRIED_MAX):
        name = prefix[:limit] + tx.ids.suffix()
        if not await tx.find(kind, space, name):
            return {**obj, "metadata": {**metadata, "name": name}}
    raise AlreadyExists.about(kind.resource, prefix, "already exists: no free name could be generated, try again")


async def _check_namespace(tx: Transaction, kinds: Sequence[Kind], kind: Kind, obj: Object) -> None:
    """Where this store keeps the namespaces, an object's must exist and must not be going away."""
    spaces = next((k for k in kinds if k.resource == "namespaces"), None)
    if spaces is None or not kind.namespaced:
        return
    space = await tx.get(spaces, "", obj["metadata"]["namespace"])
    if space["metadata"].get("deletionTimestamp"):
        name = space["metadata"]["name"]
        told = f"is forbidden: unable to create new content in namespace {name} because it is being terminated"
        raise Forbidden.about(kind.resource, obj["metadata"]["name"], told)


async def replace(
    tx: Transaction, kinds: Sequence[Kind], kind: Kind, namespace: str, name: str, body: Any, part: str, ask: Ask
) -> Object:
    new = shaping.identified(kind, body, namespace, name)
    new = shaping.known_fields_only(kind, new, ask.field_validation, ask.warnings, ask.duplicates)
    old = await tx.get(kind, namespace, name)
    return await _succeed(tx, kinds, kind, old, new, part, ask)


async def patch(
    tx: Transaction,
    kinds: Sequence[Kind],
    kind: Kind,
    namespace: str,
    name: str,
    change: Any,
    content_type: str,
    part: str,
    ask: Ask,
) -> Object:
    """Of a kind that `takes_past_status`, a patch with the whole object is taken although its status moved since it was
    read: it shows the present generation, so it has seen all that it may change. Katib's client sends such patches.
    """
    old = await tx.get(kind, namespace, name)
    if kind.takes_past_status and not part and content_type == patches.MERGE_PATCH:
        change = _of_present_generation(change, old)
    new = shaping.identified(kind, _patched(kind, old, change, content_type), namespace, name)
    new = shaping.known_fields_only(kind, new, ask.field_validation, ask.warnings, ask.duplicates)
    return await _succeed(tx, kinds, kind, old, new, part, ask)


def _of_present_generation(change: Any, old: Object) -> Any:
    metadata = change.get("metadata") if isinstance(change, dict) else None
    if not isinstance(metadata, dict) or metadata.get("generation") != old["metadata"].get("generation"):
        return change
    return {**change, "metadata": {k: v for k, v in metadata.items() if k != "resourceVersion"}}


def _patched(kind: Kind, old: Object, change: Any, content_type: str) -> Any:
    if content_type == patches.JSON_PATCH:
        return patches.json_patch(old, change)
    if not isinstance(change, dict):
        raise BadRequest(f'a {content_type} body must be an object, such as {{"spec": {{...}}}}')
    if content_type == patches.MERGE_PATCH:
        return patches.merge_patch(old, change)
    if content_type == patches.STRATEGIC_PATCH and kind.builtin:
        return patches.strategic_merge(old, change, schema_of(kind).shape)
    known = [
        patches.JSON_PATCH,
        patches.MERGE_PATCH,
        patches.APPLY_YAML,
        *([patches.STRATEGIC_PATCH] if kind.builtin else []),
    ]
    raise UnsupportedMediaType(f"cannot patch {kind.plural} with {content_type!r}: supported are {', '.join(known)}")


async def apply(
    tx: Transaction,
    kinds: Sequence[Kind],
    kind: Kind,
    body: Any,
    namespace: str,
    name: str | None,
    force: bool,
    part: str,
    ask: Ask,
) -> Object:
    if not ask.manager:
        raise BadRequest(
            "fieldManager: is required for server-side apply: name who applies, such as fieldManager=kubectl"
        )
    wanted = shaping.identified(kind, body, namespace, name)
    wanted = shaping.known_fields_only(kind, wanted, ask.field_validation, ask.warnings, ask.duplicates)
    metadata = wanted["metadata"]
    if metadata.get("managedFields"):
        raise BadRequest(
            "metadata.managedFields: must be absent from an object to be applied: it is the server's record"
        )
    if not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise BadRequest("metadata.name: is required for server-side apply")
    wanted = _within(kind, wanted, part)
    old = await tx.find(kind, namespace, metadata["name"])
    shape, writer = schema_of(kind).shape, _writer(kind, ask, tx, part)
    result = managed.applied(old, wanted, writer, shape, builtin=kind.builtin, force=force)
    if old is None:
        return await _apply_new(tx, kinds, kind, result, namespace, metadata, part, ask)
    result["metadata"] = {"resourceVersion": old["metadata"]["resourceVersion"], **result["metadata"]}
    return await _succeed(tx, kinds, kind, old, result, part, ask, tracked=True)


async def _apply_new(
    tx: Transaction,
    kinds: Sequence[Kind],
    kind: Kind,
    obj: Object,
    namespace: str,
    metadata: Object,
    part: str,
    ask: Ask,
) -> Object:
    if part:
        raise NotFound.about(kind.resource, metadata["name"])
    if metadata.get("uid"):
        told = "the uid in the applied object does not match: the object does not exist any more"
        raise Conflict.about(kind.resource, metadata["name"], told)
    obj["metadata"].pop("resourceVersion", None)
    return await create(tx, kinds, kind, obj, namespace, ask, owned=True)


def _within(kind: Kind, wanted: Object, part: str) -> Object:
    """The applied fields that this endpoint may change."""
    if part == "status":
        kept: Object = {k: v for k, v in wanted.items() if k in ("apiVersion", "kind", "status")}
        names = {k: v for k, v in wanted["metadata"].items() if k in ("name", "namespace", "uid", "resourceVersion")}
        return {**kept, "metadata": names}
    return {k: v for k, v in wanted.items() if k != "status"} if kind.status_subresource else wanted


async def _succeed(
    tx: Transaction,
    kinds: Sequence[Kind],
    kind: Kind,
    old: Object,
    new: Object,
    part: str,
    ask: Ask,
    *,
    tracked: bool = False,
) -> Object:
    """Stores `new` in the place of `old` as far as `part` allows; no write when nothing changes."""
    _check_version(kind, old, new["metadata"])
    new = shaping.successor(kind, old, new, part)
    if not tracked:
        new["metadata"] = _keep_ownership(new["metadata"], old["metadata"], ask)
    if part:
        shaping.check(kind, new, old)
    else:
        new = shaping.admitted(kind, new, old, _admission(tx, ask, "UPDATE", new))
        _check_rights(kind, new, old, ask)
        new = shaping.with_generation(kind, old, new)
    if ask.manager and not tracked:
        new = _owned(old, new, kind, ask, tx, part)
    if shaping.same(old, new):
        return old
    new["metadata"] = {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}
    return await store(tx, kinds, kind, old, new)


async def store(tx: Transaction, kinds: Sequence[Kind], kind: Kind, old: Object, new: Object) -> Object:
    """Updates the object; if it is being deleted and nothing holds it any more, it is gone instead."""
    if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
        await cascade.finish(tx, kinds, kind, new)
        return new
    return await tx.update(kind, new, old)


def _check_version(kind: Kind, old: Object, metadata: Object) -> None:
    version, uid = metadata.get("resourceVersion"), metadata.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        told = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise Conflict.about(kind.resource, old["metadata"]["name"], told)
    if version and version != old["metadata"]["resourceVersion"]:
        raise Conflict.about(kind.resource, old["metadata"]["name"])


def _keep_ownership(metadata: Object, old: Object, ask: Ask) -> Object:
    """Clients may clear or edit managedFields (`kubectl` does, to take over older ownership); leaving it out
    keeps it.
    """
    if "managedFields" in metadata and isinstance(metadata["managedFields"], list):
        return metadata
    kept = {"managedFields": old["managedFields"]} if "managedFields" in old else {}
    return {**{k: v for k, v in metadata.items() if k != "managedFields"}, **kept}


def _owned(old: Object | None, new: Object, kind: Kind, ask: Ask, tx: Transaction, part: str) -> Object:
    before = None
    if old is not None:
        ownership = {k: v for k, v in new["metadata"].items() if k == "managedFields"}
        before = {
            **old,
            "metadata": {**{k: v for k, v in old["metadata"].items() if k != "managedFields"}, **ownership},
        }
    return managed.written(before, new, _writer(kind, ask, tx, part), schema_of(kind).shape, builtin=kind.builtin)


def _writer(kind: Kind, ask: Ask, tx: Transaction, part: str) -> managed.Writer:
    return managed.Writer(ask.manager or "", kind.api_version, rfc3339(tx.now), part)


def _check_rights(kind: Kind, obj: Object, old: Object | None, ask: Ask) -> None:
    if ask.granted is not None and (missing := kind.rights(obj, old) - ask.granted):
        raise Unasked(missing)


def _admission(tx: Transaction, ask: Ask, operation: Operation, obj: Object) -> Admission:
    return Admission(ask.user, operation, tx.dry_run, obj["metadata"].get("namespace", ""), tx.now)


async def update_status(
    tx: Transaction,
    kind: Kind,
    namespace: str,
    name: str,
    status: Object,
    expect_rv: str | None,
    events: Sequence[Event],
) -> Object:
    old = await tx.get(kind, namespace, name)
    if expect_rv is not None and expect_rv != old["metadata"]["resourceVersion"]:
        raise Conflict.about(kind.resource, name)
    tx.say(events)
    if (old.get("status") or {}) == status:
        return old
    return await tx.update(kind, {**old, "status": status}, old)


async def remove_finalizer(
    tx: Transaction, kinds: Sequence[Kind], kind: Kind, namespace: str, name: str, finalizer: str
) -> Object | None:
    old = await tx.find(kind, namespace, name)
    if old is None:
        return None
    rest = [f for f in old["metadata"].get("finalizers") or [] if f != finalizer]
    if rest == (old["metadata"].get("finalizers") or []):
        return old
    metadata = {k: v for k, v in old["metadata"].items() if k != "finalizers"}
    new = {**old, "metadata": {**metadata, **({"finalizers": rest} if rest else {})}}
    return await store(tx, kinds, kind, old, new)
