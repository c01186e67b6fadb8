"""A real S3 server for what user code does inside a job."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a pod whose object store is rclone, with a dataset in it."""
    root = tmp_path_factory.mktemp("s3")
    (root / "data" / "digits").mkdir(parents=True)
    (root / "data" / "digits" / "a.txt").write_text("one")
    (root / "data" / "digits" / "b.bin").write_text("two")
    (root / "data" / "digits-old").write_text("other")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        str(Path(sys.executable).parent / "rclone"),
        "serve",
        "s3",
        "--addr",
        address,
        "--auth-key",
        "key,secret",
    ]
    server = subprocess.Popen([*command, str(root)], stderr=subprocess.DEVNULL)
    host, _, port = address.partition(":")
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                break
        assert server.poll() is None
    yield {"AWS_ENDPOINT_URL": f"http://{address}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    server.kill()
    server.wait()
