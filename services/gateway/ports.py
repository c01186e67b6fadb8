"""What the gateway needs of the outside: answers of what is behind it, and a verdict on a bearer token."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from libs.service.identity import User

Pairs = Sequence[tuple[bytes, bytes]]


class Answer(Protocol):
    """An upstream's answer whose body is still under way."""

    status: int
    headers: Pairs

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        ...


class Upstreams(Protocol):
    """Everything behind the gateway, by service name (`node` for the built-in kinds)."""

    def ask(
        self,
        service: str,
        method: str,
        target: str,
        headers: Pairs,
        body: bytes | AsyncIterator[bytes] | None,
        user: User | None,
    ) -> AbstractAsyncContextManager[Answer]:
        """Sends one request on behalf of `user`; `target` is path and query as they go on the wire.

        Raises Unavailable when nobody answers.
        """
        ...

    async def document(self, service: str, path: str, accept: str, user: User) -> dict[str, Any] | None:
        """A JSON document; None when the service answers with an error. Raises Unavailable."""
        ...


class Tokens(Protocol):
    """Who a bearer token speaks for."""

    async def user_of(self, token: str) -> User:
        """Raises Unauthorized."""
        ...
