"""Letters over the bus for the command and for programs: say something, ask and get the answer, follow what is said."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any

from contracts.envelope import ApplyCommand, DeleteCommand, Letter, letter_for, registry, structured, subject_of
from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, NoAnswer, Tuning
from millstream.errors import ClientError

SOURCE = "millstream/cli"


async def connect(url: str, ca_file: str | None = None) -> Bus:
    """A connection to a broker, whose durability is the services' business: they verify it."""
    tuning = Tuning(durability="ignore")
    return await Bus.connect(url, service="cli", clock=SystemClock(), ids=SystemIds(), tuning=tuning, ca_file=ca_file)


def is_answered(type: str) -> bool:
    """Whether whoever hears a message of this type answers the one who said it."""
    return issubclass(known(type), (ApplyCommand, DeleteCommand))


def known(type: str) -> Any:
    """The contract of a message type. Raises ClientError naming what there is."""
    found = registry().get(type)
    if found is None:
        domain = type.split(".", 1)[0]
        near = [name for name in sorted(registry()) if name.startswith(domain)] or sorted(registry())
        raise ClientError(f"no message type {type!r}; known: {', '.join(near)}")
    return found


def compose(type: str, data: dict[str, Any], namespace: str) -> Letter:
    """A letter with `data`, checked against its contract. Raises ClientError naming the field."""
    contract = known(type)
    try:
        message = contract(**({"namespace": namespace} | data))
    except ValueError as error:
        raise ClientError(f"data does not fit {type}: {error}") from error
    return letter_for(message, id=SystemIds().event(), source=SOURCE, now=SystemClock().now())


async def publish(bus: Bus, letter: Letter) -> None:
    """Say a letter; returns when the broker has stored it."""
    headers, body = structured(letter)
    await bus.publish(subject_of(letter), body, headers=headers, msg_id=letter.id)


async def ask(bus: Bus, letter: Letter, timeout_s: float = 30) -> dict[str, Any]:
    """Say a command and wait for its answer, a letter as a mapping."""
    headers, body = structured(letter)
    try:
        answer = await bus.request(subject_of(letter), body, headers=headers, msg_id=letter.id, timeout_s=timeout_s)
    except NoAnswer as error:
        raise ClientError(str(error)) from error
    return dict(json.loads(answer.data))


async def letters(bus: Bus, filter: str, since: datetime | None) -> AsyncGenerator[dict[str, Any], None]:
    """Letters whose subject matches `filter`, from `since` (or now) on, for ever; what is no letter is left out."""
    async with aclosing(bus.tail(filter, since=since)) as messages:
        async for message in messages:
            try:
                letter = json.loads(message.data)
            except ValueError:
                continue
            if isinstance(letter, dict) and {"type", "data"} <= letter.keys():
                yield {"time": message.time.isoformat(), "source": "?", **letter}
