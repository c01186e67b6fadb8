"""Apply and delete commands for a service's own kinds, answered by applied, deleted or rejected; names no kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.envelope import ApplyCommand, Command, DeleteCommand, Event, Letter, registry
from contracts.letters import CLUSTER_SCOPED
from libs.base.errors import ApiError, BadRequest, Cause, Internal, Invalid
from libs.resources import Kind, Resources
from libs.resources.bodies import check_content
from libs.resources.transaction import DELETED_BY
from libs.service.identity import User
from libs.service.pipeline import Effect
from libs.store import UnitOfWork

CommandKinds = Mapping[type[Command], Kind | Sequence[Kind]]
"""The kind of which a command is; of several, its manifest or its field `kind` names one."""

BUS_USER = User("millstream:bus", ("system:authenticated",))
"""Who a command speaks for: the broker lets publish commands only whom it may, and tells us no more."""
MANAGER = "millstream-bus"


def effects(command_kinds: CommandKinds, resources: Resources) -> dict[str, Effect]:
    """What to do in the transaction of each command type. Raises KeyError for a command without an answer type."""
    return {command.type: _effect(command, _several(kinds), resources) for command, kinds in command_kinds.items()}


def answer_type(command_type: str, participle: str) -> Any:
    """The event class that answers `<domain>.<noun>.<verb>.v<N>` with `<participle>`."""
    domain, noun, _, version = command_type.split(".")
    return registry()[f"{domain}.{noun}.{participle}.{version}"]


def rejection(letter: Letter, namespace: str, name: str | None, error: ApiError) -> Event:
    """The answer to a command that was refused; its status names the field at fault."""
    rejected: Event = answer_type(letter.type, "rejected")(
        namespace=namespace, name=name, command_id=letter.id, status=error.status()
    )
    return rejected


def rejecting(command_kinds: CommandKinds) -> dict[str, Callable[[str], Effect]]:
    """By type, the answer to a command whose data is malformed: given its subject, an effect that says why."""
    return {command.type: _refuse for command in command_kinds}


def _refuse(subject: str) -> Effect:
    namespace = subject.rpartition(".")[2]

    async def effect(error: Any, letter: Letter, uow: UnitOfWork) -> Sequence[Event]:
        refusal = Invalid(causes=[Cause(error.field, error.why)])
        return [rejection(letter, "" if namespace == CLUSTER_SCOPED else namespace, _name_in(letter.data), refusal)]

    return effect


def _effect(command: type[Command], kinds: Sequence[Kind], resources: Resources) -> Effect:
    answer_type(command.type, "rejected")
    carry_out: Any
    if issubclass(command, ApplyCommand):
        carry_out = _apply
        answer_type(command.type, "applied")
    elif issubclass(command, DeleteCommand):
        carry_out = _delete
    else:
        raise TypeError(f"{command.type} is neither an ApplyCommand nor a DeleteCommand: give it a handler")

    async def effect(message: Any, letter: Letter, uow: UnitOfWork) -> Sequence[Event]:
        try:
            kind = _meant(message, kinds)
            return await carry_out(message, letter, kind, resources.view(uow, cause=letter))  # type: ignore[no-any-return]
        except ApiError as error:
            if error.code >= 500 and not isinstance(error, Internal):
                raise
            return [rejection(letter, message.namespace, _name(message), error)]

    return effect


def _several(kinds: Kind | Sequence[Kind]) -> Sequence[Kind]:
    return [kinds] if isinstance(kinds, Kind) else kinds


def _meant(message: Any, kinds: Sequence[Kind]) -> Kind:
    """Raises BadRequest for a kind that is none of these."""
    if len(kinds) == 1:
        return kinds[0]
    given = message.manifest.get("kind") if isinstance(message, ApplyCommand) else getattr(message, "kind", None)
    for kind in kinds:
        if kind.kind == given:
            return kind
    raise BadRequest(f"kind: {given!r} must be one of {', '.join(kind.kind for kind in kinds)}")


async def _apply(message: ApplyCommand, letter: Letter, kind: Kind, resources: Resources) -> Sequence[Event]:
    wanted = _placed(message, kind)
    obj = await resources.apply(
        kind,
        wanted,
        manager=MANAGER,
        namespace=message.namespace,
        force=True,
        user=BUS_USER,
        dry_run=message.dry_run,
    )
    meta = obj["metadata"]
    applied = answer_type(letter.type, "applied")
    return [
        applied(
            namespace=meta.get("namespace", ""),
            name=meta["name"],
            uid=meta["uid"],
            resource_version=str(meta.get("resourceVersion", "")),
            command_id=letter.id,
        )
    ]


async def _delete(message: DeleteCommand, letter: Letter, kind: Kind, resources: Resources) -> Sequence[Event]:
    """Its answer, deleted, is said by the kind itself when the object is gone."""
    space, name = message.namespace, message.name
    note = {"metadata": {"annotations": {DELETED_BY: letter.id}}}
    await resources.patch(kind, space, name, note, user=BUS_USER)
    await resources.delete(kind, space, name, user=BUS_USER)
    return []


def _placed(message: ApplyCommand, kind: Kind) -> dict[str, Any]:
    """The manifest with its namespace filled in; raises BadRequest where it contradicts the command."""
    manifest = message.manifest
    check_content(manifest)
    found = (manifest.get("apiVersion"), manifest.get("kind"))
    if found != (kind.api_version, kind.kind):
        raise BadRequest(f"manifest: expected {kind.api_version} {kind.kind}, got {found[0]} {found[1]}")
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        raise BadRequest("manifest.metadata: must be an object with a name")
    space = metadata.get("namespace", message.namespace)
    if space != message.namespace:
        raise BadRequest(f"manifest.metadata.namespace: {space!r} is not the command's namespace {message.namespace!r}")
    placed = {"namespace": space} if kind.namespaced else {}
    return {**manifest, "metadata": {**metadata, **placed}}


def _name(message: ApplyCommand | DeleteCommand) -> str | None:
    return _name_in({part: getattr(message, part, None) for part in ("manifest", "name")})


def _name_in(data: Mapping[str, Any]) -> str | None:
    """The object's name, as far as malformed data lets it be seen."""
    manifest = data.get("manifest")
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    name = data.get("name") or (metadata.get("name") if isinstance(metadata, dict) else None)
    return name if isinstance(name, str) and 0 < len(name) <= 253 else None
