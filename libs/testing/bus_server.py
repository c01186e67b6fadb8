"""A real nats-server on a free loopback port, to be killed, restarted and robbed of its directory by tests."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

READY_S, STEP_S = 30.0, 0.01
BELOW_EPHEMERAL = range(10_000, 32_000)
WORKERS = 8
"""Each of pytest's workers has ports of its own: none takes one that another has chosen and not yet listens on."""


def free_port() -> int:
    """A loopback port that nobody listens on just now, and that the system gives to no connection that goes out."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = secrets.choice(BELOW_EPHEMERAL[worker % WORKERS :: WORKERS])
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class NatsServer:
    """`nats-server` of this Python environment with its files under `home`."""

    def __init__(self, home: Path, *, sync_always: bool = True) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._monitor_port = free_port(), free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.monitor_url = f"http://127.0.0.1:{self._monitor_port}"
        self._store = home / "jetstream"
        self._config = home / "nats.conf"
        home.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self._monitor_port}"\n'
            f"jetstream {{ store_dir: {str(self._store)!r}{', sync_interval: always' if sync_always else ''} }}\n"
        )

    async def start(self) -> None:
        """Returns once it takes connections. Raises TimeoutError."""
        self._launch()
        for _ in range(int(READY_S / STEP_S)):
            if await self._answers():
                return
            await asyncio.sleep(STEP_S)
        raise TimeoutError(f"nats-server is not ready: see {self._home / 'nats.log'}")

    def _launch(self) -> None:
        binary = Path(sys.executable).parent / "nats-server"
        with (self._home / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([binary, "-c", self._config], stdout=log, stderr=log)

    def kill(self) -> None:
        """kill -9."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    async def restart(self) -> None:
        """Killed and started again, with what its disk has."""
        self.kill()
        await self.start()

    async def wipe(self) -> None:
        """Killed and started again with nothing."""
        self.kill()
        shutil.rmtree(self._store, ignore_errors=True)
        await self.start()

    async def _answers(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False
