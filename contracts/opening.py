"""From bytes to a letter and its message: the CloudEvents NATS binding, both modes; it trusts nothing that it reads."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from pydantic import ValidationError

from contracts.letters import Letter, subject_of
from contracts.messages import Command, Event
from contracts.registry import registry

STRUCTURED = "application/cloudevents+json"
CONTENT_TYPE = "content-type"
PREFIX = "ce-"


class Malformed(ValueError):
    """A letter that no one can act on: `field` is at fault, for the reason `why`.

    `letter` is there when only the message inside was unsound, so that a command can still be answered.
    """

    def __init__(self, field: str, why: str, letter: Letter | None = None) -> None:
        super().__init__(f"{field}: {why}")
        self.field, self.why, self.letter = field, why, letter


def open_letter(
    raw: bytes | Mapping[str, Any], headers: Mapping[str, str] | None = None, *, subject: str | None = None
) -> tuple[Letter, Event | Command]:
    """The letter in `raw` and the message it carries.

    Structured mode is read from a JSON object (bytes or already parsed), binary mode from `ce-*` headers with the
    message as the body. With `subject` the letter must be on the NATS subject that belongs to it: what a sender may
    publish is decided by subject, so a letter of another type there is a forgery. Raises :class:`Malformed`.
    """
    letter = _letter(raw, {name.lower(): value for name, value in (headers or {}).items()})
    message = _message(letter)
    letter = letter if letter.namespace else letter.model_copy(update={"namespace": message.namespace or None})
    if (letter.namespace or "") != message.namespace:
        raise Malformed("namespace", f"{letter.namespace!r} differs from data.namespace {message.namespace!r}", letter)
    if subject is not None and subject != subject_of(letter):
        raise Malformed("type", f"a letter on {subject!r} belongs on {subject_of(letter)!r}")
    return letter, message


def structured(letter: Letter) -> tuple[dict[str, str], bytes]:
    """Headers and body of `letter` in structured mode."""
    body = json.dumps(letter.to_dict(), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return {CONTENT_TYPE: f"{STRUCTURED}; charset=utf-8"}, body.encode()


def binary(letter: Letter) -> tuple[dict[str, str], bytes]:
    """Headers and body of `letter` in binary mode; header values are percent-encoded as in the HTTP binding."""
    attributes = {k: v for k, v in letter.to_dict().items() if k not in ("data", "datacontenttype")}
    headers = {PREFIX + name: quote(str(value), safe=_UNQUOTED) for name, value in attributes.items()}
    body = json.dumps(letter.data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return {CONTENT_TYPE: letter.datacontenttype, **headers}, body.encode()


_UNQUOTED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


def _letter(raw: bytes | Mapping[str, Any], headers: Mapping[str, str]) -> Letter:
    is_binary = f"{PREFIX}specversion" in headers and not isinstance(raw, Mapping)
    attributes = _binary_attributes(raw, headers) if is_binary else _json_object(raw)
    if "specversion" not in attributes:
        raise Malformed("specversion", "is missing; this is no CloudEvent")
    try:
        return Letter.model_validate(attributes)
    except ValidationError as error:
        raise _malformed("", error) from None


def _binary_attributes(raw: bytes | Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name.removeprefix(PREFIX): unquote(value) for name, value in headers.items() if name.startswith(PREFIX)
    }
    return {**found, "datacontenttype": headers.get(CONTENT_TYPE, "application/json"), "data": _json_object(raw)}


def _json_object(raw: bytes | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(raw, Mapping):
        return dict(raw)
    try:
        found = _JSON.decode(raw.decode(json.detect_encoding(raw), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise Malformed("body", f"is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Malformed("body", f"must be a JSON object, not {type(found).__name__}")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed in JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _message(letter: Letter) -> Event | Command:
    known = registry().get(letter.type)
    if known is None:
        raise Malformed("type", f"{letter.type!r} is no message type of this platform", letter)
    try:
        return known.read(letter.data)
    except ValidationError as error:
        raise _malformed("data", error, letter) from None


def _malformed(prefix: str, error: ValidationError, letter: Letter | None = None) -> Malformed:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in (prefix, *first["loc"]) if part != "")
    return Malformed(field or "body", first["msg"], letter)
