"""A service's life on the bus: reaches the broker when it is there, hears, relays; the service lives without it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from contracts.envelope import Event, Letter, Message
from libs.bus import Bus, BusError, Subscription, Tuning
from libs.service import commands
from libs.service.app import App, Given, Handler, Ports
from libs.service.pipeline import Effect, Pipeline
from libs.service.relay import Relay
from libs.store import UnitOfWork

log = logging.getLogger(__name__)

CONCURRENCY = 64
"""So many letters are in hand at once: about as many as a shared transaction takes (libs.store.together)."""
FLUSH_S = 3.0
"""How long a stopping service tries to say what it has not said; the next start says the rest."""


class Hearing:
    """Connects, makes sure of stream and consumer, subscribes, relays."""

    def __init__(self, app: App, ports: Ports, given: Given) -> None:
        self._app, self._ports, self._given = app, ports, given
        self._subscription: Subscription | None = None
        self._relay: Relay | None = None
        self._pipeline = Pipeline(
            app.manifest.name,
            effects_of(app, ports),
            ports,
            source=f"millstream/{app.manifest.name}",
            rejecting=commands.rejecting(app.command_kinds),
            overhears=_overheard(app, ports) if app.overhears else None,
            fault=given.fault,
        )

    @property
    def wanted(self) -> bool:
        return "bus" in self._app.manifest.needs and (
            self._given.bus is not None or bool(self._ports.settings.nats_url)
        )

    async def run(self) -> None:
        """For ever; started again by the shell when the broker refuses something."""
        bus = self._ports.bus = self._ports.bus or await self._connect()
        if self._relay is None:  # begun anew it is not told again: the service may have asked to hear more since
            await bus.ensure(self._app.manifest.name, self._app.manifest.hears)
        if self._app.manifest.hears and self._subscription is None:
            self._subscription = await bus.subscribe(self._pipeline.deliver, concurrency=CONCURRENCY)
        self._relay = self._relay or Relay(bus, self._ports.store, self._ports.clock, fault=self._given.fault)
        await self._relay.run()

    async def check(self) -> str:
        bus = self._ports.bus
        return "ok" if bus is not None and bus.connected and self._relay else "the broker does not answer"

    async def stop_hearing(self) -> None:
        if self._subscription is not None:
            await self._subscription.stop()

    async def leave(self) -> None:
        """Says what is unsaid if the broker is there, and closes the connection if it is ours."""
        bus = self._ports.bus
        if bus is None:
            return
        if self._relay is not None and bus.connected:
            await self._flush(self._relay)
        if self._given.bus is None:
            await bus.close()

    async def _flush(self, relay: Relay) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await relay.flush()
        except (BusError, TimeoutError) as error:
            log.warning("stopping with letters unsaid; the next start says them: %s", error)

    async def _connect(self) -> Bus:
        return await Bus.connect(
            self._ports.settings.nats_url,
            service=self._app.manifest.name,
            clock=self._ports.clock,
            ids=self._ports.ids,
            tuning=self._given.tuning or Tuning(replicas=self._ports.settings.nats_replicas),
            monitor_url=self._ports.settings.nats_monitor_url,
            ca_file=self._ports.settings.nats_ca_file,
        )


def effects_of(app: App, ports: Ports) -> dict[str, Effect]:
    """What each heard type does: the service's own handlers, and the shell's commands."""
    own = {message.type: _handled(app, ports, handler) for message, handler in app.handlers.items()}
    return {**commands.effects(app.command_kinds, ports.resources), **own}


def _handled(app: App, ports: Ports, handler: Handler) -> Effect:
    overheard = _overheard(app, ports) if app.overhears else None

    async def effect(message: Any, letter: Letter, uow: UnitOfWork) -> Sequence[Message]:
        # Whatever the handler changes through resources is told as following from this letter.
        bound = replace(ports, resources=ports.resources.view(uow, cause=letter))
        facts = await handler(message, app.needs(bound, uow))
        if overheard is None or not isinstance(message, Event):
            return facts
        return [*facts, *await overheard(message, letter, uow)]

    return effect


def _overheard(app: App, ports: Ports) -> Effect:
    async def effect(message: Any, letter: Letter, uow: UnitOfWork) -> Sequence[Message]:
        assert app.overhears is not None
        bound = replace(ports, resources=ports.resources.view(uow, cause=letter))
        return await app.overhears(letter, app.needs(bound, uow))

    return effect
