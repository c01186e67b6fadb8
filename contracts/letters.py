"""The envelope: CloudEvents 1.0 attributes around one message; it knows neither transport nor meaning."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_serializer

from contracts.messages import Message, Namespace

STREAM_PREFIX = "millstream"
CLUSTER_SCOPED = "_"  # no namespace can be called so: DNS labels have no underscore
TYPE_PATTERN = r"^[a-z][a-z0-9]*\.[a-z][a-z0-9]*\.[a-z][a-z0-9]*\.v[1-9][0-9]*$"

Id = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")]
"""Printable ASCII: it travels in the `Nats-Msg-Id` header."""


class Letter(BaseModel):
    """A CloudEvent in JSON structured form (https://github.com/cloudevents/spec, v1.0.2).

    `causationid` is the id of the letter that this one answers or follows from, `correlationid` that of the first
    letter of the chain (its own id when it begins one). `time` is optional, as in the specification.
    Attributes of other extensions are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Annotated[str, Field(pattern=r"^1\.0$")] = "1.0"
    id: Id
    source: Annotated[str, Field(min_length=1, max_length=512)]
    type: Annotated[str, Field(max_length=128, pattern=TYPE_PATTERN)]
    subject: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    time: AwareDatetime | None = None
    datacontenttype: Annotated[str, Field(pattern=r"^application/json\b")] = "application/json"
    dataschema: str | None = None
    data: dict[str, Any]
    namespace: Namespace | None = None
    causationid: Id | None = None
    correlationid: Id | None = None
    traceparent: Annotated[str, Field(max_length=64)] | None = None

    @field_serializer("time", when_used="json-unless-none")
    def _rfc3339(self, value: datetime) -> str:
        return value.isoformat().replace("+00:00", "Z")

    def to_dict(self) -> dict[str, Any]:
        """The JSON object. Absent attributes are left out (CloudEvents knows no null); `data` is kept as it is."""
        found = {name: value for name in _ATTRIBUTES if (value := getattr(self, name)) is not None}
        if self.time is not None:
            found["time"] = self._rfc3339(self.time)
        found["data"] = self.data
        return found


_ATTRIBUTES = tuple(name for name in Letter.model_fields if name != "data")


def schema_uri(type: str) -> str:
    """The `dataschema` of a message type, and the `$id` of its published JSON Schema."""
    return f"urn:millstream:schema:{type}"


def subject_for(type: str, namespace: str | None) -> str:
    """The NATS subject `millstream.<type>.<namespace>`. Raises ValueError where a part would break the subject."""
    if not re.match(TYPE_PATTERN, type):
        raise ValueError(f"type {type!r} is not <domain>.<noun>.<verb>.v<N>")
    if namespace and not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", namespace):
        raise ValueError(f"namespace {namespace!r} is not a DNS label")
    return f"{STREAM_PREFIX}.{type}.{namespace or CLUSTER_SCOPED}"


def subject_of(letter: Letter) -> str:
    """The NATS subject that `letter` travels on."""
    return subject_for(letter.type, letter.namespace)


def letter_for(
    event: Message,
    *,
    id: str,
    source: str,
    now: datetime,
    causation: Letter | None = None,
    traceparent: str | None = None,
) -> Letter:
    """The letter that says `event`. `source` is "millstream/<service>"; `causation` is the letter it follows from."""
    return Letter(
        id=id,
        source=source,
        type=event.type,
        subject=event.about() or None,
        time=now,
        dataschema=schema_uri(event.type),
        data=event.model_dump(mode="json"),
        namespace=event.namespace or None,
        causationid=causation.id if causation else None,
        correlationid=(causation.correlationid or causation.id) if causation else id,
        traceparent=traceparent or (causation.traceparent if causation else None),
    )
