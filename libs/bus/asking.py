"""Questions to the broker that have one answer each, such as "take this" and "this is done": thousands are under way
at once, on one inbox of their own. nats-py's `request` answers the same, and costs three times as much for each.
"""

import asyncio
from collections.abc import Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

STATUS, NO_RESPONDERS = "Status", "503"


class Asking:
    """One per connection, for as long as the process lives: nats-py renews the inbox with the connection."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._inbox = ""
        self._asked = 0
        self._open: dict[str, asyncio.Future[Msg]] = {}
        self._beginning = asyncio.Lock()

    async def ask(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, timeout_s: float
    ) -> Msg:
        """The answer. Raises nats' TimeoutError, NoRespondersError where nobody hears the subject, and what `publish`
        raises where the connection is not there."""
        if not self._inbox:
            await self._begin()
        loop = asyncio.get_running_loop()
        self._asked += 1
        token, answer = f"{self._asked:x}", loop.create_future()
        self._open[token] = answer
        timer = loop.call_later(timeout_s, _give_up, answer)
        try:
            reply = f"{self._inbox}.{token}"
            await self._nc.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)
            msg: Msg = await answer
        finally:
            timer.cancel()
            del self._open[token]
        if msg.headers and msg.headers.get(STATUS) == NO_RESPONDERS:
            raise NoRespondersError
        return msg

    async def _begin(self) -> None:
        async with self._beginning:
            if not self._inbox:
                inbox = self._nc.new_inbox()
                await self._nc.subscribe(f"{inbox}.*", cb=self._on_answer)
                self._inbox = inbox

    async def _on_answer(self, msg: Msg) -> None:
        answer = self._open.get(msg.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(msg)


def _give_up(answer: "asyncio.Future[Msg]") -> None:
    if not answer.done():
        answer.set_exception(NatsTimeoutError())
