"""The templates of deploy/ filled in with a manifest's words; text in, text out, so that their comments stay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

import yaml

from libs.service.manifest import Manifest

FOLDER = Path(__file__).parent / "templates"
GATEWAY = "gateway"
SERVICE_LABEL = "app.kubernetes.io/component: service"
STORE_LABEL = 'millstream.dev/store: "true"'


def header(source: str) -> str:
    """What a generated file says of itself."""
    return f"# Generated from {source} by `make golden`; the template is in sdk/millstream/dev/deploy/templates.\n"


def fill(template: str, **words: str) -> str:
    """The template with its `$words` replaced; one that is missing is a KeyError."""
    return Template((FOLDER / f"{template}.yaml").read_text()).substitute(words)


def data(template: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{template}.yaml").read_text())
    return found


def about(manifest: Manifest) -> dict[str, str]:
    """The words that every template may use."""
    labels = [f"app.kubernetes.io/name: {manifest.name}", "app.kubernetes.io/part-of: millstream", SERVICE_LABEL]
    if "store" in manifest.needs:
        labels.append(STORE_LABEL)
    return {"name": manifest.name, "port": str(manifest.port), "labels": ", ".join(labels)}


def calls_the_cluster(manifest: Manifest) -> bool:
    """Whether it talks to the API server: it makes workloads, asks who may do what with its kinds, or is the door."""
    return manifest.name == GATEWAY or bool(manifest.owns) or "cluster" in manifest.needs


def deployment(manifest: Manifest) -> str:
    """With the migration of its store before it, if it has one, and then a name for each replica's leases."""
    words, stored = about(manifest), "store" in manifest.needs
    migrate = fill("migrate", **words) if stored else ""
    replica = fill("replica") if stored else ""
    token = "true" if calls_the_cluster(manifest) else "false"
    return fill("deployment", **words, migrate=migrate, replica=replica, token=token)


def kustomization(resources: Iterable[str]) -> str:
    return fill("kustomization", resources="\n".join(f"  - {name}" for name in resources))


def images(names: Iterable[str], version: str) -> str:
    lines = (f'  - {{name: millstream/{name}, newTag: "{version}"}}' for name in names)
    return fill("images", images="\n".join(lines), version=version)
