"""JSON over HTTP to a system that is not ours: short patience, no redirects, and its credentials never in a message."""

from __future__ import annotations

from typing import Any

from services.pipelines.adapters.tracking.following import Away, Refused

PATIENCE_S = 20.0
LATER = (408, 425, 429)


class Caller:
    """`base` is the system's address; `token` goes along as a bearer's, if there is one."""

    def __init__(self, base: str, token: str = "") -> None:
        self._base = base.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(self, method: str, path: str, body: Any = None, *, absent: int = 0) -> dict[str, Any] | None:
        """The answer; None when it is of the status `absent`. Raises Away or Refused."""
        import aiohttp  # where nobody asked for tracking, nobody pays for it

        patience = aiohttp.ClientTimeout(total=PATIENCE_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=patience, headers=self._headers) as session,
                session.request(method, f"{self._base}/{path}", json=body, allow_redirects=False) as answer,
            ):
                if answer.status == absent:
                    return None
                if answer.status >= 500 or answer.status in LATER:
                    raise Away(f"{method} {path}: HTTP {answer.status}")
                if answer.status >= 300:
                    raise Refused(f"{method} {path}: HTTP {answer.status}: {(await answer.text())[:300]}")
                told = await answer.read()
                return dict(await answer.json(content_type=None)) if told else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Away(f"{method} {path}: {type(error).__name__}") from None
