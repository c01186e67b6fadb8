"""Which step makes an environment that several want at the same time; forgotten with the process, at the cost of pip
running twice."""

from __future__ import annotations

from typing import Any

from libs.base import Clock
from libs.blobs import Blobs

LEASE_S = 900.0
"""A maker that has not stored it by then has died, or its pip hangs: the next one begins."""
ASK_AGAIN_S = 1.0


class Making:
    """Environments by their key in the bucket."""

    def __init__(self, blobs: Blobs, clock: Clock) -> None:
        self._blobs, self._clock = blobs, clock
        self._makers: dict[str, tuple[str, float]] = {}

    async def ask(self, key: str, holder: str) -> dict[str, Any]:
        if await self._blobs.stat(key) is not None:
            return {"state": "ready", "url": self._blobs.presign(key)}
        now = self._clock.monotonic()
        maker, until = self._makers.get(key, ("", 0.0))
        if maker not in ("", holder) and now < until:
            return {"state": "wait", "seconds": ASK_AGAIN_S}
        self._makers[key] = (holder, now + LEASE_S)
        return {"state": "build"}

    def ended(self, key: str) -> None:
        self._makers.pop(key, None)
