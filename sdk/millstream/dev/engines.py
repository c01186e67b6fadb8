"""Finds a program that builds container images and speaks to it: docker, podman or buildah, whichever works first.

It must not assume that an installed client has an engine behind it: each is asked before it is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ASK_TIMEOUT_S = 20.0
EPOCH = "315532800"
"""1980 in seconds since 1970: every file of an image is that old, so that a layer changes only when a file does."""

NAMES = ("docker", "podman", "buildah")
_QUESTIONS = {
    "docker": (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "buildx", "version"]),
    "podman": (["podman", "info"],),
    "buildah": (["buildah", "info"],),
}
REMEDY = (
    "install docker (with buildx), podman or buildah: on Debian `apt-get install buildah` is the smallest; inside"
    " a container also set BUILDAH_ISOLATION=chroot and, where overlay is refused, STORAGE_DRIVER=vfs"
)


class NoEngine(Exception):
    """Nothing here builds images; the message says what was tried and what to install."""


@dataclass(frozen=True)
class Engine:
    """One builder. `mounts_folders`: a build can be shown folders of this machine, where a local index may lie."""

    name: str

    @property
    def mounts_folders(self) -> bool:
        return self.name != "docker"

    def build(
        self,
        image: str,
        dockerfile: Path,
        arguments: Mapping[str, str],
        secrets: Mapping[str, Path],
        folders: Sequence[Path] = (),
        options: Sequence[str] = (),
    ) -> list[str]:
        """The command that builds `image` from the current folder."""
        command = [self.name, "build" if self.name == "docker" else "bud", "-f", str(dockerfile), "-t", image]
        if self.name == "podman":
            command[1] = "build"
        if self.name != "docker":
            command += ["--layers", "--timestamp", EPOCH]
        for key, value in arguments.items():
            command += ["--build-arg", f"{key}={value}"]
        for key, path in secrets.items():
            command += ["--secret", f"id={key},src={path}"]
        for folder in folders:
            command += ["--volume", f"{folder}:{folder}:ro"]
        return [*command, *options, "."]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_BUILDKIT": "1", "SOURCE_DATE_EPOCH": EPOCH}

    def push(self, image: str) -> list[str]:
        return [self.name, "push", image]

    def size(self, image: str) -> str:
        """As the engine tells it; empty where it does not."""
        command = [self.name, "images", "--format", "{{.Size}}", image]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


def find(wanted: str = "") -> tuple[Engine, list[str]]:
    """The first that answers, or `wanted`, with why those before it do not. Raises NoEngine."""
    refused = []
    for name in (wanted,) if wanted else NAMES:
        reason = _why_not(name)
        if reason is None:
            return Engine(name), refused
        refused.append(f"{name}: {reason}")
    raise NoEngine("\n".join(["nothing here can build an image:", *(f"  {each}" for each in refused), REMEDY]))


def _why_not(name: str) -> str | None:
    """Why an engine cannot be used, in one line; None when it can."""
    if name not in NAMES:
        return f"not known: choose from {', '.join(NAMES)}"
    if shutil.which(name) is None:
        return "not installed"
    for question in _QUESTIONS[name]:
        try:
            done = subprocess.run(question, capture_output=True, text=True, check=False, timeout=ASK_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"`{' '.join(question)}` did not answer within {ASK_TIMEOUT_S:.0f} s"
        if done.returncode:
            told = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
            return f"installed, but `{' '.join(question[:2])}` fails: {told[-1].strip()}"
    return None
