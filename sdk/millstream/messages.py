"""Letters over the bus for the command and for programs: say something, ask and get the answer, follow what is said."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from contracts.envelope import (
    ApplyCommand,
    DeleteCommand,
    Letter,
    letter_for,
    registry,
    structured,
    subject_for,
    subject_of,
)
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
    contract = known(type)
    return contract is not None and issubclass(contract, (ApplyCommand, DeleteCommand))


def known(type: str) -> Any:
    """The contract of a message type, None for another system's. Raises ClientError for one that should be ours."""
    found = registry().get(type)
    if found is not None:
        return found
    domain = type.split(".", 1)[0]
    near = get_close_matches(type, registry(), n=3, cutoff=0.85)
    if near or domain in {name.split(".", 1)[0] for name in registry()}:
        there = f"did you mean {' or '.join(near)}?" if near else f"there are {_spoken_of(domain)}"
        raise ClientError(f"no message type {type!r}; {there}")
    try:
        subject_for(type, None)
    except ValueError as error:
        raise ClientError(f"{error}, such as training.trainjob.apply.v1 or shop.order.paid.v1") from None
    return None


def _spoken_of(domain: str) -> str:
    return ", ".join(name for name in registry() if name.startswith(f"{domain}."))


def compose(type: str, data: Any, namespace: str) -> Letter:
    """A letter with `data`, checked against its contract if it has one. Raises ClientError naming the field."""
    if not isinstance(data, dict):
        raise ClientError(f"data must be a JSON object, such as {{}}; got {json.dumps(data)[:40]}")
    contract, id, now = known(type), SystemIds().event(), SystemClock().now()
    try:
        if contract is None:
            return Letter(id=id, source=SOURCE, type=type, time=now, data=data, namespace=namespace, correlationid=id)
        message = contract(**({"namespace": namespace} | data))
    except ValidationError as error:
        told = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'data'}: {one['msg']}" for one in told)
        raise ClientError(f"data does not fit {type}: {wrong}") from error
    return letter_for(message, id=id, source=SOURCE, now=now)


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
