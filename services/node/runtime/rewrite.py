"""The view of last resort where no namespace may be made: mount paths are replaced in what the container is told."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.node.runtime import hostsfile

HOSTS_VARIABLE = "MILLSTREAM_HOSTS"
_RESOLVER = str(Path(__file__).parent / "hosts_site")


def replacer(shown: Sequence[tuple[str, str, bool]]) -> re.Pattern[str] | None:
    """Matches a mount path as a whole path or as the leading folders of one, longest first."""
    paths = sorted({path.rstrip("/") for source, path, _ in shown if path != source and path != "/"}, key=len)
    if not paths:
        return None
    return re.compile(
        r"(?:(?<![\w./-])|(?<=file://))(" + "|".join(re.escape(path) for path in reversed(paths)) + r")(?![\w.-])"
    )


def rewritten(request: dict[str, Any]) -> dict[str, Any]:
    """The request with mount paths in argv, environment and folder replaced by the folders that stand behind them."""
    shown = request["view"]["shown"]
    pattern = replacer(shown)
    sources = {path.rstrip("/"): source for source, path, _ in shown}

    def fix(text: str) -> str:
        return pattern.sub(lambda match: sources[match[1]], text) if pattern else text

    environment = {key: fix(value) for key, value in request["env"].items()}
    python = request.get("python")
    return {
        **request,
        "argv": [fix(word) for word in request["argv"]],
        "env": _with_resolver(environment, request["hosts"]),
        "cwd": fix(request["cwd"]),
        "python": python and [fix(word) for word in python],
    }


def _with_resolver(environment: Mapping[str, str], hosts: str) -> dict[str, str]:
    known = hostsfile.read(hosts)
    path = environment.get("PYTHONPATH")
    fixed = {
        # Resolved by C++ (torch's rendezvous), which the Python-level resolver cannot reach.
        key: known.get(value, value) if key.endswith("MASTER_ADDR") else value
        for key, value in environment.items()
    }
    return {
        **fixed,
        HOSTS_VARIABLE: hosts,
        "PYTHONPATH": os.pathsep.join([_RESOLVER, path] if path else [_RESOLVER]),
    }
