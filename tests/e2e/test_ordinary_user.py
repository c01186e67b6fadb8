"""The whole platform under an account without privilege: up, a job to its end, its log, down with nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.runtime.test_ordinary_account import REPOSITORY, _become_nobody

PROGRAM = """
import sys
from pathlib import Path
from millstream.client import Client
from tests.e2e.flow import insist, small_job
from tests.platform import started

with started(Path(sys.argv[1]) / "home") as platform, Client.from_home(platform.home) as client:
    insist(client, small_job("plain"))
    client.wait("trainjobs", "plain", "Complete", timeout_s=60)
    print(platform.run("logs", "trainjob/plain"))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="millstream-user-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.mark.skipif(os.getuid() != 0, reason="all tests run without privilege already")
@pytest.mark.timeout(180)
def test_the_platform_runs_a_job_as_an_ordinary_user(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
        preexec_fn=lambda: _become_nobody(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "node-0 | done" in done.stdout
