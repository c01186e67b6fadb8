"""How a dead letter lies in its stream: the original's bytes and headers, and beside them why it was given up."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, unquote

from libs.base.clock import rfc3339_micro
from libs.bus.messages import DeadLetter, Delivery, Message

_OURS = "Millstream-Dead-"
REASON, HANDLER, ATTEMPTS = f"{_OURS}Reason", f"{_OURS}Handler", f"{_OURS}Attempts"
SUBJECT, SEQ, AT = f"{_OURS}Subject", f"{_OURS}Seq", f"{_OURS}At"
REASON_MAX = 2000


def dead_subject(handler: str, subject: str) -> str:
    """`dead.<service>.<type>.<namespace>`."""
    return f"dead.{handler}.{subject.removeprefix('millstream.')}"


def bury(delivery: Delivery, *, reason: str, handler: str, at: datetime) -> dict[str, str]:
    """The headers of the dead letter of `delivery`; its body is the original's. The reason is percent-encoded."""
    return {
        **without_id(delivery.headers),
        REASON: quote(reason[:REASON_MAX], safe=" :;,.()[]{}'\"/<>=_-"),
        HANDLER: handler,
        ATTEMPTS: str(delivery.attempt),
        SUBJECT: delivery.subject,
        SEQ: str(delivery.seq),
        AT: rfc3339_micro(at),
    }


def burial_id(handler: str, stream_identity: str, delivery: Delivery) -> str:
    """The same for a second attempt to bury the same delivery, another for what was replayed and failed again."""
    return f"dead:{handler}:{stream_identity}:{delivery.seq}"


def exhume(message: Message) -> DeadLetter:
    """The dead letter in a message of the dead-letter stream; what is missing in it is empty or zero."""
    headers = message.headers
    return DeadLetter(
        seq=message.seq,
        reason=unquote(headers.get(REASON, "")),
        handler=headers.get(HANDLER, ""),
        attempts=_number(headers.get(ATTEMPTS)),
        subject=headers.get(SUBJECT, ""),
        headers={k: v for k, v in without_id(headers).items() if not k.startswith(_OURS)},
        data=message.data,
        original_seq=_number(headers.get(SEQ)),
        at=message.time,
    )


def without_id(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers less the broker's own: a message id would make a replay a duplicate."""
    return {k: v for k, v in headers.items() if not k.startswith("Nats-")}


def text_headers(headers: Mapping[str, object] | None) -> dict[str, str]:
    """Headers as plain text: what is not, nats-py shows as `email` objects or surrogates, and cannot send again."""
    return {name: str(value).encode("utf-8", "replace").decode() for name, value in (headers or {}).items()}


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
