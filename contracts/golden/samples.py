"""One letter per message type, the same on every machine: what another system can copy and send."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from contracts.golden.schemas import Schema, message_schema
from contracts.letters import Letter, letter_for, schema_uri
from contracts.messages import Command, Event

TIME = datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC)
WORDS = {
    "namespace": "team-a",
    "name": "digits",
    "model": "digits",
    "version": "1",
    "resource_version": "7",
    "uri": "s3://millstream/models/team-a/digits/",
    "model_uri": "s3://millstream/models/team-a/digits/",
    "dataset_uri": "s3://millstream/data/digits/train.parquet",
    "url": "http://127.0.0.1:8080/serving/team-a/digits",
    "revision": "1",
    "kind": "TrainJob",
    "format": "pytorch",
    "runtime": "torch-distributed",
    "code_digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "reason": "PodFailed",
    "message": "pod digits-node-0-1 ended with exit code 1",
}


def sample_letter(message: type[Event] | type[Command], source: str) -> Letter:
    """A letter of the type with every field filled, said by `source`."""
    data = sample(message_schema(message), message.type)
    return letter_for(message.read(data), id=_uuid(schema_uri(message.type)), source=source, now=TIME)


def sample(schema: Schema, path: str) -> Any:
    """A value that the schema accepts: its example, else a plausible one by the field's name, else one by its type."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], path)
    if "enum" in schema:
        return schema["enum"][0]
    return _BY_TYPE[schema["type"]](schema, path)


def _object(schema: Schema, path: str) -> Any:
    return {name: sample(part, f"{path}.{name}") for name, part in schema.get("properties", {}).items()}


def _string(schema: Schema, path: str) -> str:
    if schema.get("format") == "date-time":
        return TIME.isoformat().replace("+00:00", "Z")
    field = path.rpartition(".")[2]
    return WORDS.get(field) or (_uuid(path) if field.endswith("id") else field)


def _uuid(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


_BY_TYPE: dict[str, Callable[[Schema, str], Any]] = {
    "object": _object,
    "string": _string,
    "integer": lambda schema, path: schema.get("minimum", 0) + 1,
    "number": lambda schema, path: 0.5,
    "boolean": lambda schema, path: schema.get("default", True),
    "array": lambda schema, path: [sample(schema["items"], path)],
    "null": lambda schema, path: None,
}
