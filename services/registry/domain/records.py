"""A record: a registered model, a model version or an artifact, with what all three share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal["model", "version", "artifact"]
WORDS: dict[Family, str] = {"model": "registered model", "version": "model version", "artifact": "artifact"}
NO_PARENT = 0
_OWN = ("name", "externalId", "id")


@dataclass
class Record:
    """`parent` is a version's model or an artifact's version (0: none). Times in ms since the epoch.

    `fields` are the API's other fields as sent; `announced` says whether the version was told to the other services.
    """

    family: Family
    name: str
    parent: int = NO_PARENT
    id: int = 0
    external_id: str | None = None
    artifact_type: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    created_ms: int = 0
    updated_ms: int = 0
    job_uid: str | None = None
    announced: bool = False

    def shown(self) -> dict[str, Any]:
        """As the REST API answers it: ids and times are strings."""
        return {
            **{"customProperties": {}, "state": "UNKNOWN" if self.family == "artifact" else "LIVE"},
            **self.fields,
            **({"artifactType": self.artifact_type} if self.artifact_type else {}),
            **({"registeredModelId": str(self.parent)} if self.family == "version" else {}),
            **({"externalId": self.external_id} if self.external_id is not None else {}),
            "id": str(self.id),
            "name": self.name,
            "createTimeSinceEpoch": str(self.created_ms),
            "lastUpdateTimeSinceEpoch": str(self.updated_ms),
        }


def new_record(family: Family, name: str, sent: dict[str, Any], *, parent: int = NO_PARENT, now_ms: int) -> Record:
    """A record from the fields of a create form."""
    kept = {key: value for key, value in sent.items() if key not in (*_OWN, "artifactType", "registeredModelId")}
    return Record(
        family,
        name,
        parent,
        external_id=sent.get("externalId"),
        artifact_type=sent.get("artifactType"),
        fields=kept,
        created_ms=now_ms,
        updated_ms=now_ms,
    )


def change(record: Record, sent: dict[str, Any], *, now_ms: int) -> Record:
    """The fields of an update form replace those of the record; the rest stays. customProperties go as a whole."""
    kept = {key: value for key, value in sent.items() if key not in (*_OWN, "artifactType", "registeredModelId")}
    record.fields = {**record.fields, **kept}
    record.external_id = sent.get("externalId", record.external_id)
    record.updated_ms = max(now_ms, record.updated_ms)
    return record


def next_version(names: list[str]) -> str:
    """One more than the largest version that is a plain number; "1" for the first."""
    numbers = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 16]
    return str(max(numbers, default=0) + 1)


def custom_string(record: Record, name: str) -> str | None:
    value = record.fields.get("customProperties", {}).get(name, {})
    return value.get("string_value") if isinstance(value, dict) else None
