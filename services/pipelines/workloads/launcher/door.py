"""The step door of the service as the launcher sees it: patient with a service that is away, and its only confidant."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import random
import ssl
import sys
import time
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 600.0
"""How long a service may be away: longer than its restart or its move to another node takes."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0
TIMEOUT_S = 60.0


class Refused(Exception):
    """An answer that asking again will not change."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text[:500]}")
        self.status = status


class Silent(OSError):
    """Nobody answered for as long as was waited."""


class Slice:
    """A part of an open file, as a body that can be sent again."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        self._file, self._start, self.size = file, start, size
        self._left = size

    def seek(self, place: int) -> None:
        self._file.seek(self._start + place)
        self._left = self.size - place

    def read(self, count: int = -1) -> bytes:
        data: bytes = self._file.read(self._left if count < 0 else min(count, self._left))
        self._left -= len(data)
        return data


class Wire:
    """Requests to any host, each over a connection that is kept; tried again while a host is away."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.etag = ""
        """Of the last answer."""
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def ask(
        self, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, sink: Any = None
    ) -> bytes:
        """The answer's bytes, or b"" when they went to `sink`, a binary file. A `body` that is a file is read from its
        start again at every try. Raises Refused, or Silent when patience ends."""
        ends, wait_s = time.monotonic() + self._patience_s, FIRST_WAIT_S
        while True:
            try:
                return self._once(method, url, body, headers or {}, sink)
            except Refused as error:
                if error.status < 500 and error.status not in (408, 429):
                    raise
                problem: Exception = error
            except (OSError, http.client.HTTPException) as error:
                problem = error
            self._forget(url)
            if time.monotonic() + wait_s > ends:
                raise Silent(f"{urlsplit(url).netloc} does not answer: {problem}") from problem
            if wait_s > 1:
                say(f"{method} {urlsplit(url).netloc}: {problem}; trying again")
            time.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _once(self, method: str, url: str, body: Any, headers: dict[str, str], sink: Any) -> bytes:
        parts = urlsplit(url)
        line = self._line(parts.scheme, parts.netloc)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if hasattr(body, "seek"):
            body.seek(0)
            size = body.size if isinstance(body, Slice) else os.fstat(body.fileno()).st_size
            headers = {**headers, "Content-Length": str(size)}
        line.request(method, target, body=body, headers=headers)
        answer = line.getresponse()
        if answer.status >= 300:
            raise Refused(answer.status, answer.read().decode("utf-8", "replace"))
        self.etag = answer.getheader("ETag") or ""
        if sink is None:
            return answer.read()
        sink.seek(0)
        sink.truncate()
        while chunk := answer.read(1 << 20):
            sink.write(chunk)
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        return b""

    def _line(self, scheme: str, host: str) -> http.client.HTTPConnection:
        if (scheme, host) not in self._open:
            if scheme == "https":
                context = ssl.create_default_context()
                self._open[scheme, host] = http.client.HTTPSConnection(host, timeout=TIMEOUT_S, context=context)
            else:
                self._open[scheme, host] = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
        return self._open[scheme, host]

    def _forget(self, url: str) -> None:
        parts = urlsplit(url)
        if line := self._open.pop((parts.scheme, parts.netloc), None):
            line.close()


class Door:
    """One attempt's door. `url` ends with /<uid>/<attempt>; `key` is the namespace's, from which the token follows."""

    def __init__(self, url: str, key: str, wire: Wire) -> None:
        self._url, self._wire = url.rstrip("/"), wire
        uid, attempt = self._url.split("/")[-2:]
        token = hmac.new(key.encode(), f"{uid}/{attempt}".encode(), hashlib.sha256).hexdigest()
        self._headers = {"Authorization": f"Bearer {token}"}

    def order(self) -> Any:
        return json.loads(self._wire.ask("GET", f"{self._url}/order", headers=self._headers))

    def tell(self, what: str, message: Any) -> Any:
        """POSTs a message to one of the door's words; the answer."""
        headers = {**self._headers, "Content-Type": "application/json"}
        body = json.dumps(message).encode()
        return json.loads(self._wire.ask("POST", f"{self._url}/{what}", body, headers))


def say(text: str) -> None:
    """A word of the launcher's own in the pod's log."""
    sys.stderr.write(f"[launcher] {text}\n")
    sys.stderr.flush()
