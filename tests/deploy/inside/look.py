"""Runs inside an image: imports all of its code and tells, as JSON, what it is and what it could do."""

import importlib
import importlib.util
import json
import os
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

APP = Path("/opt/millstream/app")
INSTALLERS = ["pip", "pip3", "uv", "gcc", "cc", "g++", "c++", "make", "ld", "git", "curl", "wget"]


def modules():
    """Every module of the code that came along, but for programs, which would run."""
    for file in sorted(APP.rglob("*.py")):
        parts = file.relative_to(APP / "sdk" if file.is_relative_to(APP / "sdk") else APP).with_suffix("").parts
        if parts[-1] != "__main__" and "migrations" not in parts:
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def importable(name):
    try:
        return bool(importlib.import_module(name))
    except ImportError:
        return False


def writable():
    """Folders of the root that this user could write to if it were not read-only; /tmp and /dev are given."""
    for folder, _, _ in os.walk("/", onerror=None):
        if folder.startswith(("/proc", "/sys", "/dev", "/tmp")):
            continue
        found = Path(folder).stat()
        if found.st_uid == os.getuid() or (found.st_mode & 0o002 and not found.st_mode & 0o1000):
            yield folder


def stale(folder):
    """Sources without byte code: every process would compile them again, since it can write nowhere."""
    return sum(not Path(importlib.util.cache_from_source(str(file))).exists() for file in Path(folder).rglob("*.py"))


def denied(path):
    try:
        Path(path).write_text("")
    except OSError as error:
        return error.strerror
    return "written"


if __name__ == "__main__":
    imported = [name for name in modules() if importlib.import_module(name)]
    print(
        json.dumps(
            {
                "imported": imported,
                "user": [os.getuid(), os.getgid(), os.getgroups()],
                "packages": sorted(f"{each.name}=={each.version}" for each in distributions()),
                "programs": [name for name in INSTALLERS if shutil.which(name)],
                "modules": [name for name in ("pip", "ensurepip", "uv", "torch", *sys.argv[1:]) if importable(name)],
                "writable": sorted(writable()),
                "root": denied("/word"),
                "app": denied(APP / "word.py"),
                "uncompiled": stale(APP),
            }
        )
    )
