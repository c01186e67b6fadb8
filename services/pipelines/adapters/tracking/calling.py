"""JSON over HTTP to a system that is not ours: short patience, no redirects, and its credentials never in a message."""

from __future__ import annotations

import json
from typing import Any

from services.pipelines.adapters.tracking.following import Away, Refused

PATIENCE_S = 20.0
LATER = (408, 425, 429)
ANSWER_MAX = 1 << 20
"""Bytes; of a larger one no more is read."""


class Caller:
    """`base` is the system's address; `token` goes along as a bearer's, if there is one."""

    def __init__(self, base: str, token: str = "") -> None:
        self._base = base.rstrip("/")
        self._headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {token}"} if token else {})}

    async def call(self, method: str, path: str, body: Any = None, *, absent: int = 0) -> dict[str, Any] | None:
        """The answer; None when it is of the status `absent`. Raises Away or Refused."""
        told = await self._asked(method, path, body, absent)
        try:
            return told if told is None else dict(json.loads(told or "{}"))
        except (ValueError, TypeError, RecursionError) as error:
            raise Away(f"{method} {path}: {type(error).__name__}: no object in JSON: {_begin(told or b'')}") from None

    async def tell(self, path: str, body: Any) -> None:
        """For those whose answer says nothing beyond its status. Raises Away or Refused."""
        await self._asked("POST", path, body)

    async def _asked(self, method: str, path: str, body: Any, absent: int = 0) -> bytes | None:
        import aiohttp  # where nobody asked for tracking, nobody pays for it

        patience = aiohttp.ClientTimeout(total=PATIENCE_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=patience, headers=self._headers, auto_decompress=False) as session,
                session.request(method, f"{self._base}/{path}", json=body, allow_redirects=False) as answer,
            ):
                if answer.status == absent:
                    return None
                told = bytearray()
                async for some in answer.content.iter_any():
                    told += some
                    if len(told) > ANSWER_MAX:
                        break
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Away(f"{method} {path}: {type(error).__name__}") from None
        if status >= 500 or status in LATER:
            raise Away(f"{method} {path}: HTTP {status}")
        if status >= 300:
            raise Refused(f"{method} {path}: HTTP {status}: {_begin(told)}")
        return bytes(told)


def _begin(told: bytes | bytearray) -> str:
    return told[:300].decode(errors="replace")
