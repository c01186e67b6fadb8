"""rclone as an S3 server on a free port, over a folder."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libs.blobs import Endpoint
from libs.testing.bus_server import free_port


@contextmanager
def s3_server(folder: Path) -> Iterator[Endpoint]:
    """Killed at the end; the keys are `key` and `secret`."""
    port = free_port()
    command = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "key,secret"]
    server = subprocess.Popen([Path(sys.executable).parent / "rclone", *command, folder], stderr=subprocess.PIPE)
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None, server.stderr and server.stderr.read()
    yield Endpoint(f"http://127.0.0.1:{port}", "key", "secret")
    server.kill()
    server.wait()
