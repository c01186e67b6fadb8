"""Existing clients, unmodified, each in its own environment under .venvs/, against one running platform."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.platform import KEPT_IMAGES, Platform, run, started

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with started(tmp_path_factory.mktemp("home"), images=KEPT_IMAGES) as running:
        yield running


@dataclass(frozen=True)
class Client:
    """One client's environment, pointed at the platform as the README tells a user to."""

    bin: Path
    platform: Platform

    @property
    def env(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("MILLSTREAM_", "PYTHONPATH"))}
        told = {"KUBECONFIG": str(self.platform.home / "kubeconfig"), "HOME": str(self.platform.home / "user")}
        return {**clean, **self.platform.env, **told, "PATH": f"{self.bin}:{clean['PATH']}"}

    def call(self, *command: str, check: bool = True, stdin: str = "", timeout_s: float = 180) -> str:
        return run([str(self.bin / command[0]), *command[1:]], self.env, check, timeout_s, stdin)

    def program(self, program: str, /, **given: Any) -> dict[str, Any]:
        """Run programs/<program>.py in this environment with `given` as JSON; what it prints after RESULT is JSON."""
        printed = self.call("python", str(HERE / "programs" / f"{program}.py"), json.dumps(given), timeout_s=240)
        assert "RESULT " in printed, printed
        return dict(json.loads(printed.rsplit("RESULT ", 1)[1]))


def environment(name: str, requirements: Path | None = None) -> Path:
    """The bin folder of `.venvs/<name>`, made or renewed when its requirements changed, by one process at a time."""
    folder = ROOT / ".venvs" / name
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(folder, requirements or HERE / "requirements" / f"{name}.txt")
    return folder / "bin"


def _make(folder: Path, wanted: Path) -> None:
    stamp = folder / ".requirements"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "-r", str(wanted)]
    subprocess.run(install, check=True)
    stamp.write_text(digest)


def _client(name: str, platform: Platform) -> Client:
    (platform.home / "user").mkdir(exist_ok=True)
    return Client(environment(name), platform)


@pytest.fixture(scope="session")
def kubectl(platform: Platform) -> Client:
    return _client("kubectl", platform)


@pytest.fixture(scope="session")
def kubeflow(platform: Platform) -> Client:
    return _client("kubeflow", platform)


@pytest.fixture(scope="session")
def model_registry(platform: Platform) -> Client:
    return _client("model-registry", platform)


@pytest.fixture(scope="session")
def kserve(platform: Platform) -> Client:
    return _client("kserve", platform)


@pytest.fixture(scope="session")
def triton(platform: Platform) -> Client:
    return _client("tritonclient", platform)


@pytest.fixture(scope="session")
def katib(platform: Platform) -> Client:
    return _client("katib", platform)


@pytest.fixture(scope="session")
def kfp(platform: Platform) -> Client:
    return _client("kfp", platform)
