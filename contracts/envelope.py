"""The front door of the contracts: everything that is needed to write, send and open a letter, under one name."""

from contracts.letters import Letter, letter_for, schema_uri, subject_for, subject_of
from contracts.messages import (
    AppliedEvent,
    ApplyCommand,
    Command,
    DeleteCommand,
    Event,
    Message,
    ObjectEvent,
    RejectedEvent,
)
from contracts.opening import Malformed, binary, open_letter, structured
from contracts.registry import registry

__all__ = [
    "AppliedEvent",
    "ApplyCommand",
    "Command",
    "DeleteCommand",
    "Event",
    "Letter",
    "Malformed",
    "Message",
    "ObjectEvent",
    "RejectedEvent",
    "binary",
    "letter_for",
    "open_letter",
    "registry",
    "schema_uri",
    "structured",
    "subject_for",
    "subject_of",
]
