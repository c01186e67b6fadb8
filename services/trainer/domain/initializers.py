"""What brings a job's dataset and model into its pods: init containers, and the folder that they share with training.

Downloads run before each node, into a folder of its own, so no shared file system is needed.
"""

from typing import Any
from urllib.parse import urlsplit

from libs.cluster import security
from services.trainer.domain.merge import by_key

WORKSPACE = "/workspace"
PARTS = ("dataset", "model")
PROGRAM = ("python", "-m", "services.trainer.workloads.initializer")
LIMITS = {"cpu": "1", "memory": "1Gi"}


def volumes(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "workspace", "emptyDir": {}}] if job["spec"].get("initializer") else []


def mounts(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the training container finds what was brought."""
    return [{"name": "workspace", "mountPath": WORKSPACE}] if job["spec"].get("initializer") else []


def containers(job: dict[str, Any], store_env: list[dict[str, Any]], image: str) -> list[dict[str, Any]]:
    """`store_env` tells the platform's object store, `image` runs the platform's own Python."""
    given = job["spec"].get("initializer") or {}
    return [_download(part, given[part], store_env, image) for part in PARTS if uri(given.get(part))]


def uri(source: dict[str, Any] | None) -> str:
    return (source or {}).get("storageUri") or ""


def _download(part: str, source: dict[str, Any], store_env: list[dict[str, Any]], image: str) -> dict[str, Any]:
    where = urlsplit(uri(source))
    secret_name = (source.get("secretRef") or {}).get("name")
    return {
        "name": f"{part}-initializer",
        "image": image,
        "command": list(PROGRAM),
        "args": [f"s3://{where.netloc}{where.path}", f"{WORKSPACE}/{part}"],
        "env": by_key(store_env, source.get("env") or [], "name"),
        **({"envFrom": [{"secretRef": {"name": secret_name}}]} if secret_name else {}),
        "volumeMounts": [{"name": "workspace", "mountPath": WORKSPACE}],
        "resources": {"limits": dict(LIMITS)},
        "securityContext": security.platform_container(),
    }
