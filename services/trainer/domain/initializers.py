"""What brings a job's dataset and model into its pods: init containers, and the folder that they share with training.

Downloads run before each node, into a folder of its own, so no shared file system is needed.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from libs.base.errors import Cause
from libs.cluster import security
from services.trainer.domain import registered
from services.trainer.domain.merge import by_key

WORKSPACE = "/workspace"
PARTS = ("dataset", "model")
PROGRAM = ("python", "-m", "services.trainer.workloads.initializer")
LIMITS = {"cpu": "1", "memory": "1Gi"}
URI_ENV = "STORAGE_URI"
"""Where a runtime's initializer says what it fetches, as upstream's do."""
CLAIM_FOLDER = "/source"
CLAIM_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")
FORMS = {
    "s3": "s3://bucket/path",
    "pvc": "pvc://claim/path",
    "http": "http://host/path",
    "https": "https://host/path",
    "hf": "hf://organisation/name",
}
"""Every scheme that the initializer program knows, as a user would write it."""
REGISTRY_FORM = f"{registered.SCHEME}://model or {registered.SCHEME}://model/version"
"""For models alone; what it means is settled before there is a pod."""


def causes(initializer: dict[str, Any]) -> Iterator[Cause]:
    """What is wrong with the URIs of `spec.initializer`."""
    for part in PARTS:
        told = uri(initializer.get(part))
        wrong = _wrong(told, part) if told else None
        if wrong:
            yield Cause(f"spec.initializer.{part}.storageUri", f"{told!r} {wrong}", "FieldValueNotSupported")


def _wrong(told: str, part: str) -> str | None:
    where = urlsplit(told)
    if (wish := registered.wish(told)) and part == "model":
        return None if wish.model else f"names no registered model; write {REGISTRY_FORM}"
    if where.scheme not in FORMS:
        forms = [*FORMS.values(), *([REGISTRY_FORM] if part == "model" else [])]
        return f"cannot be fetched; write one of {', '.join(forms)}"
    if not where.netloc or (where.scheme == "hf" and not where.path.strip("/")):
        return f"names nothing; write {FORMS[where.scheme]}"
    if where.scheme == "pvc" and (not CLAIM_NAME.match(where.netloc) or ".." in unquote(where.path).split("/")):
        return "must name a PersistentVolumeClaim and a path inside of it; write pvc://claim/path"
    checksum = dict(pair.partition("=")[::2] for pair in where.fragment.split("&")).get("sha256")
    if where.scheme in ("http", "https") and checksum is not None and not SHA256.match(checksum):
        return "has a sha256 that is not 64 hexadecimal digits; write #sha256=<64 digits>"
    return None


def asked(runtime: dict[str, Any], patches: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """What is fetched: the job's own words, and for parts of which it names no URI those of its runtime's container.

    Both are pod specs by part; `patches` is what the job's runtimePatches alone say. A runtime's variables, which may
    be keys, are for what the runtime names; the job's patches are for whatever is fetched.
    """
    given = spec.get("initializer") or {}
    found: dict[str, Any] = {}
    for part in PARTS:
        own, default = given.get(part) or {}, _variable(runtime[part], URI_ENV)
        if uri(own) or default:
            env = _env(patches[part] if uri(own) else runtime[part])
            told = {**own, "storageUri": uri(own) or default, "env": by_key(env, own.get("env") or [], "name")}
            found[part] = told | _mounted(patches[part])
    return found


def _env(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in _container(pod).get("env") or [] if entry["name"] != URI_ENV]


def _variable(pod: dict[str, Any], name: str) -> str:
    found = (entry for entry in _container(pod).get("env") or [] if entry["name"] == name)
    return str((next(found, None) or {}).get("value") or "")


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    return next(iter(pod.get("containers") or []), {})


def _mounted(pod: dict[str, Any]) -> dict[str, Any]:
    """Volumes that a patch brings along, and where; they become the node's, which the initializer is a part of."""
    found = {"volumes": pod.get("volumes"), "volumeMounts": _container(pod).get("volumeMounts")}
    return {key: value for key, value in found.items() if value}


def completed(job: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The job as if it had named all that is fetched for it."""
    return {**job, "spec": {**job["spec"], "initializer": found}} if found else job


def volumes(job: dict[str, Any]) -> list[dict[str, Any]]:
    given = job["spec"].get("initializer") or {}
    claims = [_volume(part, claim) for part in PARTS if (claim := _claim(given.get(part)))]
    brought = [volume for part in PARTS for volume in (given.get(part) or {}).get("volumes") or []]
    return [*brought, {"name": "workspace", "emptyDir": {}}, *claims] if given else []


def mounts(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the training container finds what was brought."""
    return [{"name": "workspace", "mountPath": WORKSPACE}] if job["spec"].get("initializer") else []


def containers(job: dict[str, Any], store_env: list[dict[str, Any]], image: str) -> list[dict[str, Any]]:
    """`store_env` tells the platform's object store, `image` runs the platform's own Python."""
    given = job["spec"].get("initializer") or {}
    return [_download(part, given[part], store_env, image) for part in PARTS if uri(given.get(part))]


def uri(source: dict[str, Any] | None) -> str:
    return (source or {}).get("storageUri") or ""


def _claim(source: dict[str, Any] | None) -> str | None:
    where = urlsplit(uri(source))
    return where.netloc if where.scheme == "pvc" else None


def _volume(part: str, claim: str) -> dict[str, Any]:
    return {"name": f"{part}-source", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}


def _download(part: str, source: dict[str, Any], store_env: list[dict[str, Any]], image: str) -> dict[str, Any]:
    secret_name = (source.get("secretRef") or {}).get("name")
    folder = f"{CLAIM_FOLDER}/{part}"
    claimed = _claim(source) is not None
    told = [{"name": "SOURCE_FOLDER", "value": folder}] if claimed else []
    mounted = [{"name": "workspace", "mountPath": WORKSPACE}]
    mounted += [{"name": f"{part}-source", "mountPath": folder, "readOnly": True}] if claimed else []
    return {
        "name": f"{part}-initializer",
        "image": image,
        "command": list(PROGRAM),
        "args": [uri(source), f"{WORKSPACE}/{part}", part],
        "env": by_key(by_key(store_env, source.get("env") or [], "name"), told, "name"),
        **({"envFrom": [{"secretRef": {"name": secret_name}}]} if secret_name else {}),
        "volumeMounts": by_key(source.get("volumeMounts") or [], mounted, "mountPath"),
        "resources": {"limits": dict(LIMITS)},
        "securityContext": security.platform_container(),
        # What went wrong, with its remedy, is on the last line.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
