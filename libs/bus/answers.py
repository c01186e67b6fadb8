"""Which message answers which command, told from subjects and one attribute; the message itself stays closed."""

import json

from libs.bus.messages import Message

ANSWERS = ("applied", "rejected", "deleted")


def answer_filters(subject: str) -> list[str]:
    """Where answers to a command on `millstream.<domain>.<noun>.<verb>.v<N>.<namespace>` are said."""
    prefix, domain, noun, _verb, _version, namespace = subject.split(".")
    return [f"{prefix}.{domain}.{noun}.{answer}.*.{namespace}" for answer in ANSWERS]


def answers(message: Message, command_id: str) -> bool:
    """Whether `message` was caused by `command_id`: CloudEvents extension `causationid`, in either mode."""
    return command_id in (message.headers.get("ce-causationid"), _causation(message.data))


def _causation(data: bytes) -> object:
    try:
        letter = json.loads(data)
    except ValueError:
        return None
    return letter.get("causationid") if isinstance(letter, dict) else None
