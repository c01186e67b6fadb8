"""A web server of a few files that honours ranges and can misbehave: break off, be busy, ask for a token."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from libs.testing.web import web_server


@dataclass
class Files:
    """`files` by path without the leading slash; `heads` are more headers for a path. `break_after` holds for one
    answer, `busy` for so many; `token` is what every request must bring."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    heads: dict[str, dict[str, str]] = field(default_factory=dict)
    break_after: int | None = None
    busy: int = 0
    token: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def file_server() -> Iterator[Files]:
    made = Files()
    with web_server(type("Handler", (_Handler,), {"site": made})) as made.url:
        yield made


class _Handler(BaseHTTPRequestHandler):
    site: Files
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, site = self.path.partition("?")[0].strip("/"), self.site
        site.asked.append((path, self.headers["Range"]))
        if site.token and self.headers["Authorization"] != f"Bearer {site.token}":
            return self._refuse(401)
        if site.busy:
            site.busy -= 1
            return self._refuse(503)
        if path not in site.files:
            return self._refuse(404)
        self._send(site.files[path], site.heads.get(path, {}))

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, more: dict[str, str]) -> None:
        tag = f'"{hashlib.sha1(data).hexdigest()}"'
        ranged = self.headers["Range"] and self.headers["If-Range"] in (None, tag)
        start = int(self.headers["Range"][6:].split("-")[0]) if ranged else 0
        self.send_response(206 if ranged else 200)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in {"ETag": tag, "Content-Length": str(len(data) - start), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        end = len(data) if self.site.break_after is None else start + self.site.break_after
        self.wfile.write(data[start:end])
        if self.site.break_after is not None:
            self.site.break_after, self.close_connection = None, True
