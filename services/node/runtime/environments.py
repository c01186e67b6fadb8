"""Makes the Python environments that images stand for, each once and whole; it must not assume that it may finish.

An environment is a folder: `site` with what was installed, `programs` with its Python programs. It gets its name by a
rename when it is complete, so one that a kill left half-built is never used. The lock is held by the installer too: who
comes after a killed node waits for the orphan before he clears up after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.node.ports import PullFailed
from services.node.runtime.pyargs import python_script
from services.node.runtime.recipes import Recipe

LOOK_S = 0.2
LAST_LINES = 12
PROGRAM = '#!/bin/sh\nexec python {} "$@"\n'


class Environments:
    """Those below one folder, which several platforms may share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, recipe: Recipe) -> Path | None:
        """The finished environment, if there is one."""
        path = self.folder / recipe.key
        return path if path.is_dir() else None

    async def make(self, recipe: Recipe) -> Path:
        """The environment, made now if need be. Raises PullFailed with the installer's last words."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{recipe.key}.lock").open("w") as lock:
            while not _locked(lock.fileno()):  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(LOOK_S)
            if (found := self.find(recipe)) is not None:
                return found
            building = self.folder / f".{recipe.key}.building"
            await asyncio.to_thread(shutil.rmtree, building, True)
            await _build(recipe, building, lock.fileno())
            return building.rename(self.folder / recipe.key)


def _locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _build(recipe: Recipe, folder: Path, lock: int) -> None:
    site = folder / "site"
    site.mkdir(parents=True)
    wanted = folder / "requirements.txt"
    wanted.write_text("".join(f"{pin}\n" for pin in recipe.install))
    if recipe.install:
        await _install([*_installer(site), "-r", str(wanted)], recipe.name, lock)
    programs = folder / "programs"
    programs.mkdir()
    for name, script in _scripts(site / "bin"):
        final = str(script).replace(f".{recipe.key}.building", recipe.key)
        (programs / name).write_text(PROGRAM.format(final))
        (programs / name).chmod(0o755)


def _installer(site: Path) -> list[str]:
    """uv where there is one, since it is many times as fast; every package is pinned, so nothing is resolved."""
    beside = Path(sys.prefix) / "bin" / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    target = ["--no-deps", "--target", str(site)]
    if uv:
        return [uv, "pip", "install", "--python", sys.executable, "--compile-bytecode", *target]
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *target]


async def _install(command: list[str], name: str, lock: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        pass_fds=(lock,), start_new_session=True,
    )  # fmt: skip
    with _ended(process):
        output, _ = await process.communicate()
    if process.returncode:
        last = "\n".join(output.decode(errors="replace").strip().splitlines()[-LAST_LINES:])
        raise PullFailed(f"the packages of image {name!r} could not be installed:\n{last}")


@contextmanager
def _ended(process: asyncio.subprocess.Process) -> Iterator[None]:
    """Nobody waits for what is no longer wanted."""
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _scripts(folder: Path) -> list[tuple[str, Path]]:
    """Python programs: they are to run by the pod's own interpreter, whatever their first line says."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(path.name, path) for path in found if path.is_file() and python_script(str(path))]
