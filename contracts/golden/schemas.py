"""JSON Schemas of messages as another system should read them: self-contained, in its own words, open to new fields."""

from typing import Any, Literal

from contracts.letters import Letter, schema_uri
from contracts.messages import Command, Message

Schema = dict[str, Any]
Sort = Literal["event", "command", "kind"]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SORT = "x-millstream-sort"


def message_schema(message: type[Message]) -> Schema:
    """The schema of a message type's `data`."""
    sort: Sort = "command" if issubclass(message, Command) else "event"
    schema = tidy(message.model_json_schema())
    return {"$schema": DIALECT, "$id": schema_uri(message.type), SORT: sort, **schema}


def letter_schema() -> Schema:
    """The schema of the envelope, CloudEvents in structured mode."""
    schema = tidy(Letter.model_json_schema())
    return {"$schema": DIALECT, "$id": schema_uri("letter"), SORT: "command", **schema, "required": REQUIRED}


REQUIRED = ["specversion", "id", "source", "type", "data"]


def tidy(schema: Schema) -> Schema:
    """References written out, generated titles dropped, unknown fields allowed, since readers ignore them."""
    definitions = schema.get("$defs", {})
    tidied: Schema = _tidy({k: v for k, v in schema.items() if k != "$defs"}, definitions)
    return {"title": schema["title"], **tidied}


def _tidy(node: Any, definitions: Schema) -> Any:
    if isinstance(node, list):
        return [_tidy(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        node = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
    return {k: _tidy(v, definitions) for k, v in node.items() if not _is_noise(k, v)}


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "additionalProperties" and value is False)
