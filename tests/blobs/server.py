"""rclone as an S3 server on a free port, over a folder."""

import socket
import subprocess
import sys
import time
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
    server = subprocess.Popen([Path(sys.executable).parent / "rclone", *command, folder], stderr=subprocess.DEVNULL)
    try:
        while not _listens(port):
            assert server.poll() is None, f"rclone ended with {server.poll()}"
            time.sleep(0.01)
        yield Endpoint(f"http://127.0.0.1:{port}", "key", "secret")
    finally:
        server.kill()
        server.wait()


def pod_variables(endpoint: Endpoint) -> dict[str, str]:
    """The environment by which a job's pods find it."""
    assert endpoint.access_key is not None and endpoint.secret_key is not None
    return {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": endpoint.access_key,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret_key,
    }


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
