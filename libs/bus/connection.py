"""The connection to NATS, held by FastStream's broker: opened once, renewed for ever, and told apart life by life."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from faststream.nats import NatsBroker
from faststream.nats.security import NatsSecurity
from nats.aio.client import Client
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import APIError

from libs.bus.asking import Asking
from libs.bus.errors import BusError, BusUnavailable
from libs.bus.messages import PubAck, inbox_prefix
from libs.bus.trust import Trust

MSG_ID = "Nats-Msg-Id"
LOG = logging.getLogger(__name__)
RECONNECT_WAIT_S = 0.25
PING_S = 5
API_TIMEOUT_S = 3.0


class StreamMissing(BusUnavailable):
    """No stream takes the subject: it was never made, or the broker lost it."""


class Connection:
    """FastStream's broker and the nats-py client beneath it.

    With `ca_file` the broker must prove who it is. An address that begins with tls:// is spoken to in TLS from the
    first byte on; with nats:// an attacker on the way could pretend that the broker wants none.
    """

    def __init__(self, url: str, name: str, ca_file: str | None = None) -> None:
        self._trust = Trust(ca_file) if ca_file else None
        self._broker = NatsBroker(
            url.split(","),
            name=name,
            inbox_prefix=inbox_prefix(name.rpartition("/")[2]),
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # declared int, used as seconds
            ping_interval=PING_S,
            max_outstanding_pings=2,
            error_cb=self._on_error,
            reconnected_cb=self._on_reconnected,
            disconnected_cb=self._on_disconnected,
            security=self._security(url),
            logger=None,
            apply_types=False,
        )
        self._leaving = self._complained = False
        self.nc: Client
        self.js: JetStreamContext
        self.asking: Asking
        self.when_renewed: list[Callable[[], None]] = []

    def _security(self, url: str) -> NatsSecurity | None:
        if self._trust is None:
            return None
        return NatsSecurity(ssl_context=self._trust.context, tls_handshake_first=url.startswith("tls://"))

    async def open(self) -> None:
        """Returns once the broker was reached, be that now or in an hour."""
        self.nc = await self._broker.connect()
        self._complained = True  # from here on losses are told by the callbacks below
        self.js = self.nc.jetstream(timeout=API_TIMEOUT_S)
        self.asking = Asking(self.nc)

    async def close(self) -> None:
        """Leaves at once: whoever needs a farewell has taken it."""
        self._leaving = True
        with suppress(OSError):  # a connection that broke, or that the broker refuses by now
            await self.nc.close()

    async def revive(self) -> None:
        """For a broker that has not answered for long: takes nothing for granted that nats-py believes of its state.

        It can hold a dead connection for alive (its reader and its pings ended by an error that it does not expect), or
        have stopped trying (Python 3.11's wait_for loses cancellations, so of two attempts both may end). Where an
        attempt is under way this does nothing.
        """
        attempt = self.nc._reconnection_task
        if self._leaving or self.nc.is_closed:
            return
        if self.nc.is_connected:
            LOG.warning("the broker does not answer on this connection; opening another")
            await self.nc.force_reconnect()
        elif attempt is None or attempt.done():
            LOG.warning("nobody was trying to reach the broker any more; trying again")
            self.nc._reconnection_task = asyncio.get_running_loop().create_task(self.nc._attempt_reconnect())

    @property
    def connected(self) -> bool:
        """Whether the broker can be spoken to now."""
        return self.nc.is_connected

    async def publish(
        self, stream: str, subject: str, payload: bytes, headers: Mapping[str, str], *, timeout_s: float
    ) -> PubAck:
        """One try. Raises :class:`StreamMissing`, :class:`BusUnavailable`; a plain BusError where no retry can help."""
        try:
            if not self.nc.is_connected:
                raise BusUnavailable("the broker is away")
            given = {**headers, Header.EXPECTED_STREAM.value: stream}
            answer = await self.asking.ask(subject, payload, headers=given, timeout_s=timeout_s)
            ack = _ack_in(answer.data)
        except BusUnavailable:
            raise
        except MaxPayloadError:
            raise BusError(f"{len(payload)} bytes on {subject} are more than the broker takes") from None
        except NoRespondersError:
            raise StreamMissing(f"no stream takes {subject}") from None
        except (NatsTimeoutError, TimeoutError):
            raise BusUnavailable(f"the broker did not acknowledge {subject} within {timeout_s:.1f} s") from None
        except Exception as error:  # whatever a broken socket or a restarting broker makes nats-py raise
            raise BusUnavailable(f"{subject}: {type(error).__name__}: {error}") from error
        return ack

    async def _on_error(self, error: Exception) -> None:
        LOG.log(logging.DEBUG if self._complained else logging.WARNING, "broker: %s: %s", type(error).__name__, error)
        self._complained = True  # while it stays away this comes several times a second
        self._renew_trust()

    async def _on_disconnected(self) -> None:
        if not self._leaving:
            LOG.warning("the broker is gone; trying again every %.2g s", RECONNECT_WAIT_S)
        self._renew_trust()

    def _renew_trust(self) -> None:
        if self._trust is not None:
            self._trust.refresh()

    async def _on_reconnected(self) -> None:
        LOG.info("the broker is back")
        for act in self.when_renewed:
            act()


def _ack_in(data: bytes) -> PubAck:
    """Raises nats' APIError where the broker refused."""
    told = json.loads(data)
    if "error" in told:
        raise APIError.from_error(told["error"])
    return PubAck(seq=told["seq"], duplicate=bool(told.get("duplicate")))
