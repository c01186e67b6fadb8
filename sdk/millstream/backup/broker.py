"""A NATS server of our own on the files of one that rests, for as long as it takes to read or fill them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from millstream import laptop
from millstream.errors import ClientError
from millstream.home import write_private

READY_S = 15.0
END_S = 20.0


@contextmanager
def broker_on(folder: Path) -> Iterator[str]:
    """The URL of a server on a free loopback port, behind a password of its own. Raises ClientError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config, ports = folder / ".backup.conf", folder / ".backup.ports"
    password = secrets.token_urlsafe(24)
    ports.mkdir(mode=0o700, exist_ok=True)
    settings = {
        "listen": "127.0.0.1:-1",
        "ports_file_dir": str(ports),
        "max_payload": 8 << 20,
        "jetstream": {"store_dir": str(folder), "sync_interval": "always", "max_file_store": 64 << 30},
        "authorization": {"user": "backup", "password": password},
    }
    write_private(config, json.dumps(settings))
    with (folder / ".backup.log").open("wb") as log:
        # It ends with us, whatever kills us: the platform's own server may be started on these files next.
        command = [laptop.tool("nats-server"), "-c", str(config)]
        server = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_ending_with(os.getpid()))
    try:
        yield f"nats://backup:{password}@{_address(server, ports, folder)}"
    finally:
        _end(server)
        for left in (config, folder / ".backup.log", *ports.iterdir()):
            left.unlink(missing_ok=True)
        ports.rmdir()


def _ending_with(parent: int) -> Callable[[], None]:
    """What the child does before it becomes the server."""
    from services.node.runtime import linux

    def end_with_parent() -> None:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # killed between the fork and here: nobody would tell us any more
            os._exit(1)

    return end_with_parent


def _address(server: subprocess.Popen[bytes], ports: Path, folder: Path) -> str:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and server.poll() is None:
        for file in ports.glob("*.ports"):
            try:
                told = json.loads(file.read_text())
            except ValueError:
                continue  # it is being written
            return str(told["nats"][0]).removeprefix("nats://")
        time.sleep(0.02)
    raise ClientError(f"no NATS server starts on {folder}: {(folder / '.backup.log').read_text()[-500:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """In good order, so that all it has is on the disk."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(END_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
