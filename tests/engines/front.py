"""A Service for tests: one address whose connections go to whichever replica is behind it when they begin."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Front:
    """Forwards TCP in threads; who is connected stays with the replica that it met."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._to = ("127.0.0.1", 9)
        threading.Thread(target=self._accept, daemon=True).start()

    def lead(self, url: str) -> None:
        """From now on connections go to `url`."""
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._to = (parts.hostname, parts.port)

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                replica = socket.create_connection(self._to)
                for ends in ((client, replica), (replica, client)):
                    threading.Thread(target=_pump, args=ends, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
