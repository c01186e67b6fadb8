"""The AsyncAPI 3 document: every channel, what travels on it, and who says and hears it by the services' manifests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.golden.schemas import Schema, letter_schema, message_schema
from contracts.letters import Letter, subject_for
from contracts.messages import Command, Message
from contracts.opening import STRUCTURED

ANSWERS = ("applied", "rejected", "deleted")


@dataclass(frozen=True)
class Speaker:
    """The part of a service's manifest that matters here."""

    name: str
    says: Sequence[str] = ()
    hears: Sequence[str] = ()


def document(
    messages: Mapping[str, type[Message]], letters: Mapping[str, Letter], speakers: Sequence[Speaker], version: str
) -> dict[str, Any]:
    """AsyncAPI 3.0.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Millstream",
            "version": version,
            "description": "Facts and commands on NATS JetStream, stream `millstream`, as CloudEvents 1.0 "
            "(structured or binary mode). Publish with the header `Nats-Msg-Id` equal to the letter's id.",
        },
        "defaultContentType": STRUCTURED,
        "channels": {type: _channel(type) for type in messages},
        "operations": dict(_operations(messages, speakers)),
        "components": {
            "messages": {type: _message(message, letters[type]) for type, message in messages.items()},
            "schemas": {"letter": _embedded(letter_schema())}
            | {type: _embedded(message_schema(message)) for type, message in messages.items()},
        },
    }


def _channel(type: str) -> dict[str, Any]:
    return {
        "address": subject_for(type, "namespace").removesuffix("namespace") + "{namespace}",
        "messages": {type: {"$ref": f"#/components/messages/{type}"}},
        "parameters": {"namespace": {"description": "Kubernetes namespace; `_` for what is cluster-scoped"}},
    }


def _message(message: type[Message], letter: Letter) -> dict[str, Any]:
    only = {"properties": {"type": {"const": message.type}, "data": _schema(message.type)}}
    return {
        "name": message.type,
        "title": message.__name__,
        "summary": (message.__doc__ or "").strip(),
        "contentType": STRUCTURED,
        "payload": {"allOf": [_schema("letter"), only]},
        "examples": [{"payload": letter.to_dict()}],
    }


def _operations(
    messages: Mapping[str, type[Message]], speakers: Sequence[Speaker]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for speaker in sorted(speakers, key=lambda speaker: speaker.name):
        for type in sorted(set(speaker.says) & set(messages)):
            yield f"{speaker.name}.says.{type}", _operation("send", type)
        for type in sorted(set(speaker.hears) & set(messages)):
            yield f"{speaker.name}.hears.{type}", _operation("receive", type) | _reply(type, messages)


def _operation(action: str, type: str) -> dict[str, Any]:
    return {"action": action, "channel": _at(type), "messages": [_said(type)]}


def _reply(type: str, messages: Mapping[str, type[Message]]) -> dict[str, Any]:
    """A command is answered on another channel, by a letter whose causationid is the command's id."""
    if not issubclass(messages[type], Command):
        return {}
    noun = type.split(".")[:2]
    answers = [t for t in messages if t.split(".")[:2] == noun and t.split(".")[2] in ANSWERS]
    return {"description": "Answered, by causationid, with one of: " + ", ".join(answers)}


def _at(type: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{type}"}


def _said(type: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{type}/messages/{type}"}


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _embedded(schema: Schema) -> Schema:
    return {k: v for k, v in schema.items() if not k.startswith("$")}
