"""What a real API server would say to an object that we make: schemas of two versions, names, and Pod Security."""

import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate

Object = dict[str, Any]

VERSIONS = ("1.28", kubernetes_validate.latest_version())
"""The oldest cluster that the platform promises to run on, and the newest that there are schemas of."""
LABEL = re.compile(r"([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?\Z")
NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?\Z")
PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?\Z")


def accept(obj: Object) -> None:
    """Raises what the schemas of any version say against it, or AssertionError; unknown fields count as wrong."""
    for version in VERSIONS:
        kubernetes_validate.validate(obj, version, strict=True)
    assert NAME.match(obj["metadata"]["name"]), obj["metadata"]["name"]
    for labels in _labels(obj):
        for key, value in labels.items():
            assert LABEL.match(value), f"{obj['kind']}: label {key}={value}"
    for container in containers(obj):
        for port in container.get("ports") or []:
            assert PORT_NAME.match(port.get("name", "p")), port


def containers(obj: Object) -> list[Object]:
    spec = pod_spec(obj) or {}
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def pod_spec(obj: Object) -> Object | None:
    found = ((obj.get("spec") or {}).get("template") or {}).get("spec")
    return found if isinstance(found, dict) else None


def unrestricted(spec: Object, only: str | None = None) -> list[str]:
    """What the level `restricted` of the Pod Security Standards holds against a pod, or against one container of it."""
    pod = spec.get("securityContext") or {}
    found: list[str] = []
    for part in ("initContainers", "containers"):
        for container in spec.get(part) or []:
            if only in (None, container["name"]):
                found += [f"{container['name']}: {why}" for why in _container(container, pod)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [f"volume {v['name']}" for v in spec.get("volumes") or [] if not (v.keys() - {"name"}) <= allowed]
    return found + [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]


def _container(container: Object, pod: Object) -> Iterator[str]:
    own = container.get("securityContext") or {}
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation != false"
    if (own.get("capabilities") or {}).get("drop") != ["ALL"] or (own.get("capabilities") or {}).get("add"):
        yield "unrestricted capabilities"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot != true"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "runAsUser = 0"
    if (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in (
        "RuntimeDefault",
        "Localhost",
    ):
        yield "seccompProfile"


def _labels(obj: Object) -> Iterator[dict[str, str]]:
    spec = obj.get("spec") or {}
    yield obj["metadata"].get("labels") or {}
    yield ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector") or {}
    yield selector.get("matchLabels", selector)
