"""A warm fork server: imports once, then forks Python containers; it must not start threads or run user code itself.

Started as `python -c "..." <profile> <padding>` by the spawner with one end of a socket pair as descriptor 3.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import socket
import struct
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import services
from services.node.runtime import images, launch, pyargs, pyrun, rewrite, wire
from services.node.runtime.hosts_site import sitecustomize

LINE_FD = 3
PADDING_BYTES = 3072
PID = struct.Struct("i")
PARKING = ("python",)
"""Whose programs are so short that the fork counts; a parked child costs about 1 MiB."""
PARKED_MAX = 4
"""Made together, since the process between them and this server costs as much as one of them."""
PROFILES: dict[str, tuple[str, ...]] = {
    "platform": (
        *(
            "asyncio",
            "logging.config",
            "multiprocessing",
            "sqlite3",
            "concurrent.futures",
            "email.parser",
            "http.client",
        ),
        *("pydantic", "fastapi", "starlette.applications", "starlette.responses", "uvicorn", "uvicorn.config"),
        *(
            "uvicorn.protocols.http.httptools_impl",
            "uvicorn.lifespan.on",
            "uvicorn.loops.uvloop",
            "uvloop",
            "httptools",
        ),
        *("sqlmodel", "sqlalchemy.ext.asyncio", "sqlalchemy.dialects.sqlite.aiosqlite", "aiosqlite", "alembic.command"),
        *("nats", "nats.js", "faststream", "faststream.nats", "kubernetes.aio", "minio", "httpx", "aiohttp"),
        *("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry.sdk.trace", "opentelemetry.sdk.metrics"),
        "prometheus_client",
        *("jwt", "cryptography.hazmat.primitives.asymmetric.ed25519", "orjson", "yaml", "contracts", "libs"),
    ),
    "ml": ("numpy", "torch", "torch.distributed", "torch.utils.data", "multiprocessing"),
    # Small, so that forks of it are quick: for short programs, a pipeline's steps first of all.
    "python": (
        *("argparse", "ast", "base64", "configparser", "csv", "dataclasses", "datetime", "email.parser", "fcntl"),
        "encodings.idna",  # what every look-up of a host's name imports
        *("hashlib", "hmac", "http.client", "importlib.metadata", "importlib.util", "inspect", "json", "logging"),
        *("pathlib", "pkgutil", "random", "runpy", "selectors", "shlex", "shutil", "ssl", "subprocess", "tarfile"),
        *("tempfile", "traceback", "typing", "urllib.request", "uuid", "zipfile"),
    ),
}
WALKED = {"contracts", "libs"}  # every module below these, except what only tests import
UNWALKED = ("libs.testing", "contracts.golden")

_ours = (images, pyargs, rewrite, sitecustomize)  # imported before the fork for the children's sake


class Parked(NamedTuple):
    """A child that waits at the other end of `line`."""

    line: socket.socket
    pid: int


def ahead() -> Iterator[str]:
    """Modules by which services have their pods' programs at hand: whatever service has one, the node knows none."""
    for folder in services.__path__:
        yield from (
            f"services.{found.parts[-3]}.adapters.ahead" for found in sorted(Path(folder).glob("*/adapters/ahead.py"))
        )


def preload(names: Iterable[str]) -> None:
    """A part that is absent or broken costs its users a slower start, nobody else anything."""
    for name in names:
        for module in _modules(name):
            try:
                importlib.import_module(module)
            except Exception:
                traceback.print_exc()


def _modules(name: str) -> Iterator[str]:
    yield name
    if name in WALKED and name in sys.modules:
        found = pkgutil.walk_packages(sys.modules[name].__path__, f"{name}.", onerror=lambda _: None)
        yield from (item.name for item in found if not item.name.startswith(UNWALKED))


def serve(line: socket.socket, parks: bool = False) -> None:
    """Until the spawner is gone. Each request: {"id", "request"} with descriptors stdout, stderr, control. With `parks`
    the next child is forked before it is asked for: a fork takes longer than all else before a short program begins."""
    line.sendall(wire.pack({"ready": os.getpid(), "threads": len(os.listdir("/proc/self/task"))}))
    parked = _park(line) if parks else []
    while (received := wire.receive_with_fds(line)) is not None:
        message, fds = received
        if not any(_handed_over(child, line, message, fds) for child in _taken(parked)):
            _fork(line, message, fds)
        for fd in fds:
            os.close(fd)
        if parks and not parked:
            parked = _park(line)


def _fork(line: socket.socket, message: dict[str, object], fds: list[int]) -> None:
    middle = os.fork()
    if middle == 0:
        _fork_child(line, message, fds)
    os.waitpid(middle, 0)


def _fork_child(line: socket.socket, message: dict[str, object], fds: list[int]) -> None:
    """The middle process ends at once, so the container's parent becomes the spawner, which is a subreaper."""
    try:
        child = os.fork()
        if child == 0:
            line.close()
            _become(message, fds)
        line.sendall(wire.pack({"id": message["id"], "pid": child}))
    finally:
        os._exit(0)


def _become(message: dict[str, object], fds: list[int]) -> None:
    control = socket.socket(fileno=fds[2])
    launch.run(message["request"], control, fds[0], fds[1], warm=True)  # type: ignore[arg-type]


def _park(line: socket.socket) -> list[Parked]:
    """Children of the spawner's that wait for what they shall become, and end with this server."""
    pairs = [socket.socketpair() for _ in range(PARKED_MAX)]
    middle = os.fork()
    if middle == 0:
        try:
            for _, theirs in pairs:
                child = os.fork()
                if child == 0:
                    _wait(line, pairs, theirs)
                theirs.sendall(PID.pack(child))
        finally:
            os._exit(0)
    for _, theirs in pairs:
        theirs.close()
    os.waitpid(middle, 0)
    return [Parked(ours, PID.unpack(told)[0]) for ours, _ in pairs if (told := ours.recv(PID.size))]


def _wait(line: socket.socket, pairs: list[tuple[socket.socket, socket.socket]], theirs: socket.socket) -> NoReturn:
    """In a parked child, which holds nobody's line open but its own."""
    line.close()
    for ours, other in pairs:
        ours.close()
        if other is not theirs:
            other.close()
    if (received := wire.receive_with_fds(theirs)) is not None:
        theirs.close()
        _become(*received)
    os._exit(0)


def _taken(parked: list[Parked]) -> Iterator[Parked]:
    while parked:
        yield parked.pop()


def _handed_over(parked: Parked, line: socket.socket, message: dict[str, Any], fds: list[int]) -> bool:
    """False where it has died meanwhile."""
    try:
        wire.send_with_fds(parked.line, message, fds)
    except OSError:
        return False
    finally:
        parked.line.close()
    line.sendall(wire.pack({"id": message["id"], "pid": parked.pid}))
    return True


def main(profile: str, modules: list[str] | None, fresh_path: list[str]) -> None:
    preload(PROFILES[profile] if modules is None else modules)
    if profile in PARKING:
        preload(ahead())
    pyrun.remember_start(fresh_path)
    line = socket.socket(fileno=LINE_FD)
    line.set_inheritable(False)
    gc.collect()
    gc.freeze()
    gc.disable()
    serve(line, profile in PARKING)
