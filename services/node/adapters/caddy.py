"""Programs Caddy's routes through its admin API; one change of configuration for all of them, and none when equal."""

import asyncio
import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.node.domain.routes import with_routes
from services.node.runtime.paths import dial

Object = dict[str, Any]
SERVERS = "/config/apps/http/servers"
TIMEOUT_S = 10.0


class CaddyAdmin:
    """`where` is the path of a unix socket, or `host:port`."""

    def __init__(self, where: str) -> None:
        self._where = where

    async def program(self, routes: Sequence[Object]) -> bool:
        """Puts the routes into every server that Caddy has; True if that changed anything. Raises OSError."""
        return await asyncio.to_thread(self._program, routes)

    def _program(self, routes: Sequence[Object]) -> bool:
        servers = json.loads(self._ask("GET", SERVERS) or "null") or {}
        wanted = with_routes(servers, routes)
        if wanted == servers:
            return False
        self._ask("PATCH", SERVERS, json.dumps(wanted))
        return True

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        line = _Line(self._where)
        try:
            line.request(method, path, body, {"Content-Type": "application/json", "Host": "127.0.0.1"})
            answer = line.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(f"Caddy at {self._where}: {error!r}") from error
        finally:
            line.close()
        if answer.status >= 300:
            raise OSError(f"Caddy refused {method} {path}: {answer.status} {text[:500]}")
        return text


class _Line(http.client.HTTPConnection):
    def __init__(self, where: str) -> None:
        host, _, port = where.rpartition(":")
        self._path = where if "/" in where else ""
        super().__init__("127.0.0.1" if self._path else host, None if self._path else int(port), timeout=TIMEOUT_S)

    def connect(self) -> None:
        if not self._path:
            return super().connect()
        self.sock = dial(Path(self._path))
        self.sock.settimeout(TIMEOUT_S)
