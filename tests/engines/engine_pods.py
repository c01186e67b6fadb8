"""What the manifests of deploy/engines run, so that tests can run the same on this machine with other paths."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ENGINES = Path(__file__).resolve().parents[2] / "deploy" / "engines"


def container(engine: str) -> dict[str, Any]:
    """The first container of an engine's StatefulSet."""
    stateful_set = yaml.safe_load((ENGINES / engine / "statefulset.yaml").read_text())
    found: dict[str, Any] = stateful_set["spec"]["template"]["spec"]["containers"][0]
    return found


def command(words: Sequence[str], instead: Mapping[str, object]) -> list[str]:
    """A command line of a container with the program of this environment and its words replaced."""
    program, *rest = words
    return [str(Path(sys.executable).parent / program), *(_replaced(word, instead) for word in rest)]


def _replaced(word: str, instead: Mapping[str, object]) -> str:
    for old, new in instead.items():
        word = word.replace(old, str(new))
    return word


def probe_paths(engine: str) -> list[str]:
    """What the kubelet asks for."""
    told = container(engine)
    return [told[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")]
