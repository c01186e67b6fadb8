"""Which Python packages an image's name promises, from deploy/images/; it must not assume that they are installed.

A folder with a `stands_for` is one: patterns of image names, one a line. The images of a cluster are made from the same
folders, so a job finds on a laptop what it finds there. Other names promise nothing beyond the platform's packages.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, lru_cache
from importlib.metadata import distributions
from pathlib import Path

from services.node.runtime.paths import RECIPES

NAMES = "stands_for"
LISTS = ("torch.txt", "requirements.txt")


@dataclass(frozen=True)
class Recipe:
    """`pins` are lines name==version, `install` those that the platform's own environment does not have.

    `layered` means that the platform's packages fit and are used; else the environment stands alone.
    """

    name: str
    pins: tuple[str, ...]
    install: tuple[str, ...]
    layered: bool

    @property
    def key(self) -> str:
        """The folder's name: it tells what is installed in it, and for which interpreter."""
        words = [*self.install, str(self.layered), sys.version]
        return f"{self.name}-{hashlib.sha256(chr(10).join(words).encode()).hexdigest()[:16]}"


def recipe_of(image: str, folder: Path = RECIPES) -> Recipe | None:
    """The recipe for an image, None for a name that promises nothing."""
    name = image.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")
    found = _standing_for(name, folder, _changed(folder))
    return _recipe(found, installed()) if found else None


@lru_cache(maxsize=256)
def _standing_for(name: str, folder: Path, changed: tuple[tuple[str, int], ...]) -> Path | None:
    for file, patterns in _patterns(folder, changed):
        if any(fnmatch(name, f"{pattern}{end}") for pattern in patterns for end in ("", ":*")):
            return file.parent
    return None


def _changed(folder: Path) -> tuple[tuple[str, int], ...]:
    """What names images, with the time of its last change: every start of a container asks, nobody wants it read."""
    found = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                found.append((entry.name, os.stat(f"{entry.path}/{NAMES}").st_mtime_ns))
    return tuple(sorted(found))


@lru_cache(maxsize=8)
def _patterns(folder: Path, changed: tuple[tuple[str, int], ...]) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    files = [folder / name / NAMES for name, _ in changed]
    return tuple((file, tuple(file.read_text().split())) for file in files)


def _recipe(folder: Path, here: Mapping[str, str]) -> Recipe:
    files = [folder / name for name in LISTS if (folder / name).exists()]
    pins = [line for file in files for line in file.read_text().split("\n") if line]
    known = {pin: here.get(_name(pin)) for pin in pins}
    layered = all(version is None or version == pin.partition("==")[2] for pin, version in known.items())
    install = [pin for pin, version in known.items() if version is None or not layered]
    return Recipe(folder.name, tuple(pins), tuple(install), layered)


@cache
def installed() -> dict[str, str]:
    """What this process's environment has: version by name, without the mark of a local build."""
    return {_name(dist.metadata["Name"]): dist.version.partition("+")[0] for dist in distributions()}


def _name(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[=\[]", pin, maxsplit=1)[0]).lower()
