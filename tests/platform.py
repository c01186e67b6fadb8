"""A whole laptop platform for tests: a home of its own, free ports, ended with everything it started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.testing.bus_server import free_port

MILLSTREAM = Path(sys.executable).parent / "millstream"
KEPT_IMAGES = Path(__file__).resolve().parents[1] / ".venvs" / "images"
"""What the images of frameworks stand for, kept between the runs: a gigabyte that a home would install again."""


@dataclass(frozen=True)
class Platform:
    """A running platform."""

    home: Path
    http: str
    https: str

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    @property
    def env(self) -> dict[str, str]:
        """The variables of the home's `env` file."""
        lines = (line.removeprefix("export ") for line in (self.home / "env").read_text().splitlines())
        return {key: value.strip("'") for key, _, value in (line.partition("=") for line in lines if "=" in line)}

    def run(self, *arguments: str, check: bool = True, timeout_s: float = 180, **more: str) -> str:
        """The output of `millstream <arguments>` for this home."""
        return run(
            [str(MILLSTREAM), *arguments], {**os.environ, "MILLSTREAM_HOME": str(self.home), **more}, check, timeout_s
        )

    def run_for(self, *arguments: str, seconds: float) -> str:
        """What the command said until it ended or was killed with -9 after so many seconds."""
        env = {**os.environ, "MILLSTREAM_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen([str(MILLSTREAM), *arguments], env=env, text=True, stdout=subprocess.PIPE)
        time.sleep(seconds)
        process.kill()
        return process.communicate()[0]


def run(command: list[str], env: dict[str, str], check: bool = True, timeout_s: float = 180, stdin: str = "") -> str:
    """Output and errors of a command, which is shown whole when it fails."""
    done = subprocess.run(
        command, env=env, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s
    )
    assert done.returncode == 0 or not check, f"{' '.join(command)} -> {done.returncode}\n{done.stdout}"
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, each another."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


@contextmanager
def started(home: Path, images: Path | None = None) -> Iterator[Platform]:
    """`millstream up --detach` in `home`; `millstream down` afterwards, and not one process may be left.

    What the images of frameworks stand for is installed into `images`, or into the home.
    """
    http, https = free_ports(2)
    platform = Platform(home, f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}")
    try:
        command = ["up", "--detach", "--http", str(http), "--https", str(https)]
        platform.run(*command, **({"MILLSTREAM_ENVIRONMENTS": str(images)} if images else {}))
        yield platform
    finally:
        platform.run("down", check=False)
        left = processes_of(home)
        for pid in left:
            os.kill(pid, 9)
        assert not left, f"`millstream down` left processes: {left}"


def processes_of(home: Path) -> dict[int, str]:
    """Living processes that carry this home in their environment or command line."""
    mark = re.compile(re.escape(str(home).encode()) + rb"(?![\w-])")  # not those of home10 for home1
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes() + b"\0" + (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if mark.search(words) and state != "Z" and int(folder.name) != os.getpid():
            found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def until(true: object, timeout_s: float, what: str, every_s: float = 0.1) -> None:
    """Wait until the callable `true` holds. Fails naming `what`."""
    assert callable(true)
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(every_s)
