"""Answers DNS questions about services over UDP: a proxy can follow endpoints without a change of configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL_S = 0
"""Nobody but the asking proxy may keep an answer: endpoints change at any moment."""

Resolve = Callable[[str], Sequence[str] | None]
"""A name in lower case, without the last dot -> its IPv4 addresses, or None when there is no such name."""


class NameServer(asyncio.DatagramProtocol):
    """A listening name server; what is no question is not answered."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    @classmethod
    async def listen(cls, resolve: Resolve, host: str, port: int) -> asyncio.DatagramTransport:
        """Raises OSError when the address is taken. Close the answer to stop listening."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: cls(resolve), local_addr=(host, port))
        return transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (answered := answer(data, self._resolve)) is not None:
            self._transport.sendto(answered, addr)


def answer(data: bytes, resolve: Resolve) -> bytes | None:
    """The answer to one question on the wire; None for what is no question (RFC 1035)."""
    try:
        asked = dns.message.from_wire(data)
        if asked.flags & dns.flags.QR or len(asked.question) != 1:
            return None
        response = dns.message.make_response(asked, recursion_available=True)
    except Exception:  # dnspython raises many kinds for garbage, and a stranger's garbage is no error of ours
        return None
    question = asked.question[0]
    found = resolve(question.name.to_text(omit_final_dot=True).lower())
    if found is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif found and question.rdtype == dns.rdatatype.A:
        response.answer.append(dns.rrset.from_text_list(question.name, TTL_S, "IN", "A", found))
    return response.to_wire()
