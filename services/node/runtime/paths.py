"""Where things lie below the platform home; it must not assume that the home's path is short or exists."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[3] / "deploy" / "images"
POD_MARK = "MILLSTREAM_POD_UID"
HOME_MARK = "MILLSTREAM_HOME"
CONTAINER_MARK = "MILLSTREAM_CONTAINER"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class HomePaths:
    """Names of all files that the runtime keeps below one home."""

    def __init__(self, home: str | Path, environments: Path | None = None, recipes: Path | None = None) -> None:
        self.home = Path(os.path.realpath(home))
        self.run = self.home / "run"
        self.node = self.home / "node"
        self.pods = self.node / "pods"
        self.images = self.node / "images"
        self.environments = environments or self.images / "environments"
        self.recipes = recipes or RECIPES
        self.logs = self.home / "logs"
        self.socket = self.run / "spawner.sock"
        self.lock = self.run / "spawner.lock"
        self.node_record = self.run / "node-process.json"

    def make(self) -> None:
        for folder in (self.run, self.pods, self.images, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)

    def pod(self, uid: str) -> Path:
        return self.pods / safe(uid)

    def records(self, uid: str) -> Path:
        return self.pod(uid) / "records"

    def hosts(self, uid: str) -> Path:
        return self.pod(uid) / "hosts"

    def log(self, uid: str, name: str, attempt: int) -> Path:
        return self.pod(uid) / "logs" / safe(name) / f"{attempt}.log"


def safe(segment: str) -> str:
    """`segment` if it can be one path component. Raises ValueError otherwise: a uid never leaves the home."""
    if not segment or segment in {".", ".."} or "/" in segment or "\0" in segment:
        raise ValueError(f"{segment!r} cannot name a folder")
    return segment


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name of `path` that fits the 108 bytes of sockaddr_un however deep the folder lies."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def dial(path: Path) -> socket.socket:
    """A connected stream socket. Raises OSError when nobody listens."""
    with short_name(path) as name:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            line.connect(name)
        except OSError:
            line.close()
            raise
    return line


def listen(path: Path) -> socket.socket:
    """A listening stream socket that only this account can reach; replaces a dead one."""
    path.unlink(missing_ok=True)
    with short_name(path) as name:
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        door.bind(name)
        path.chmod(0o600)
    door.listen(64)
    return door
