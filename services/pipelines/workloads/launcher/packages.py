"""Whether what a pip install asks for is there already, and what an environment made for it is called."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import sys
from functools import lru_cache
from importlib import metadata
from typing import NamedTuple

PLAIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*))?$")
VALUED = ("--index-url", "-i", "--extra-index-url", "--trusted-host", "--find-links", "-f", "--target", "--prefix")
OLDER = re.compile(r"""^[^;]*;\s*python_version\s*<\s*["'](\d+)\.(\d+)["']\s*$""")
PIPS_OWN = "pip._vendor.packaging.requirements"
OTHERS = (".egg-info", ".egg-link")
FORM = 2
"""Of the environments' folders: another number begins anew."""
HARMLESS = ("--quiet", "-q", "--no-warn-script-location", "--no-deps", "--no-index", "--disable-pip-version-check")


def missing(installs: list[list[str]]) -> list[list[str]]:
    """Those of the installs in which pip would find something to do."""
    return [arguments for arguments in installs if not _met(arguments)]


def _met(arguments: list[str]) -> bool:
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in VALUED:
            skip = True
        elif word.startswith("-"):
            if word not in HARMLESS and not word.startswith(tuple(f"{option}=" for option in VALUED)):
                return False
        elif not _there(word):
            return False
    return True


def _there(requirement: str) -> bool:
    if (old := OLDER.match(requirement)) and sys.version_info[:2] >= (int(old.group(1)), int(old.group(2))):
        return True
    if plain := PLAIN.match(requirement):
        found = _version(plain.group(1))
        return found is not None and plain.group(2) in (None, found)
    try:
        asked = importlib.import_module(PIPS_OWN).Requirement(requirement)
    except Exception:  # a path, an address, or an image without pip: pip itself shall decide
        return False
    if asked.marker is not None and not asked.marker.evaluate():
        return True
    found = _version(asked.name)
    return bool(found and not asked.extras and not asked.url and asked.specifier.contains(found, prereleases=True))


def _version(name: str) -> str | None:
    """By the names of the folders first: reading what lies in them takes ten times as long, at every step."""
    for folder in sites():
        if found := _described(folder).versions.get(_normal(name)):
            return found
    try:
        return metadata.version(name) if any(name.endswith(OTHERS) for name in distributions()) else None
    except metadata.PackageNotFoundError:
        return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def sites() -> list[str]:
    """The folders of packages that this interpreter looks into, those that only its start adds among them."""
    return [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]


class Described(NamedTuple):
    """What describes installed packages in a folder: the names of files, and versions by packages' normal names."""

    names: list[str]
    versions: dict[str, str]


def distributions() -> list[str]:
    """Names of what describes installed packages, in the order in which they are found."""
    return [name for folder in sites() for name in _described(folder).names]


def _described(folder: str) -> Described:
    try:
        return _read(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return Described([], {})


@lru_cache(maxsize=8)
def _read(folder: str, changed: int) -> Described:
    """What lies in a folder changes with its time: a fork server may have read it before."""
    names = [name for name in sorted(os.listdir(folder)) if name.endswith((".dist-info", *OTHERS))]
    versions: dict[str, str] = {}
    for name in names:
        package, _, version = name[: -len(".dist-info")].partition("-")
        if name.endswith(".dist-info") and version:
            versions.setdefault(_normal(package), version)
    return Described(names, versions)


def key_of(image: str, installs: list[list[str]]) -> str:
    """The environment's name: the same for the same image, interpreter, packages below and requirements.

    An image's name may mean other packages tomorrow, so what is installed in it counts too.
    """
    below = sorted(distributions())
    parts = [FORM, image, sys.implementation.cache_tag, os.uname().machine, _libc(), installs, below]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def _libc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):  # musl does not know the question
        return None
