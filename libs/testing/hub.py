"""A Hugging Face hub of a few files, as far as its client's snapshot download goes; proven against that client itself.

It knows models and datasets with one revision (`main`), tokens, gated repositories, and can break off in mid-file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from libs.testing.web import web_server


@dataclass
class Repo:
    """`token` is who may read it, None everybody; `break_after` bytes of a file once, the connection ends."""

    files: dict[str, bytes]
    token: str | None = None
    gated: bool = False
    break_after: int | None = None

    @property
    def commit(self) -> str:
        text = "".join(f"{name}:{hashlib.sha1(data).hexdigest()}" for name, data in sorted(self.files.items()))
        return hashlib.sha1(text.encode()).hexdigest()


@dataclass
class Hub:
    """Repositories by kind and name; `asked` keeps (method, path, Range) of every request."""

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def put(self, kind: str, name: str, files: dict[str, bytes], **more: Any) -> Repo:
        self.repos[kind, name] = Repo(files, **more)
        return self.repos[kind, name]


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub on a free port of this machine."""
    made = Hub()
    with web_server(type("Handler", (_Handler,), {"hub": made})) as made.url:
        yield made


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append((self.command, path, self.headers["Range"]))
        words = path.split("/")
        if words[0] == "api":
            self._about(words[1].removesuffix("s"), "/".join(words[2:4]), words[4:], body)
        else:
            kind = "dataset" if words[0] == "datasets" else "model"
            words = words[1:] if kind == "dataset" else words
            self._file(kind, "/".join(words[:2]), words[3:], body)

    def _about(self, kind: str, name: str, rest: list[str], body: bool) -> None:
        repo = self._repo(kind, name, rest[1] if len(rest) > 1 else "main")
        if repo is None:
            return
        if rest[:1] == ["tree"]:
            entries = [_entry(path, data) for path, data in sorted(repo.files.items())]
            return self._json(entries, body)
        siblings = [{"rfilename": path} for path in sorted(repo.files)]
        self._json({"id": name, "sha": repo.commit, "private": repo.token is not None, "siblings": siblings}, body)

    def _file(self, kind: str, name: str, rest: list[str], body: bool) -> None:
        repo = self._repo(kind, name, rest[0])
        if repo is None:
            return
        data = repo.files.get("/".join(rest[1:]))
        if data is None:
            return self._refuse(404, "EntryNotFound")
        start = int((self.headers["Range"] or "bytes=0-")[6:].split("-")[0])
        self.send_response(206 if self.headers["Range"] else 200)
        self.send_header("X-Repo-Commit", repo.commit)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if self.headers["Range"]:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self._send(repo, data[start:])

    def _send(self, repo: Repo, data: bytes) -> None:
        if repo.break_after is None or len(data) <= repo.break_after:
            self.wfile.write(data)
            return
        self.wfile.write(data[: repo.break_after])
        repo.break_after = None
        self.close_connection = True

    def _repo(self, kind: str, name: str, revision: str) -> Repo | None:
        """None after a refusal was sent: a stranger to the hub is told of no private repository at all."""
        repo = self.hub.repos.get((kind, name))
        given = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if repo is None or (repo.token and not repo.gated and given != repo.token):
            self._refuse(404 if given else 401, "RepoNotFound")
        elif repo.gated and given != repo.token:
            self._refuse(403 if given else 401, "GatedRepo")
        elif revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound")
        else:
            return repo
        return None

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, value: Any, body: bool) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


def _entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
