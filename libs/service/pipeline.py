"""From one delivery to one committed effect: parse, inbox, handle, say, commit, ack; knows no message by name."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from contracts.envelope import Letter, Malformed, Message, letter_for, open_letter, registry, subject_for, subject_of
from libs import telemetry
from libs.base.errors import BadRequest, Invalid
from libs.bus import Delivery, Poison
from libs.service.app import FaultPoint, Ports, no_fault
from libs.store import FellApart, UnitOfWork

log = logging.getLogger(__name__)

TAKEN = telemetry.counter("letters", "Letters taken from the bus", ("type", "outcome"))
AGE = telemetry.histogram("letter_age_seconds", "Age of a letter when its effect is committed", ("type",))

Effect = Callable[[Any, Letter, UnitOfWork], Awaitable[Sequence[Message]]]
"""What one message type does inside its transaction; returns the facts that follow."""


class Pipeline:
    """Delivers each letter to its effect exactly once; `consumer` names this service in the inbox."""

    def __init__(
        self,
        consumer: str,
        effects: Mapping[str, Effect],
        ports: Ports,
        *,
        source: str,
        rejecting: Mapping[str, Callable[[str], Effect]] | None = None,
        overhears: Effect | None = None,
        fault: FaultPoint = no_fault,
    ) -> None:
        self._consumer, self._effects, self._ports = consumer, effects, ports
        self._rejecting, self._overhears = rejecting or {}, overhears
        self._source, self._fault = source, fault

    async def deliver(self, delivery: Delivery) -> None:
        """Returns when it may be acknowledged; raises Poison when no retry can help, anything else to retry."""
        opened = self._open(delivery)
        if opened is None:
            return
        letter, message, effect = opened
        with self._span(letter, delivery):
            await self._fault("received")
            first = await self._take(letter, message, effect)
            await self._fault("committed")
            TAKEN.labels(letter.type, "handled" if first else "seen before").inc()
            if first and letter.time is not None:
                AGE.labels(letter.type).observe(max(0.0, (self._ports.clock.now() - letter.time).total_seconds()))

    def _open(self, delivery: Delivery) -> tuple[Letter, Any, Effect] | None:
        """The letter, its message and what to do; None for what this service does not know and need not."""
        try:
            letter, message = open_letter(delivery.data, delivery.headers, subject=delivery.subject)
        except Malformed as error:
            return self._unsound(error, delivery)
        effect = self._effects.get(letter.type, self._overhears)
        return (letter, message, effect) if effect else None

    def _unsound(self, error: Malformed, delivery: Delivery) -> tuple[Letter, Any, Effect] | None:
        """A command whose envelope is sound gets an answer; everything else that is malformed is poison."""
        letter = error.letter
        if letter is not None and letter.type not in registry():
            if self._overhears is not None and _belongs(letter, delivery.subject):
                return letter, None, self._overhears
            log.info("ignored: no one here knows %s", letter.type)
            return None
        if letter is not None and letter.type in self._rejecting:
            return letter, error, self._rejecting[letter.type](delivery.subject)
        raise Poison(f"malformed letter: {error}", "malformed") from error

    async def _take(self, letter: Letter, message: Any, effect: Effect) -> bool:
        """Inbox, effect and its facts, in a transaction that letters which wait for the same store share."""
        store = self._ports.store
        try:
            return await self._take_in(store.write_together(), letter, message, effect)
        except FellApart as error:
            log.warning("%s; %s is taken alone", error, letter.id)
            return await self._take_in(store.write(), letter, message, effect)

    async def _take_in(
        self, writing: AbstractAsyncContextManager[UnitOfWork], letter: Letter, message: Any, effect: Effect
    ) -> bool:
        """All of it or nothing. False when the letter had been taken before."""
        async with writing as uow:
            if not await uow.first_time(self._consumer, letter.id):
                return False
            for fact in await _effect(effect, message, letter, uow):
                say(uow, fact, self._ports, source=self._source, causation=letter)
            await self._fault("handled")
        return True

    def _span(self, letter: Letter, delivery: Delivery) -> AbstractContextManager[Any]:
        parent = {"traceparent": letter.traceparent} if letter.traceparent else {}
        attributes: dict[str, Any] = {"messaging.message.id": letter.id, "messaging.delivery.attempt": delivery.attempt}
        return telemetry.span(f"hear {letter.type}", parent, **attributes)


async def _effect(effect: Effect, message: Any, letter: Letter, uow: UnitOfWork) -> Sequence[Message]:
    """What follows. A fact from which no valid object can be made is as invalid the next time."""
    try:
        return await effect(message, letter, uow)
    except (Invalid, BadRequest) as error:
        raise Poison(f"invalid: {error.message}", "invalid") from error


def _belongs(letter: Letter, subject: str) -> bool:
    """Who may say what is decided by subject."""
    return subject == subject_of(letter)


def say(uow: UnitOfWork, fact: Message, ports: Ports, *, source: str, causation: Letter | None = None) -> None:
    """Puts `fact` into the outbox of this transaction."""
    trace = telemetry.inject().get("traceparent")
    letter = letter_for(
        fact, id=ports.ids.event(), source=source, now=ports.clock.now(), causation=causation, traceparent=trace
    )
    uow.say(letter.to_dict(), subject_for(fact.type, fact.namespace))
