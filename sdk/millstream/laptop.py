"""What a home gives the laptop overlay: the configuration and secrets that differ from home to home."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import services
from libs.service.manifest import Manifest, load
from millstream import brokerconf, edgeconf, keys
from millstream.errors import ClientError
from millstream.home import SYSTEM_NAMESPACE, Home, write_private

ROOT = Path(next(iter(services.__path__))).parent
OVERLAY = ROOT / "deploy" / "overlays" / "laptop"
S3_KEY_ID = "millstream"
WORKLOADS = ("Deployment", "StatefulSet")
TOLD = ("MLFLOW_TRACKING_URI", "OPENLINEAGE_URL")
TRACKING = (*TOLD, "MLFLOW_TRACKING_TOKEN", "OPENLINEAGE_ENDPOINT", "OPENLINEAGE_API_KEY")
"""Variables of these systems' own clients by which `millstream up` learns whom to tell of pipelines' runs."""
MARK = "millstream.dev/settings"
"""On a workload's pod template: the digest of the Secrets and ConfigMaps its pods use. Another one rolls the pods."""


def manifests() -> list[Manifest]:
    """The service.yaml of every service of this checkout."""
    return [load(path) for path in sorted((ROOT / "services").glob("*/service.yaml"))]


def tool(name: str) -> str:
    """A program of the platform's own environment (nats-server, kubectl, ...), else one on PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ClientError(f"the program {name} is missing from {beside.parent}: run `make setup`")
    return found


def overlay_yaml(home: Home) -> str:
    """The overlay as kustomize builds it; the last build is kept and used again while no manifest has changed."""
    files = sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file())
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
    kept = home.manifests / f"overlay-{digest[:16]}.yaml"
    if not kept.exists():
        command = [tool("kubectl"), "kustomize", str(OVERLAY)]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            raise ClientError(f"kustomize could not build {OVERLAY}: {built.stderr.strip()}")
        write_private(kept, built.stdout)
    return kept.read_text()


def objects_of_home(home: Home, services_: Iterable[Manifest], secrets: Mapping[str, str]) -> list[dict[str, Any]]:
    """The ConfigMap and Secrets that the overlay refers to."""
    told = list(services_)
    nats = f"nats.{SYSTEM_NAMESPACE}.svc.cluster.local"
    private, public = keys.identity_keys(home)
    s3 = {"MILLSTREAM_S3_ACCESS_KEY": S3_KEY_ID, "MILLSTREAM_S3_SECRET_KEY": secrets["s3"]}
    config = {
        "MILLSTREAM_PUBLIC_URL": home.http_url,
        "MILLSTREAM_NAMESPACE": SYSTEM_NAMESPACE,
        "MILLSTREAM_NATS_MONITOR_URL": f"http://{nats}:8222",
        "MILLSTREAM_S3_ENDPOINT": f"http://s3.{SYSTEM_NAMESPACE}.svc.cluster.local:9000",
        "MILLSTREAM_S3_BUCKET": "millstream",
        "MILLSTREAM_IDENTITY_PUBLIC_KEY": public,
    }
    objects = [_config_map("millstream-config", config)]
    for manifest in told:
        data: dict[str, str] = {}
        if "store" in manifest.needs:
            data["MILLSTREAM_STORE_URL"] = f"sqlite:///{manifest.name}.db"
        if "bus" in manifest.needs:
            data["MILLSTREAM_NATS_URL"] = f"nats://{manifest.name}:{secrets[manifest.name]}@{nats}:4222"
        if {"blobs", "cluster"} & set(manifest.needs):  # those hand them on to their workloads
            data |= s3
        if manifest.name == "pipelines":
            data |= {f"MILLSTREAM_{name}": value for name, value in home.tracking().items()}
        if manifest.name == "gateway":
            data["MILLSTREAM_IDENTITY_PRIVATE_KEY"] = private
            data["MILLSTREAM_LOCAL_TOKEN"] = keys.local_token(home)
        objects.append(_secret(f"millstream-{manifest.name}", data))
    edge = edgeconf.edge_config(home, (home.tls / "server.crt").read_text(), (home.tls / "server.key").read_text())
    objects.append(_secret("edge-files", {"caddy.json": edge}))
    objects.append(_secret("nats-config", {"nats.conf": brokerconf.broker_config(told, secrets)}))
    # rclone reads its pairs as CSV, hence the quotes around the comma.
    objects.append(_secret("s3-credentials", {"RCLONE_AUTH_KEY": f'"{S3_KEY_ID},{secrets["s3"]}"'}))
    return objects


def tracking(kept: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """Whom to tell of pipelines' runs: as it was kept, but for the variables told now. An empty one is forgotten."""
    found = {**kept, **{name: told[name] for name in TRACKING if name in told}}
    for name in TOLD:
        if found.get(name) and not found[name].startswith(("http://", "https://")):
            why = f"{name}={found[name]!r} is no http(s) address of a server that could be told of pipelines' runs"
            raise ClientError(f"{why}: name one, or set {name} to nothing for `millstream up`")
    return {name: value for name, value in found.items() if value}


def owners(home: Home) -> dict[str, str]:
    """The Deployments and StatefulSets of the rendered overlay, each with the mark of its pods' settings."""
    documents = _documents((home.manifests / "laptop.yaml").read_text())
    return {doc["metadata"]["name"]: mark_of(doc) for doc in documents if doc["kind"] in WORKLOADS}


def mark_of(owner: Mapping[str, Any]) -> str:
    """The mark on a workload's pod template; empty where there is none."""
    return str((owner["spec"]["template"]["metadata"].get("annotations") or {}).get(MARK, ""))


def _documents(text: str) -> list[dict[str, Any]]:
    import yaml

    return [doc for doc in yaml.load_all(text, Loader=yaml.CSafeLoader) if doc]


def _mark(documents: Iterable[dict[str, Any]], own: Iterable[dict[str, Any]]) -> None:
    """Writes on each pod template what its Secrets and ConfigMaps hold, as a digest that tells nothing of them."""
    from services.node.domain.environment import references

    held = {(obj["kind"], obj["metadata"]["name"]): obj for obj in own}
    for owner in (doc for doc in documents if doc["kind"] in WORKLOADS):
        template = owner["spec"]["template"]
        maps, secrets = references(template["spec"])
        used = sorted([*(("ConfigMap", name) for name in maps), *(("Secret", name) for name in secrets)])
        text = json.dumps([held[key] for key in used if key in held], sort_keys=True)
        notes = template["metadata"].setdefault("annotations", {})
        notes[MARK] = hashlib.sha256(text.encode()).hexdigest()[:16]


def render(home: Home) -> Path:
    """Write everything that the node shall apply into one file of the home and answer its path."""
    known = manifests()
    users = [m.name for m in known if "bus" in m.needs]
    secrets = keys.passwords(home, [*users, brokerconf.PERSON, "s3"])
    own = objects_of_home(home, known, secrets)
    namespace, *rest = _documents(overlay_yaml(home))
    _mark(rest, own)
    path = home.manifests / "laptop.yaml"
    write_private(path, "\n---\n".join(json.dumps(obj) for obj in (namespace, *own, *rest)))
    return path


def _meta(name: str) -> dict[str, str]:
    return {"name": name, "namespace": SYSTEM_NAMESPACE}


def _config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(name), "data": dict(data)}


def _secret(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """With `data`: a key that `stringData` no longer names would stay in the Secret that was there before."""
    told = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _meta(name), "data": told}
