"""Whether the process lives and can serve, and its figures; asks no one for credentials.

/livez (also /healthz), /readyz, /metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from libs import telemetry
from libs.service.asgi import ASGIApp, Receive, Scope, Send, send_json
from libs.service.measures import Measure, take

Check = Callable[[], Awaitable[str]]
"""Returns "ok", or in a few words what is wrong."""

CHECK_TIMEOUT_S = 2.0
PATHS = frozenset({"/livez", "/healthz", "/readyz", "/metrics"})
CHECKS = telemetry.gauge("check_ok", "1 where a part of this replica is well, as /readyz tells it", ("check",))


class Probes:
    """Answers the probe paths and passes everything else on.

    /readyz is 200 while HTTP reads and writes can be served, even when a part that catches up by itself (the bus) is
    away: the body names it as degraded. With `?strict` (what `millstream up` waits for) everything must be well.
    """

    def __init__(
        self,
        app: ASGIApp,
        needed: Mapping[str, Check],
        wished: Mapping[str, Check],
        measures: Mapping[str, Measure] | None = None,
    ) -> None:
        self._app, self._needed, self._wished = app, dict(needed), dict(wished)
        self._measures = {**(measures or {}), "checks": self._note_checks}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS:
            return await self._app(scope, receive, send)
        if scope["path"] == "/metrics":
            await take(self._measures)
            return await send_json(send, 200, telemetry.metrics_text().encode(), media="text/plain; version=0.0.4")
        if scope["path"] in ("/livez", "/healthz"):
            return await send_json(send, 200, b"ok", media="text/plain")
        code, body = await self.readiness(strict=b"strict" in scope["query_string"])
        await send_json(send, code, body)

    async def readiness(self, *, strict: bool = False) -> tuple[int, dict[str, object]]:
        """HTTP code and {"status": ready|degraded|unready, "checks": {name: "ok" or what is wrong}}."""
        needed = await _ask(self._needed)
        wished = await _ask(self._wished)
        serving, whole = _all_well(needed), _all_well(wished)
        status = "ready" if serving and whole else "degraded" if serving else "unready"
        code = 200 if serving and (whole or not strict) else 503
        return code, {"status": status, "checks": {**needed, **wished}}

    async def _note_checks(self) -> None:
        for name, verdict in (await _ask({**self._needed, **self._wished})).items():
            CHECKS.labels(name).set(float(verdict == "ok"))


async def _ask(checks: Mapping[str, Check]) -> dict[str, str]:
    return dict(zip(checks, await asyncio.gather(*map(_verdict, checks.values())), strict=True))


async def _verdict(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _all_well(verdicts: Mapping[str, str]) -> bool:
    return all(verdict == "ok" for verdict in verdicts.values())
