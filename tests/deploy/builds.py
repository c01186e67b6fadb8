"""What kustomize makes of deploy/: every overlay, every component alone on the base, and all of them together.

Each combination is built once a session, several at a time.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from millstream.laptop import tool

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
Object = dict[str, Any]
FIRST = ("cluster", "bootstrap")
LAST = ("images", "namespace", "pod-security")
INSIDE = {"roles": "component cluster brings it along"}
"""Components that are part of another one, which cannot be there twice."""
ENGINES = ("nats", "postgres", "s3")


def names(folder: str, root: Path = ROOT) -> list[str]:
    """The kustomizations of deploy/<folder>."""
    return sorted(path.parent.name for path in (root / "deploy" / folder).glob("[!.]*/kustomization.yaml"))


def ordered(components: list[str]) -> list[str]:
    """In the order that their own words ask for."""
    middle = [name for name in components if name not in (*FIRST, *LAST)]
    return [name for name in (*FIRST, *middle, *LAST) if name in components]


def combinations(root: Path = ROOT) -> dict[str, Mapping[str, list[str]]]:
    """Name of a combination -> its resources and components, as paths below deploy/."""
    components = names("components", root)
    alone = {f"components/{name}": _on_base([name]) for name in components}
    together = [f"components/{name}" for name in ordered([name for name in components if name not in INSIDE])]
    engines = [f"engines/{name}" for name in ENGINES]
    return {
        **{f"overlays/{name}": {"resources": [f"overlays/{name}"]} for name in names("overlays", root)},
        **{f"engines/{name}": {"resources": [f"engines/{name}"]} for name in names("engines", root)},
        **alone,
        "all components": {"resources": ["base", *engines], "components": together},
        "production with every other component": _added(root),
    }


def _on_base(components: list[str]) -> Mapping[str, list[str]]:
    return {"resources": ["base"], "components": [f"components/{name}" for name in components]}


def _added(root: Path) -> Mapping[str, list[str]]:
    """An overlay of one's own, as README says: production, and what it has not got."""
    text = (root / "deploy/overlays/production/kustomization.yaml").read_text()
    has = [Path(path).name for path in yaml.safe_load(text)["components"]]
    skipped = {*has, *INSIDE, "single-node"} - {"images", "namespace"}
    more = [f"components/{name}" for name in ordered(names("components", root)) if name not in skipped]
    return {"resources": ["overlays/production"], "components": more}


def build(folder: Path) -> list[Object]:
    """The objects of one kustomization; an AssertionError with kustomize's own words when it cannot be built."""
    done = subprocess.run([tool("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr.strip()}"
    return [obj for obj in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if obj]


def build_all(scratch: Path, root: Path = ROOT) -> dict[str, list[Object] | AssertionError]:
    """Every combination; what could not be built is the error, so that one fault does not hide the others."""

    def one(number: int, parts: Mapping[str, list[str]]) -> list[Object] | AssertionError:
        folder = scratch / str(number)
        folder.mkdir()
        relative = {word: [os.path.relpath(root / "deploy" / path, folder) for path in parts[word]] for word in parts}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(relative))
        try:
            return build(folder)
        except AssertionError as error:
            return error

    wanted = combinations(root)
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(wanted, pool.map(one, range(len(wanted)), wanted.values()), strict=True))
