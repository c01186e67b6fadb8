"""The values that the bus hands over; they carry bytes and headers and know no client library."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class PubAck:
    """The broker has it as `seq` of the stream; `duplicate` if the id was there already, under that `seq`."""

    seq: int
    duplicate: bool = False


@dataclass(frozen=True)
class Message:
    """A message as it lies in the stream, stored at `time`."""

    subject: str
    headers: Mapping[str, str]
    data: bytes
    seq: int
    time: datetime


@dataclass(frozen=True)
class Delivery(Message):
    """A message brought to a handler for the `attempt`-th time, counted from 1."""

    attempt: int


@dataclass(frozen=True)
class DeadLetter:
    """A message that `handler` gave up after `attempts` deliveries, for `reason`; replay and discard take its `seq`.

    `subject`, `headers` and `data` are the original's, `original_seq` its place in the stream, `at` when it was buried.
    """

    seq: int
    reason: str
    handler: str
    attempts: int
    subject: str
    headers: Mapping[str, str]
    data: bytes
    original_seq: int
    at: datetime


def inbox_prefix(service: str) -> str:
    """Where answers to `service` arrive: a place of its own, so that its NATS user can be kept out of all others."""
    return "_INBOX." + (re.sub(r"[^A-Za-z0-9_-]", "_", service) or "_")


@dataclass(frozen=True)
class Lag:
    """One service's numbers of messages, and those of the stream of all services."""

    pending: int = 0
    """Said, and not yet brought to this service."""
    unacked: int = 0
    """Brought, and in hand or waiting for another try."""
    redelivered: int = 0
    """Of those in hand, the ones that were brought more than once."""
    dead: int = 0
    """This service's dead letters that nobody has replayed or discarded."""
    stream_messages: int = 0
    stream_bytes: int = 0
    replicas_missing: int = 0
    """Copies of the stream that it should have and that are away or behind; 0 is well."""
