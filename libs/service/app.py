"""What a service declares of itself and what the shell hands it; plain values, nothing here starts or dials."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.base.clock import Clock
from libs.base.ids import Ids
from libs.base.settings import Settings
from libs.service.identity import Authenticator
from libs.service.manifest import Manifest

if TYPE_CHECKING:
    from fastapi import APIRouter

    from contracts.envelope import Command, Event, Message
    from libs.blobs import Blobs
    from libs.bus import Bus, Tuning
    from libs.cluster import Cluster
    from libs.resources import Controller, Kind, Reconciler, Resources, Subresource
    from libs.service.delegation import Delegation
    from libs.store import Store, UnitOfWork
    from libs.telemetry import Telemetry

Work = Callable[[], Awaitable[None]]
"""A loop that runs as long as the service does; it is started again with back-off when it ends or fails."""

Handler = Callable[[Any, Any], "Awaitable[Sequence[Message]]"]
"""when_<fact>(message, needs) -> the facts, and wishes to others, that follow."""

Measures = Mapping[str, Callable[[], Awaitable[None]]]
"""Looks that set gauges, by name, taken when /metrics is read; see libs.service.measures."""

FaultPoint = Callable[[str], Awaitable[None]]
"""Awaited at every named step between commit, publish and ack; a test's may raise, hang or kill the process."""


async def no_fault(step: str) -> None:
    """Life outside of tests."""


def _nothing(ports: Ports) -> Sequence[Any]:
    return ()


def _no_measures(ports: Ports) -> Measures:
    return {}


def _no_needs(ports: Ports, uow: UnitOfWork) -> None:
    return None


@dataclass(kw_only=True)
class App:
    """A service's parts. Callables get the running Ports, so that building an App costs and opens nothing."""

    manifest: Manifest
    settings: type[Settings] = Settings
    kinds: Sequence[Kind] = ()
    handlers: Mapping[type[Event] | type[Command], Handler] = field(default_factory=dict)
    overhears: Handler | None = None
    """Gets the letter itself, of every event that its consumer brings, after the event's own handler if it has one:
    also of types that no contract knows, where the service has asked `Ports.bus` for more than its manifest names."""
    command_kinds: Mapping[type[Command], Kind | Sequence[Kind]] = field(default_factory=dict)
    """Apply and delete commands that the shell carries out on the service's own kinds."""
    needs: Callable[[Ports, UnitOfWork], Any] = _no_needs
    """What handlers get beside the message, bound to the transaction of this one message."""
    reconcilers: Callable[[Ports], Sequence[Reconciler]] = _nothing
    routers: Callable[[Ports], Sequence[APIRouter]] = _nothing
    """HTTP routes beyond the kinds."""
    subresources: Callable[[Ports], Sequence[Subresource]] = _nothing
    authenticators: Callable[[Ports], Sequence[Authenticator]] = _nothing
    """Further ways to prove who one is, asked when no signed identity came along."""
    authorize: Callable[[Ports], Any] | None = None
    """Builds the `authorize` of Resources."""
    background: Callable[[Ports], Sequence[Work]] = _nothing
    while_leading: Callable[[Ports], Sequence[Work]] = _nothing
    """Loops of the one replica that leads, beside its reconcilers."""
    can_do_without_blobs: bool = False
    """For a service that needs blobs only where there is an object store; `Ports.blobs` is None elsewhere."""
    measures: Callable[[Ports], Measures] = _no_measures
    """What the service itself looks up when its figures are read."""
    migrations: Path | None = None
    max_body_bytes: int = 32 * 2**20


@dataclass(kw_only=True)
class Ports:
    """The running means of one service. `bus` is None until the broker was reached for the first time."""

    settings: Any
    clock: Clock
    ids: Ids
    store: Store
    telemetry: Telemetry
    resources: Resources
    bus: Bus | None = None
    cluster: Cluster | None = None
    blobs: Blobs | None = None
    controller: Controller | None = None
    front: Delegation | None = None
    """What is left to the cluster: who asks on the TLS listener, who may do what."""


@dataclass(kw_only=True)
class Given:
    """What a test or the simulation brings along; the shell makes the rest itself and closes only what it made."""

    clock: Clock | None = None
    ids: Ids | None = None
    store: Store | None = None
    bus: Bus | None = None
    cluster: Any = None
    blobs: Any = None
    tuning: Tuning | None = None
    """How patient the bus is that the shell connects to."""
    fault: FaultPoint = no_fault
    jitter: Callable[[], float] | None = None
    """What the controller's retries are spread by, numbers from 0 to 1; else chance."""
