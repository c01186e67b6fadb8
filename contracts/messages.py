"""The two sorts of message, facts and wishes, and their common parts; it knows no broker and no particular domain."""

import math
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

REFUSAL = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "Invalid",
    "message": "spec.trainer.numNodes: must be at least 1",
    "details": {"causes": [{"reason": "FieldValueInvalid", "field": "spec.trainer.numNodes"}]},
    "code": 422,
}
NON_FINITE = {"NaN", "Infinity", "-Infinity"}


def _json_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


Namespace = Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")]
"""A Kubernetes namespace (DNS label); empty for what is cluster-scoped."""

Name = Annotated[str, Field(min_length=1, max_length=253)]
FormatName = Annotated[str, Field(max_length=63, pattern=r"^[a-z][a-z0-9-]*$")]
"""A model format: pytorch, sklearn, xgboost, onnx, ... A word, no enumeration: old readers must take new ones."""

Uid = Annotated[str, Field(min_length=1, max_length=128)]

Number = Annotated[
    float,
    PlainSerializer(_json_number, return_type=float | str, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "enum": sorted(NON_FINITE)}]}),
]
"""A measured figure. JSON has no NaN or infinity and a diverged loss is worth telling: those travel as strings."""


class Value(BaseModel):
    """A frozen part of a message.

    Written strictly and read tolerantly: the constructor refuses unknown fields, so a typing error is found where it is
    made; :meth:`read` ignores them, so an older reader understands a newer writer of the same version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    @classmethod
    def read(cls, data: Any) -> Self:
        """The message in `data` (a JSON object), unknown fields ignored. Raises `pydantic.ValidationError`."""
        return cls.model_validate(data, extra="ignore")


class Message(Value):
    """What a letter carries. `type` names it on the wire: `<domain>.<noun>.<verb>.v<N>`."""

    type: ClassVar[str]

    namespace: Namespace

    def about(self) -> str:
        """The object this is about, `<namespace>/<name>`: the CloudEvents `subject`."""
        return f"{self.namespace}/{getattr(self, 'name', None) or ''}".strip("/")


class Event(Message):
    """A fact, in the past participle. Said by the service that owns the noun, in the transaction that made it true."""


class Command(Message):
    """A wish, in the imperative. Anyone may say it; the service that hears it answers with an event of its own."""


class ObjectCommand(Command):
    """A wish about one object of whoever says it. `kind` is the Kubernetes kind, such as TrainJob."""

    name: Name
    uid: Uid
    kind: Name


class ObjectEvent(Event):
    """A fact about one stored object."""

    name: Name
    uid: Uid


class AppliedEvent(ObjectEvent):
    """The answer to a command that was carried out."""

    resource_version: str
    command_id: Uid


class RejectedEvent(Event):
    """The answer to a command that was refused. `status` is a Kubernetes `Status` that names the field at fault."""

    name: Name | None = None
    command_id: Uid
    status: dict[str, Any] = Field(examples=[REFUSAL])


class ApplyCommand(Command):
    """Make an object be as `manifest` says, by server-side apply. Answered by applied or rejected."""

    manifest: dict[str, Any]
    dry_run: bool = False

    def about(self) -> str:
        metadata = self.manifest.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return f"{self.namespace}/{name if isinstance(name, str) else ''}".strip("/")


class DeleteCommand(Command):
    """Remove one object and its workloads. Answered by deleted when it is gone, or by rejected."""

    name: Name
