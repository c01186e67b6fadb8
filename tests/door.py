"""A door that the programs of a test's jobs wait at: they run for exactly as long as the test needs them to, however
slow the machine is. A program that sleeps instead has ended before a busy test looks at it."""

from __future__ import annotations

import socket

WAIT = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", {port})).recv(1)
"""


class Door:
    """Closed until `open`; who comes later walks through. Give `wait` to a program that shall wait at it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._inside: list[socket.socket] = []
        self.wait = WAIT.format(port=self._socket.getsockname()[1])

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

    def knocked(self, timeout_s: float = 60) -> None:
        """Returns once somebody waits here who was not counted before. Raises TimeoutError."""
        self._socket.settimeout(timeout_s)
        self._inside.append(self._socket.accept()[0])

    def open(self) -> None:
        """Lets everybody go on: the kernel ends the connections that nobody took."""
        for each in (*self._inside, self._socket):
            each.close()
