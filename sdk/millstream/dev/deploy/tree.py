"""Every generated file of deploy/ with its text and where it comes from; reads manifests, writes only when told to."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from libs.service.manifest import Manifest, load_all
from libs.service.roles import role_objects
from millstream.dev import apiservices
from millstream.dev.deploy import certificates, network, stores, texts
from millstream.home import SYSTEM_NAMESPACE

NODE = "node"
"""The laptop's Kubernetes: what a cluster is itself, it does not run."""
TOOLS = "tools"
"""The image of the jobs that set a cluster up and look after it."""
BASE = "deploy/base"
ALL = "services/*/service.yaml"


@dataclass(frozen=True)
class Made:
    """A generated file: its path from the root of the checkout, its text and the manifest that decides it."""

    path: str
    text: str
    source: str


def everything(manifests: Iterable[Manifest], version: str) -> Iterator[Made]:
    """All files, those of each service first, then those that follow from all manifests together."""
    deployed = [each for each in manifests if each.name != NODE]
    for manifest in deployed:
        yield from of_service(manifest)
    for path, text in _of_all(deployed, version).items():
        yield Made(path, texts.header(ALL) + text, ALL)


def of_service(manifest: Manifest) -> Iterator[Made]:
    source, folder = f"services/{manifest.name}/service.yaml", f"{BASE}/{manifest.name}"
    parts = {
        "service.yaml": texts.fill("service", **texts.about(manifest)),
        "serviceaccount.yaml": texts.fill("serviceaccount", **texts.about(manifest)),
        "deployment.yaml": texts.deployment(manifest),
        "networkpolicy.yaml": network.policy(manifest),
        "disruptionbudget.yaml": texts.fill("disruptionbudget", **texts.about(manifest)),
    }
    for name, text in {**parts, "kustomization.yaml": texts.kustomization(parts)}.items():
        yield Made(f"{folder}/{name}", texts.header(source) + text, source)


def _of_all(manifests: list[Manifest], version: str) -> dict[str, str]:
    roles = [obj for each in manifests for obj in role_objects(each, SYSTEM_NAMESPACE)]
    aggregated = apiservices.texts(manifests, SYSTEM_NAMESPACE)
    return {
        f"{BASE}/kustomization.yaml": texts.kustomization(each.name for each in manifests),
        "deploy/components/images/kustomization.yaml": texts.images(
            [*(each.name for each in manifests), TOOLS], version
        ),
        "deploy/components/roles/roles.yaml": yaml.safe_dump_all(roles, sort_keys=False),
        **{f"deploy/components/aggregated-apis/{name}": text for name, text in aggregated.items()},
        "deploy/components/cert-manager/certificates.yaml": certificates.text(manifests, SYSTEM_NAMESPACE),
        "deploy/components/backup/cronjob.yaml": stores.backup(manifests),
        "deploy/components/backup/restore.yaml": stores.restore(manifests),
        "deploy/components/external-postgres/kustomization.yaml": stores.external_postgres(manifests),
        "deploy/components/external-s3/kustomization.yaml": stores.external_s3(manifests),
    }


def read(root: Path) -> list[Made]:
    """What the manifests of the checkout at `root` say that there should be."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return list(everything(load_all(root / "services"), project["version"]))


def write(root: Path) -> list[str]:
    """Writes what differs and answers the paths; what is in nobody's manifest any more is for a person to remove."""
    changed = [made for made in read(root) if _kept(root, made) != made.text]
    for made in changed:
        file = root / made.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made.text)
    return [made.path for made in changed]


def drift(root: Path) -> list[str]:
    """One line for each file that is not, byte for byte, what the manifests say."""
    made = read(root)
    wrong = [line for each in made if (line := _differs(root, each))]
    known = {each.path for each in made}
    folders = sorted(path for path in (root / BASE).iterdir() if path.is_dir())
    gone = [path for path in folders if f"{BASE}/{path.name}/deployment.yaml" not in known]
    return wrong + [f"{BASE}/{path.name} is there, but no services/{path.name}/service.yaml" for path in gone]


def _differs(root: Path, made: Made) -> str | None:
    kept = _kept(root, made)
    if kept is None:
        return f"{made.path} is missing; {made.source} asks for it"
    return None if kept == made.text else f"{made.path} is not what {made.source} says"


def _kept(root: Path, made: Made) -> str | None:
    file = root / made.path
    return file.read_text() if file.exists() else None
