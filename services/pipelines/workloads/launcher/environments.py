"""Environments for steps that ask for packages: made by pip once, then used by every step that asks for the same.

An environment is a layer over the image's own packages, which pip sees as outside of it and never touches. It appears
under its key by one rename, so a crash leaves nothing half made; the door tells who makes it when several ask.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from typing import Any

from .door import Door, Refused, Wire, say
from .packages import sites
from .transfers import store

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"lib/{VERSION}/site-packages"
BELOW = "_millstream_below.pth"
ABOVE = "_millstream_above.pth"
"""It is read before all other files of its kind, so what it names counts before what the image has."""
POD = "MILLSTREAM_POD_UID"
KEEP, KEEP_S = "MILLSTREAM_STEP_KEEP_S", 30 * 86400.0
"""How long an environment stays in a folder that pods share after its last use, and the variable that says so."""
PATIENCE_S = 1800.0
"""How long another step may take to make the environment that this one waits for."""


class Unmade(Exception):
    """pip failed; what it printed is in the step's output."""


class Environment:
    """A layer in use: `prefix` is this pod's own, `packages` are shared and only read."""

    def __init__(self, prefix: str, packages: str) -> None:
        self.prefix, self.packages = prefix, packages
        self.python = f"{prefix}/bin/python"
        self.sites = [f"{packages}/site"]

    def variables(self, given: dict[str, str]) -> dict[str, str]:
        """The given ones so that programs and `python3` are found here first."""
        path = [f"{self.prefix}/bin", f"{self.packages}/bin", given.get("PATH", os.defpath)]
        return {**given, "PATH": os.pathsep.join(path), "VIRTUAL_ENV": self.prefix}


def here(key: str, own: str, cache: str) -> Environment | None:
    """The environment of a key if an earlier step of this machine has left it in `cache`."""
    final = os.path.join(cache, key)
    if not cache or not os.path.isdir(final):
        return None
    return _laid(own, final)


def _laid(own: str, final: str) -> Environment:
    with suppress(OSError):
        os.utime(final)  # whoever clears the folder sees that it is used
    if _is_own(sys.prefix):
        with open(f"{sys.prefix}/{SITE}/{ABOVE}", "w") as file:
            file.write(f"import site; site.addsitedir({final + '/site'!r})\n")
        return Environment(sys.prefix, final)
    prefix = f"{own}/env"
    if not os.path.isdir(prefix):
        _layer(prefix, [f"{final}/site", *sites()])
    return Environment(prefix, final)


def _is_own(prefix: str) -> bool:
    """Whether a laptop's node has laid this interpreter's folders for this pod alone: then there is no need of others,
    over them, at each step."""
    return prefix != sys.base_prefix and os.environ.get(POD, "/") in prefix.split("/")


def ready(
    key: str, installs: list[list[str]], own: str, cache: str, door: Door, wire: Wire, output: Any
) -> Environment:
    """The environment of a key, made or fetched where it is not here yet. `own` is this pod's folder, `cache` one that
    pods share, or "". Raises Unmade."""
    folder = cache or f"{own}/environments"
    os.makedirs(folder, exist_ok=True)
    final, prefix = os.path.join(folder, key), f"{own}/env"
    if not os.path.isdir(final):
        with open(os.path.join(folder, f".{key}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of all pods of this machine one makes it
            if not os.path.isdir(final):
                _obtain(key, installs, prefix, final, door, wire, output)
                _tidy(folder)
    return _laid(own, final)


def _tidy(folder: str) -> None:
    """Who has just made one clears away those that nobody has used for long, and what is left of makers that died."""
    oldest = time.time() - float(os.environ.get(KEEP) or KEEP_S)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with suppress(OSError):
            if name.endswith(".lock") or os.stat(path).st_mtime > oldest:
                continue
            gone = path if name.startswith(".") else os.path.join(folder, f".gone.{name}")
            os.rename(path, gone)
            if os.path.isdir(gone):
                shutil.rmtree(gone, ignore_errors=True)
            else:
                os.remove(gone)


def _obtain(key: str, installs: list[list[str]], prefix: str, final: str, door: Door, wire: Wire, output: Any) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        told = door.tell(f"environments/{key}", {})
        if told["state"] == "ready":
            _fetch(told["url"], final, wire)
            return
        if told["state"] == "build" or time.monotonic() > ends:
            _make(installs, prefix, final, output)
            _share(key, final, door, wire)
            return
        time.sleep(float(told.get("seconds") or 1.0))


def _make(installs: list[list[str]], prefix: str, final: str, output: Any) -> None:
    """By pip, in this pod's own layer; then moved to where all look for it."""
    shutil.rmtree(prefix, ignore_errors=True)
    _layer(prefix, sites())
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "VIRTUAL_ENV": prefix}
    for name in ("PYTHONUSERBASE", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"):
        environment.pop(name, None)
    for arguments in installs:
        done = subprocess.run(
            [f"{prefix}/bin/python", "-m", "pip", "install", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output.write(done.stdout)
        if done.returncode:
            shutil.rmtree(prefix, ignore_errors=True)
            lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
            errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
            raise Unmade(f"pip install {' '.join(arguments)} failed: {' '.join(errors)[:500]}")
    beside = _beside(final)
    os.makedirs(beside)
    os.remove(f"{prefix}/{SITE}/{BELOW}")
    shutil.move(f"{prefix}/{SITE}", f"{beside}/site")
    os.makedirs(f"{beside}/bin")
    for name in os.listdir(f"{prefix}/bin"):
        if not name.startswith("python"):
            shutil.move(f"{prefix}/bin/{name}", f"{beside}/bin/{name}")
    shutil.rmtree(prefix)
    _appear(beside, final)


def _fetch(url: str, final: str, wire: Wire) -> None:
    beside = _beside(final)
    os.makedirs(beside)
    packed = f"{beside}.tar"
    try:
        with open(packed, "w+b") as sink:
            wire.ask("GET", url, sink=sink)
        with tarfile.open(packed) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(beside, filter="tar")
            else:
                archive.extractall(beside)
    finally:
        if os.path.exists(packed):
            os.remove(packed)
    _appear(beside, final)


def _share(key: str, final: str, door: Door, wire: Wire) -> None:
    """Into the bucket, for other machines; the step goes on without if that fails."""
    packed = f"{_beside(final)}.tar"
    try:
        with tarfile.open(packed, "w") as archive:
            for name in ("site", "bin"):
                archive.add(os.path.join(final, name), name)
        store(wire, door.tell(f"environments/{key}", {"made": True})["url"], packed)
        door.tell(f"environments/{key}", {"stored": True})
    except (OSError, Refused) as error:
        say(f"the environment is not shared with other machines: {error}")
    finally:
        if os.path.exists(packed):
            os.remove(packed)


def _beside(final: str) -> str:
    folder, name = os.path.split(final)
    return os.path.join(folder, f".{name}.{os.environ.get('KFP_POD_UID') or os.getpid()}")


def _appear(beside: str, final: str) -> None:
    try:
        os.rename(beside, final)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not os.path.isdir(final):
            raise


def _layer(prefix: str, below: list[str]) -> None:
    """What `python -m venv` makes, without pip and over folders of packages instead of an interpreter's own."""
    os.makedirs(f"{prefix}/bin", exist_ok=True)
    os.makedirs(f"{prefix}/{SITE}", exist_ok=True)
    base = os.path.realpath(sys.executable)
    for name in ("python", "python3", VERSION):
        if not os.path.islink(f"{prefix}/bin/{name}"):
            os.symlink(base, f"{prefix}/bin/{name}")
    with open(f"{prefix}/pyvenv.cfg", "w") as file:
        # Not those of the interpreter itself: what the step sees is told below, folder by folder.
        file.write(f"home = {os.path.dirname(base)}\ninclude-system-site-packages = false\n")
    with open(f"{prefix}/{SITE}/{BELOW}", "w") as file:
        file.writelines(f"import site; site.addsitedir({folder!r})\n" for folder in below)
